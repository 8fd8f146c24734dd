import { cutsOf, type RangeChunk, rangeChunks } from "./ranges.ts";
import type { ShuffledPartition, ShuffleOutput, ShuffleSegment, ShuffleSpec } from "./spec.ts";

/** A smaller partition is not worth a task, whatever was asked. (Spark: `minPartitionSize`.) */
const MIN_BYTES = 1024 * 1024;
/** A bucket that is larger by this factor than asked may be split. */
const LARGE_FACTOR = 2;
/** About how many partitions buckets are split into at most: an Express workflow runs 10,000. */
const MAX_SPLIT = 5_000;

/** Parts of the files, by task, each task's in the order of its file. */
interface Part {
  readonly task: number;
  readonly part: number;
}

/**
 * Plans the tasks of the next stage from what those of a shuffle have written, in the order of the
 * tasks. If their number is fixed, there are exactly `spec.buckets`, and some may be empty.
 * Otherwise neighbours are put together up to `targetBytes`, and at least to 1 MiB; there is at
 * least one, and it is empty if there are no rows. The segments of a partition are in the order of
 * the tasks.
 */
export function planShuffled(
  spec: ShuffleSpec,
  outputs: readonly ShuffleOutput[],
): readonly ShuffledPartition[] {
  const partitions = spec.kind === "range" ? planRanges(spec, outputs) : planBuckets(spec, outputs);
  return partitions.length > 0 ? partitions : [EMPTY];
}

const EMPTY: ShuffledPartition = { segments: [], rows: 0, bytes: 0 };

function planBuckets(spec: ShuffleSpec, outputs: readonly ShuffleOutput[]): readonly ShuffledPartition[] {
  const buckets = partsByBucket(spec.buckets, outputs);
  if (spec.isFixed) return buckets.map((parts) => partitionOf(outputs, parts));
  const sizeOf = (parts: readonly Part[]) => parts.reduce((sum, part) => sum + bytesOf(outputs, part), 0);
  const asked = spec.maySplit ? Math.max(spec.targetBytes, totalOf(outputs) / MAX_SPLIT) : spec.targetBytes;
  const pieces = buckets.flatMap((parts): readonly (readonly Part[])[] => {
    const isLarge = spec.maySplit && sizeOf(parts) > LARGE_FACTOR * asked;
    return isLarge ? grouped(parts, (part) => bytesOf(outputs, part), asked) : [parts];
  });
  const target = Math.max(MIN_BYTES, asked);
  return grouped(pieces, sizeOf, target)
    .map((group) => partitionOf(outputs, group.flat()))
    .filter(({ rows }) => rows > 0);
}

function totalOf(outputs: readonly ShuffleOutput[]): number {
  return outputs.reduce((sum, { bytes }) => sum + bytes, 0);
}

function partsByBucket(count: number, outputs: readonly ShuffleOutput[]): readonly (readonly Part[])[] {
  const buckets: Part[][] = Array.from({ length: count }, () => []);
  for (const [task, { parts }] of outputs.entries())
    for (const [part, [bucket]] of parts.entries()) {
      const found = buckets[bucket];
      if (found === undefined) throw new RangeError(`there is no bucket ${bucket} of ${count}`);
      found.push({ task, part });
    }
  return buckets;
}

/** Puts neighbours together as long as they do not exceed `target`. */
function grouped<T>(items: readonly T[], sizeOf: (item: T) => number, target: number): readonly T[][] {
  const groups: T[][] = [];
  let bytes = 0;
  for (const item of items) {
    const size = sizeOf(item);
    const last = groups.at(-1);
    if (last !== undefined && bytes + size <= target) {
      last.push(item);
      bytes += size;
    } else {
      groups.push([item]);
      bytes = size;
    }
  }
  return groups;
}

function planRanges(
  spec: ShuffleSpec & { readonly kind: "range" },
  outputs: readonly ShuffleOutput[],
): readonly ShuffledPartition[] {
  const chunks = rangeChunks(outputs);
  const total = chunks.reduce((sum, { bytes }) => sum + bytes, 0);
  const wanted = Math.ceil(total / Math.max(MIN_BYTES, spec.targetBytes));
  const count = spec.isFixed ? spec.buckets : Math.min(spec.buckets, wanted);
  if (chunks.length === 0) return Array.from({ length: count }, () => EMPTY);
  const cuts = cutsOf(chunks, count);
  const ranges = Array.from({ length: cuts.length + 1 }, (_, i) =>
    rangeOf(spec, outputs, chunks, cuts[i - 1], cuts[i]),
  );
  const missing = Array.from({ length: count - ranges.length }, () => EMPTY);
  return spec.isFixed ? [...ranges, ...missing] : ranges;
}

function rangeOf(
  { ordering }: ShuffleSpec & { readonly kind: "range" },
  outputs: readonly ShuffleOutput[],
  chunks: readonly RangeChunk[],
  from: Buffer | undefined,
  to: Buffer | undefined,
): ShuffledPartition {
  const inside = chunks.filter(
    ({ first, last }) =>
      (from === undefined || Buffer.compare(last, from) >= 0) &&
      (to === undefined || Buffer.compare(first, to) < 0),
  );
  return {
    ...partitionOf(outputs, inside),
    ...(from === undefined ? {} : { from: from.toString("base64") }),
    ...(to === undefined ? {} : { to: to.toString("base64") }),
    ordering,
  };
}

function bytesOf(outputs: readonly ShuffleOutput[], { task, part }: Part): number {
  const [, start = 0, end = 0] = outputs[task]?.parts[part] ?? [];
  return end - start;
}

/** Returns the partition of these parts, in the order of the tasks and of their files. */
function partitionOf(outputs: readonly ShuffleOutput[], parts: readonly Part[]): ShuffledPartition {
  const sorted = parts.toSorted((a, b) => a.task - b.task || a.part - b.part);
  const segments: ShuffleSegment[] = [];
  let [rows, bytes] = [0, 0];
  for (const { task, part } of sorted) {
    const output = outputs[task] as ShuffleOutput;
    const [, start, end, count] = output.parts[part] as readonly [number, number, number, number];
    rows += count;
    bytes += end - start;
    const last = segments.at(-1);
    if (last?.key === output.key && last.end === start) segments[segments.length - 1] = { ...last, end };
    else segments.push({ key: output.key, fileBytes: output.bytes, start, end });
  }
  return { segments, rows, bytes };
}
