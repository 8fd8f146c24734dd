import type { Trap } from "../trap.ts";
import { compareReplay } from "./compare.ts";
import { rowsBetween } from "./simple-reading.ts";
import {
  hasFirstRead,
  hasSecondRead,
  type SimpleRange,
  type SimpleSubject,
  type Started,
} from "./subject.ts";

type First = SimpleSubject & Started & { readonly ab: SimpleRange };

/** Other rows when a range is read again. */
export const FIRST_REPLAY: Trap<SimpleSubject, First> = {
  code: "READ_NOT_REPEATABLE",
  applies: hasFirstRead,
  run: (simple) => replay(simple, simple.ab, "readBetweenOffsets(start, end)"),
};

/** The same of the range that follows. */
export const SECOND_REPLAY: Trap<SimpleSubject, First & { readonly bc: SimpleRange }> = {
  code: "READ_NOT_REPEATABLE",
  applies: hasSecondRead,
  run: (simple) => replay(simple, simple.bc, "readBetweenOffsets(b, c)"),
};

async function replay(
  simple: SimpleSubject,
  { start, end, rows }: SimpleRange,
  what: string,
): Promise<boolean> {
  let isSame = false;
  await simple.findings.check(`${what} after read`, async () => {
    isSame = compareReplay(simple, what, rows, await rowsBetween(simple, start, end));
  });
  return isSame;
}
