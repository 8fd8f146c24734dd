/**
 * When a slow task gets a second attempt beside the first, with the names and the meaning of
 * Spark's settings `spark.speculation.*`.
 */
export interface SpeculationPolicy {
  /** How often the running tasks are looked at, in milliseconds. */
  readonly intervalMs: number;
  /** Share of the batch's tasks that must have finished before, from 0 to 1. */
  readonly quantile: number;
  /** How many times as long as the median of the finished tasks a slow task runs. */
  readonly multiplier: number;
  /** The shortest time after which a task may be slow, in milliseconds. */
  readonly minRuntimeMs: number;
}

/** The defaults of Spark 4. */
export const SPECULATION: SpeculationPolicy = {
  intervalMs: 100,
  quantile: 0.9,
  multiplier: 3,
  minRuntimeMs: 100,
};

/**
 * Returns how long a task of the batch runs before it is slow, in milliseconds. Returns `undefined`
 * as long as too few tasks have finished. `finished` has the time that each of them took.
 */
export function slowAfter(
  { quantile, multiplier, minRuntimeMs }: SpeculationPolicy,
  finished: readonly number[],
  tasks: number,
): number | undefined {
  if (finished.length < Math.max(1, Math.floor(quantile * tasks))) return undefined;
  // As in Spark, the median of an even number of values is the upper one of the two in the middle.
  const median = finished.toSorted((a, b) => a - b)[Math.floor(finished.length / 2)] ?? 0;
  return Math.max(minRuntimeMs, multiplier * median);
}
