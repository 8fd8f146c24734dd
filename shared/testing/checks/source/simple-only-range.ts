import type { Trap } from "../trap.ts";
import { checkOnlyRange } from "./only-range.ts";
import { rowsBetween } from "./simple-reading.ts";
import { hasFirstRead, type SimpleRange, type SimpleSubject } from "./subject.ts";

type Ready = SimpleSubject & { readonly ab: SimpleRange };

/**
 * Checks a source that has only one range, so that it is unknown whether a next range would start
 * exactly at its end.
 */
export const ONLY_READ: Trap<SimpleSubject, Ready> = {
  code: "RANGES_NOT_VERIFIED",
  applies: (simple): simple is Ready => hasFirstRead(simple) && simple.bc === undefined,
  async run(simple) {
    const { start, end, rows } = simple.ab;
    await checkOnlyRange(simple, [start, end], rows, (from, to) => rowsBetween(simple, from, to));
    return true;
  },
};
