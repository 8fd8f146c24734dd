import type { JsonValue } from "../../contract/json.ts";
import type { TriggerKind } from "../../contract/pipeline.ts";
import { ReadAllAvailable, type ReadLimit } from "../../contract/read-limit.ts";
import type { SourceSession } from "../sessions/source-session.ts";

/** How much each batch of a run takes, and when the run plans again. */
export interface RunPolicy {
  /** True if a batch takes everything there is; otherwise the reader's own limit counts. */
  readonly readsAll: boolean;
  /** Batches at most; absent for as many as there are. */
  readonly maxBatches?: number;
  /** Milliseconds from one plan to the next; absent in a run that ends when nothing is new. */
  readonly interval?: number;
  /** Plans in a row without a batch after which a run with an interval ends; absent if it never ends by itself. */
  readonly maxIdle?: number;
}

export interface PolicyOptions {
  /** True if the reader fixes what "available now" is. */
  readonly isBounded: boolean;
  /** Of a run that keeps the trigger's interval itself, milliseconds; without it a schedule does, and each run has one batch. */
  readonly interval?: number | undefined;
}

/** The policy of a trigger, as Spark has it: a run that has one batch, whatever comes, asks for everything there is. */
export function policyOf(trigger: TriggerKind, { isBounded, interval }: PolicyOptions): RunPolicy {
  if (trigger === "processingTime") {
    return interval === undefined ? { readsAll: false, maxBatches: 1 } : { readsAll: false, interval };
  }
  const hasManyBatches = trigger === "availableNow" && isBounded;
  return hasManyBatches ? { readsAll: false } : { readsAll: true, maxBatches: 1 };
}

/**
 * The policy of a run, for which the source may be asked how far it goes. `target` is what its reader
 * fixed as available in another process of the same run.
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

/** The limit of a batch; `undefined` for the reader's own. */
export function limitOf({ readsAll }: RunPolicy): ReadLimit | undefined {
  return readsAll ? new ReadAllAvailable() : undefined;
}
