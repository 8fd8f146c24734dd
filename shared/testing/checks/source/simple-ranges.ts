import { describeRows } from "../../rows.ts";
import type { Trap } from "../trap.ts";
import { compareRanges, OVERLAP_HINT, placesOf } from "./compare.ts";
import { rowsBetween } from "./simple-reading.ts";
import { hasSecondRead, type SimpleRange, type SimpleSubject } from "./subject.ts";

type Ready = SimpleSubject & { readonly ab: SimpleRange; readonly bc: SimpleRange };

/** Detects two consecutive ranges that share a row or lose one between them. */
export const READ_RANGES: Trap<SimpleSubject, Ready> = {
  code: "RANGES_OVERLAP",
  applies: hasSecondRead,
  async run(simple) {
    const { ab, bc, findings, options } = simple;
    const places = placesOf(ab.start, ab.end, bc.end);
    await findings.check("read(a) + read(b) against readBetweenOffsets(a, c)", async () => {
      const whole = await rowsBetween(simple, ab.start, bc.end);
      if (ab.rows.length + bc.rows.length + whole.length === 0)
        findings.skip("rows: read(start) and the read after it gave none, so nothing was compared");
      compareRanges(simple, [...ab.rows, ...bc.rows], whole, places);
      const known = new Set(ab.rows);
      const both = options.hasDuplicates === true ? [] : bc.rows.filter((row) => known.has(row));
      if (both.length > 0)
        findings.add({
          code: "RANGES_OVERLAP",
          message: `read(a) and read(b) both gave ${describeRows(both)}, with ${places}`,
          hint: `${OVERLAP_HINT} If equal rows are legitimate, set hasDuplicates.`,
        });
    });
    return true;
  },
};
