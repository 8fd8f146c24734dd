import { anyIterable, jsonMessage, nullMessage } from "./exceptions/accepted-batches.ts";
import { BATCH_REWRITES } from "./exceptions/batch-actions.ts";
import { abortAgain, acknowledgeAfterCommit } from "./exceptions/ends.ts";
import { initialOffsetOnce, oneSignature, planInOneStep, recordedPartitions } from "./exceptions/planning.ts";
import { checkpointOption, readOnDemand, stopAlways } from "./exceptions/processes.ts";
import { emptyFirstBatch, forwardOnly, keyOrder } from "./exceptions/removed-batches.ts";
import type { Rewrite } from "./exceptions/rewrite.ts";
import type { Run } from "./trace.ts";

/** Exceptions for recordings of streams, in the order in which they are applied. */
export const REWRITES: readonly Rewrite[] = [
  checkpointOption,
  forwardOnly,
  emptyFirstBatch,
  keyOrder,
  nullMessage,
  jsonMessage,
  anyIterable,
  oneSignature,
  initialOffsetOnce,
  planInOneStep,
  acknowledgeAfterCommit,
  recordedPartitions,
  abortAgain,
  readOnDemand,
  stopAlways,
];

/**
 * Returns Spark's runs, changed as if Spark behaved like Millrace, and the ids of the exceptions
 * that changed them.
 */
export function rewritten(recorded: readonly Run[]): {
  readonly expected: Run[];
  readonly used: Set<string>;
} {
  const expected = structuredClone([...recorded]);
  const rules = recorded.some(({ isBatch }) => isBatch) ? BATCH_REWRITES : REWRITES;
  const used = rules.filter((rule) => rule.rewrite(expected)).map(({ id }) => id);
  return { expected, used: new Set(used) };
}
