import { MillraceError } from "../../../contract/errors.ts";
import type { Offset } from "../../../contract/offset.ts";
import { describeRows, type RowTexts, surplus } from "../../rows.ts";
import type { Subject } from "./subject.ts";

export const OVERLAP_HINT =
  "Rows at b are in both: a range holds its start and not its end. Ask the source for >= start and < end.";

/**
 * Compares the rows of a first and a second read. Reports a problem and returns false if they
 * differ.
 */
export function compareReplay(
  { findings }: Subject<unknown>,
  what: string,
  rows: RowTexts,
  again: RowTexts,
  place?: string,
): boolean {
  const lost = surplus(rows, again);
  const added = surplus(again, rows);
  if (lost.length === 0 && added.length === 0) return true;
  const at = place === undefined ? "" : ` (${place})`;
  findings.add({
    code: "READ_NOT_REPEATABLE",
    message: `${what}${at}, a second time, gave ${added.length === 0 ? "no others" : describeRows(added)} and lacked ${lost.length === 0 ? "none" : describeRows(lost)}`,
    hint: "A replay must write the same rows: let partition or offsets say all that is read (ranges, ids, versions), and nothing depend on the clock or on what the reader has done before.",
  });
  return false;
}

/**
 * Compares the rows of [a,b) and [b,c), which are `parts`, with those of [a,c), which are `whole`.
 * Reports a problem and returns false if they differ.
 */
export function compareRanges(
  { findings }: Subject<unknown>,
  parts: RowTexts,
  whole: RowTexts,
  places: string,
): boolean {
  const twice = surplus(parts, whole);
  const lost = surplus(whole, parts);
  if (twice.length > 0)
    findings.add({
      code: "RANGES_OVERLAP",
      message: `[a,b) and [b,c) together have ${describeRows(twice)} more than [a,c), with ${places}`,
      hint: OVERLAP_HINT,
    });
  if (lost.length > 0)
    findings.add({
      code: "RANGES_LOSE_ROWS",
      message: `[a,b) and [b,c) together lack ${describeRows(lost)} that [a,c) has, with ${places}`,
      hint: "Rows at b are in neither: a range holds its start and not its end. Ask the source for >= start and < end.",
    });
  return twice.length + lost.length === 0;
}

/** Reports a problem if rows of `[b,c)` are missing after `commit(b)`. */
export function compareAfterCommit(
  { findings }: Subject<unknown>,
  before: RowTexts,
  after: RowTexts,
  [b, c]: readonly [Offset, Offset],
): void {
  const lost = surplus(before, after);
  if (lost.length === 0) return;
  findings.add({
    code: "COMMIT_FORGETS_TOO_MUCH",
    message: `after commit(b), [b,c) lacks ${describeRows(lost)}, with b = ${JSON.stringify(b)}, c = ${JSON.stringify(c)}`,
    hint: "commit(end) may let go of what is before end, never of end itself or what follows.",
  });
}

export function placesOf(a: Offset, b: Offset, c: Offset): string {
  return `a = ${JSON.stringify(a)}, b = ${JSON.stringify(b)}, c = ${JSON.stringify(c)}`;
}

export function offsetWentBack(method: string, start: Offset, end: Offset): MillraceError {
  return new MillraceError(
    "OFFSET_WENT_BACK",
    `${method}(${JSON.stringify(start)}) gave ${JSON.stringify(end)}, which is before it`,
    {
      hint: "Give the start itself where nothing is new, never an offset before it: rows would be read twice.",
    },
  );
}
