import { type Args, type Call, isIdlePoll, parsed, type Run, sameJson } from "../trace.ts";

/** An intended difference from Spark. */
export interface Exception {
  readonly id: string;
  /** The reason for the difference, and the page that documents it. */
  readonly reason: string;
}

/**
 * An intended difference that can be predicted from the recording alone. `rewrite` changes Spark's
 * trace as if Spark behaved like Millrace. The engine must then make exactly these calls, so no
 * other difference is hidden.
 */
export interface Rewrite extends Exception {
  /** Changes `runs`. Returns true if they had the difference. */
  rewrite(runs: Run[]): boolean;
}

/** Calls `change` for each item and returns true if any item had the difference. */
export function changeEach<T>(items: readonly T[], change: (item: T, index: number) => boolean): boolean {
  return items.map(change).includes(true);
}

/**
 * Removes the calls of a run's driver for which `isRemoved` returns true. Returns true if there
 * were any.
 */
export function removeCalls(
  run: Run,
  isRemoved: (call: Call, index: number, calls: readonly Call[]) => boolean,
): boolean {
  const kept = run.driver.filter((call, index, calls) => !isRemoved(call, index, calls));
  const hasRemoved = kept.length < run.driver.length;
  run.driver = kept;
  return hasRemoved;
}

export function isCall(call: Call | undefined, ...names: readonly string[]): boolean {
  return call !== undefined && names.includes(call.call);
}

export function isFaultAt(call: Call | undefined, point: string): boolean {
  return isCall(call, `!! raise in ${point}`, `!! kill -9 JVM from ${point}`);
}

export function sameRange(a: Args, b: Args): boolean {
  return sameJson(a["start"], b["start"]) && sameJson(a["end"], b["end"]);
}

/**
 * Returns the range of a `latestOffset` that found new data, and `undefined` for any other call.
 */
export function rangeOf(call: Call): Args | undefined {
  if (!isCall(call, "reader.latestOffset") || isIdlePoll(call)) return undefined;
  return { start: call.args["start"] ?? null, end: parsed(call.args["returns"] ?? null) };
}
