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

/** Detects a range that returns other rows when it is read again. */
export const FIRST_REPLAY: Trap<SimpleSubject, First> = {
  code: "READ_NOT_REPEATABLE",
  applies: hasFirstRead,
  run: (simple) => replay(simple, simple.ab, "readBetweenOffsets(start, end)"),
};

/** Detects the same mistake in the second range. */
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
