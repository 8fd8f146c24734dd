import { MillraceError, show } from "../contract/errors.ts";
import { scanMoment } from "../contract/iso.ts";
import { canonicalJson, isPlainObject, type JsonValue } from "../contract/json.ts";

/** How people name the two ends of a range: the rest of the name, such as `Time` or `_id`, is the same for both. */
const ENDS: readonly (readonly [string, string])[] = [
  ["from", "to"],
  ["from", "until"],
  ["start", "end"],
  ["start", "stop"],
  ["begin", "end"],
  ["lo", "hi"],
  ["low", "high"],
  ["lower", "upper"],
  ["min", "max"],
  ["since", "until"],
  ["after", "before"],
  ["first", "last"],
];

interface Range {
  readonly index: number;
  readonly from: number | bigint;
  readonly to: number | bigint;
}

/**
 * Refuses partitions that read rows twice, as far as that can be seen: equal ones, and ranges such as `{ from, to }` that overlap although all else in
 * them is equal. Ranges are half-open: where one ends the next may begin. Error: `PARTITIONS_OVERLAP`.
 */
export function checkOverlap(partitions: readonly unknown[]): void {
  const seen = new Map<string, number>();
  const ranges = new Map<string, Range[]>();
  partitions.forEach((partition, index) => {
    const text = canonicalJson(partition as JsonValue);
    const twin = seen.get(text);
    if (twin !== undefined) throw overlap(twin, index, `are equal: ${show(partition)}`);
    seen.set(text, index);
    const found = rangeOf(partition, index);
    if (found === undefined) return;
    const group = ranges.get(found.rest);
    if (group === undefined) ranges.set(found.rest, [found.range]);
    else group.push(found.range);
  });
  for (const group of ranges.values()) {
    group.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
    let last: Range | undefined;
    for (const range of group) {
      if (last !== undefined && range.from < last.to && range.from < range.to)
        throw overlap(
          last.index,
          range.index,
          `overlap: ${show(partitions[last.index])} and ${show(partitions[range.index])}`,
        );
      if (last === undefined || range.to > last.to) last = range;
    }
  }
}

/** A partition with one pair of ends, and all else of it as text: only ranges of the same rest can overlap. */
function rangeOf(
  partition: unknown,
  index: number,
): { readonly range: Range; readonly rest: string } | undefined {
  if (!isPlainObject(partition)) return undefined;
  const keys = Object.keys(partition);
  for (const [first, last] of ENDS) {
    for (const fromKey of keys) {
      const toKey = keys.find(
        (key) => key !== fromKey && key.toLowerCase() === withEnd(fromKey, first, last),
      );
      if (toKey === undefined) continue;
      const from = instantOrNumber(partition[fromKey]);
      const to = instantOrNumber(partition[toKey]);
      if (from === undefined || to === undefined || typeof from !== typeof to) return undefined;
      const { [fromKey]: _from, [toKey]: _to, ...rest } = partition;
      return { range: { index, from, to }, rest: canonicalJson([fromKey, rest as JsonValue]) };
    }
  }
  return undefined;
}

/** `startTime` and `start_time` have the other ends `endtime` and `end_time`; `fromId`, `idFrom` likewise. */
function withEnd(key: string, first: string, last: string): string | undefined {
  const lower = key.toLowerCase();
  if (lower.startsWith(first)) return last + lower.slice(first.length);
  if (lower.endsWith(first)) return lower.slice(0, -first.length) + last;
  return undefined;
}

/** What orders: a number, a whole number as text, or a time. */
function instantOrNumber(value: unknown): number | bigint | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string") return undefined;
  if (/^-?\d+$/.test(value)) return BigInt(value);
  const moment = scanMoment(value) ?? scanMoment(`${value}T00:00`);
  const seconds = (moment?.seconds ?? Number.NaN) - (moment?.offset ?? 0);
  return moment === undefined || Number.isNaN(seconds)
    ? undefined
    : BigInt(seconds) * 1_000_000n + BigInt(moment.micros);
}

function overlap(a: number, b: number, problem: string): MillraceError {
  return new MillraceError("PARTITIONS_OVERLAP", `partitions ${a} and ${b} ${problem}`, {
    hint: "Their rows would be written twice. Ranges are half-open: the first row of one is the end of the one before it. TimeRange.split makes such ranges.",
  });
}
