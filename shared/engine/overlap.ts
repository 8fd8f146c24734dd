import { MillraceError, show } from "../contract/errors.ts";
import { firstOverlap, type Interval } from "../contract/intervals.ts";
import { epochMicros, exists, scanMoment } from "../contract/iso.ts";
import { canonicalJson, isPlainObject, type JsonValue } from "../contract/json.ts";

interface Range extends Interval<number | bigint> {
  /** Index of the partition that has this range. */
  readonly index: number;
}

/**
 * Throws `PARTITIONS_OVERLAP` if two partitions certainly read the same rows. That is the case if
 * they are equal. It is also the case if both have a range `{ from, to }` of numbers or times, the
 * ranges overlap, and all other fields are equal. Ranges are half-open: one may begin where another
 * ends.
 */
export function checkOverlap(partitions: readonly unknown[]): void {
  const seen = new Map<string, number>();
  const rangesByKey = new Map<string, Range[]>();
  partitions.forEach((partition, index) => {
    const text = canonicalJson(partition as JsonValue);
    const equalIndex = seen.get(text);
    if (equalIndex !== undefined) throw partitionsOverlap(equalIndex, index, `are equal: ${show(partition)}`);
    seen.set(text, index);
    const found = rangeOf(partition);
    if (found === undefined) return;
    const range = { ...found.range, index };
    const others = rangesByKey.get(found.groupKey);
    if (others === undefined) rangesByKey.set(found.groupKey, [range]);
    else others.push(range);
  });
  for (const ranges of rangesByKey.values()) {
    const [a, b] = firstOverlap(ranges) ?? [];
    if (a !== undefined && b !== undefined) throw rangesOverlap(partitions, a.index, b.index);
  }
}

/**
 * Returns the range of a partition, if it has one. Only ranges with the same `groupKey` can be
 * compared.
 */
function rangeOf(
  partition: unknown,
): { readonly range: Interval<number | bigint>; readonly groupKey: string } | undefined {
  if (!isPlainObject(partition)) return undefined;
  const { from, to, ...rest } = partition;
  if (typeof from === "number" && typeof to === "number")
    return { range: { from, to }, groupKey: canonicalJson(["number", rest as JsonValue]) };
  const [start, end] = [microsOf(from), microsOf(to)];
  if (start === undefined || end === undefined) return undefined;
  return { range: { from: start, to: end }, groupKey: canonicalJson(["time", rest as JsonValue]) };
}

/** Parses a time with a zone, as `TimeRange.toJSON` writes it, into epoch microseconds. */
function microsOf(value: unknown): bigint | undefined {
  const moment = typeof value === "string" ? scanMoment(value) : undefined;
  return moment?.offset !== undefined && exists(moment) ? epochMicros(moment) : undefined;
}

/** Returns the error for two partitions whose ranges overlap. */
export function rangesOverlap(partitions: readonly unknown[], a: number, b: number): MillraceError {
  return partitionsOverlap(a, b, `overlap: ${show(partitions[a])} and ${show(partitions[b])}`);
}

function partitionsOverlap(a: number, b: number, problem: string): MillraceError {
  return new MillraceError("PARTITIONS_OVERLAP", `partitions ${a} and ${b} ${problem}`, {
    hint: "Their rows would be written twice. Ranges are half-open: the first row of one is the end of the one before it. TimeRange.split makes such ranges. If these are no ranges, call the fields otherwise.",
  });
}
