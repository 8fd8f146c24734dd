import type { Trap } from "../trap.ts";
import { checkOnlyRange } from "./only-range.ts";
import { rowsBetween } from "./simple-reading.ts";
import { hasFirstRead, type SimpleRange, type SimpleSubject } from "./subject.ts";

type Ready = SimpleSubject & { readonly ab: SimpleRange };

/**
 * Checks a simple source that has only one range. Such a source does not show whether a next range
 * starts exactly at the end of the first.
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
