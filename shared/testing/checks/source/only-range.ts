import type { Offset } from "../../../contract/offset.ts";
import { middlesOf } from "../../middles.ts";
import { type RowTexts, surplus } from "../../rows.ts";
import type { Trap } from "../trap.ts";
import { compareRanges } from "./compare.ts";
import { readRowsOrThrow } from "./reading.ts";
import {
  type FirstRange,
  hasReadFirstRange,
  type ReadRange,
  type StreamSubject,
  type Subject,
} from "./subject.ts";

type Ready = StreamSubject & FirstRange & { readonly ab: ReadRange };

/**
 * Checks a source that has only one range. Such a source does not show whether a next range starts
 * exactly at the end of the first.
 */
export const ONLY_RANGE: Trap<StreamSubject, Ready> = {
  code: "RANGES_NOT_VERIFIED",
  applies: (stream): stream is Ready =>
    hasReadFirstRange(stream) && stream.c === undefined && stream.isComplete === true,
  async run(stream) {
    const { start, b, ab } = stream;
    await checkOnlyRange(stream, [start, b], ab.partitions.flat(), (from, to) =>
      readRowsOrThrow(stream, from, to),
    );
    return true;
  },
};

/**
 * Reads the range in two parts that meet at an offset which the check invents. A source may reject
 * such an offset, or interpret it wrongly, such as inside a line; neither is reported as a problem.
 */
export async function checkOnlyRange(
  subject: Subject<unknown>,
  [start, end]: readonly [Offset, Offset],
  whole: RowTexts,
  read: (from: Offset, to: Offset) => Promise<RowTexts>,
): Promise<void> {
  const { options, findings } = subject;
  if (options.singleRange === true) {
    findings.skip("[a,b) + [b,c) against [a,c): the source has one range only, as singleRange says");
    return;
  }
  let isVerified = false;
  for (const middle of middlesOf(start, end, whole)) {
    const parts = await partsOf(middle, [start, end], read);
    if (parts === undefined || isNonsense(parts, whole)) continue;
    isVerified = true;
    const places = `a = ${JSON.stringify(start)}, c = ${JSON.stringify(end)}, b = ${JSON.stringify(middle)}, which the kit made up (give advance where no batch can end there)`;
    if (!compareRanges(subject, parts, whole, places)) return;
  }
  if (isVerified) return;
  findings.add({
    code: "RANGES_NOT_VERIFIED",
    message: `the source has one range only, from ${JSON.stringify(start)} to ${JSON.stringify(end)}: nothing tells whether the next begins where this one ends`,
    hint: "Give advance, which makes the source have more, or let latestOffset() honour a small read limit such as ReadMaxRows(1). A source that never has more: singleRange: true.",
  });
}

async function partsOf(
  middle: Offset,
  [start, end]: readonly [Offset, Offset],
  read: (from: Offset, to: Offset) => Promise<RowTexts>,
): Promise<RowTexts | undefined> {
  try {
    return [...(await read(start, middle)), ...(await read(middle, end))];
  } catch {
    return undefined;
  }
}

function isNonsense(parts: RowTexts, whole: RowTexts): boolean {
  const known = new Set(whole);
  const isOther = surplus(whole, parts).length > 0 && surplus(parts, whole).length > 0;
  return isOther || !parts.every((row) => known.has(row));
}
