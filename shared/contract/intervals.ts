/** A half-open interval: it contains `from` but not `to`. */
export interface Interval<End> {
  readonly from: End;
  readonly to: End;
}

/**
 * Returns the first two intervals that overlap, ordered by their start. Empty intervals overlap
 * nothing.
 */
export function firstOverlap<I extends Interval<number | bigint | string>>(
  intervals: Iterable<I>,
): readonly [I, I] | undefined {
  const sorted = [...intervals]
    .filter(({ from, to }) => from < to)
    .sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
  let last: I | undefined;
  for (const interval of sorted) {
    if (last !== undefined && interval.from < last.to) return [last, interval];
    if (last === undefined || interval.to > last.to) last = interval;
  }
  return undefined;
}
