import type { JsonValue } from "../../contract/json.ts";
import { ReadAllAvailable, type ReadLimit } from "../../contract/read-limit.ts";
import type { TriggerKind } from "../../contract/trigger.ts";
import type { SourceSession } from "../sessions/source-session.ts";

/** How much each batch of a run reads, and when the run plans again. */
export interface RunPolicy {
  /** True if each batch reads all available data. Otherwise the reader's own limit applies. */
  readonly readsAll: boolean;
  /** Maximum number of batches. Absent for no limit. */
  readonly maxBatches?: number;
  /** Milliseconds from one plan to the next. Absent if the run ends when there is no new data. */
  readonly interval?: number;
  /**
   * A run with an interval ends after this many plans in a row without a batch. Absent if it never
   * ends by itself.
   */
  readonly maxIdle?: number;
  /** True if the run goes on after failures that may pass. Otherwise it ends at the first one. */
  readonly outlivesFailures?: boolean;
}

export interface PolicyOptions {
  /** True if the reader is a `SupportsTriggerAvailableNow`, which fixes the end of the run. */
  readonly isBounded: boolean;
  /**
   * Interval of the trigger in milliseconds, if the run itself waits between batches. Without it a
   * schedule starts the runs, and each has one batch.
   */
  readonly interval?: number | undefined;
}

/**
 * Returns the policy of a trigger. As in Spark, a run that can only have one batch reads all
 * available data.
 */
export function policyOf(trigger: TriggerKind, { isBounded, interval }: PolicyOptions): RunPolicy {
  if (trigger === "processingTime") {
    if (interval === undefined) return { readsAll: false, maxBatches: 1 };
    return { readsAll: false, interval, outlivesFailures: true };
  }
  const hasManyBatches = trigger === "availableNow" && isBounded;
  return hasManyBatches ? { readsAll: false } : { readsAll: true, maxBatches: 1 };
}

/**
 * Returns the policy of a run. For `availableNow` it calls the reader's
 * `prepareForTriggerAvailableNow`, or restores `target`, which the reader fixed in another process
 * of the same run.
 */
export async function askPolicy(
  source: SourceSession,
  trigger: TriggerKind,
  { interval, target }: { readonly interval?: number | undefined; readonly target?: JsonValue | undefined },
): Promise<RunPolicy> {
  if (trigger !== "availableNow") return policyOf(trigger, { isBounded: false, interval });
  const planner = await source.planner();
  return policyOf(trigger, { isBounded: await planner.prepareForTriggerAvailableNow(target) });
}

/** Returns the limit of a batch, or `undefined` for the reader's own. */
export function limitOf({ readsAll }: RunPolicy): ReadLimit | undefined {
  return readsAll ? new ReadAllAvailable() : undefined;
}
