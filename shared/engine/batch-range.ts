import { isUtcTime } from "../contract/iso.ts";
import { isPlainObject } from "../contract/json.ts";
import type { TimeRangeJson } from "../contract/time-range.ts";

/**
 * Returns the range of time that these partitions of a batch pipeline cover: from the first to
 * the last. Returns `undefined` unless each begins where the one before it ends.
 */
export function rangeOf(partitions: readonly unknown[]): TimeRangeJson | undefined {
  let range: TimeRangeJson | undefined;
  for (const partition of partitions) {
    if (!isPlainObject(partition)) return undefined;
    const { from, to } = partition;
    if (typeof from !== "string" || typeof to !== "string" || !isUtcTime(from) || !isUtcTime(to))
      return undefined;
    if (range !== undefined && range.to !== from) return undefined;
    range = { from: range?.from ?? from, to };
  }
  return range;
}
