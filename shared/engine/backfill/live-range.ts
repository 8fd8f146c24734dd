import { compareByValue, type Offset, sameOffset } from "../../contract/offset.ts";
import type { Batch, Head, Ledger } from "../ports/ledger.ts";
import { canBackfill, type StreamReader } from "./reader.ts";

/** A range of offsets that a pipeline reads. Without `end` it has none. */
export interface LiveRange {
  readonly start: Offset;
  readonly end?: Offset;
}

/** Number of batches that are read from the ledger at once. */
const PAGE = 1000;

/**
 * Returns the ranges that a pipeline has read, has planned, or will read: those of its batches, and
 * everything from its offset on. A batch that was skipped counts, because it may have landed.
 * Batches that the ledger does not know any more have read from `initial` to the first known one.
 */
export async function liveRanges(
  ledger: Ledger,
  { pipeline, offset, nextBatchId }: Pick<Head, "pipeline" | "offset" | "nextBatchId">,
  initial: Offset,
): Promise<readonly LiveRange[]> {
  const ranges: LiveRange[] = [{ start: offset ?? initial }];
  let before = nextBatchId;
  for (;;) {
    const batches = await ledger.batches(pipeline, { limit: PAGE, before });
    for (const batch of batches) {
      if (batch.batchId < before - 1) addGap(ranges, batch.end);
      before = batch.batchId;
      addBatch(ranges, batch);
    }
    if (batches.length < PAGE) break;
  }
  if (before > 0) addGap(ranges, initial);
  return ranges;
}

function addBatch(ranges: LiveRange[], { start, end, isRetry }: Batch): void {
  if (isRetry === true) return;
  const next = ranges.at(-1);
  if (next !== undefined && sameOffset(next.start, end)) ranges[ranges.length - 1] = { ...next, start };
  else ranges.push({ start, end });
}

/** Adds what batches have read that the ledger does not know any more, up to the next known one. */
function addGap(ranges: LiveRange[], start: Offset): void {
  const next = ranges.at(-1);
  if (next !== undefined && !sameOffset(start, next.start)) ranges.push({ start, end: next.start });
}

/** Returns the first of these ranges that overlaps the one from `start` to `end`. */
export async function overlapping(
  reader: StreamReader,
  ranges: readonly LiveRange[],
  { start, end }: Required<LiveRange>,
): Promise<LiveRange | undefined> {
  for (const range of ranges) {
    const beginsBefore = (await compared(reader, range.start, end)) < 0;
    if (beginsBefore && (range.end === undefined || (await compared(reader, start, range.end)) < 0))
      return range;
  }
  return undefined;
}

/** Compares offsets by what the reader offers. Offsets in no known order count as overlapping. */
async function compared(reader: StreamReader, a: Offset, b: Offset): Promise<number> {
  if (sameOffset(a, b)) return 0;
  const asked = canBackfill(reader) ? await reader.comparePositions?.(a, b) : undefined;
  return asked ?? reader.compareOffsets?.(a, b) ?? compareByValue(a, b) ?? -1;
}
