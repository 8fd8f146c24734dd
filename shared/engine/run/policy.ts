import type { TriggerKind } from "../../contract/pipeline.ts";
import { ReadAllAvailable, type ReadLimit } from "../../contract/read-limit.ts";

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

/** The limit of a batch; `undefined` for the reader's own. */
export function limitOf({ readsAll }: RunPolicy): ReadLimit | undefined {
  return readsAll ? new ReadAllAvailable() : undefined;
}
