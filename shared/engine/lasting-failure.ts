import type { ErrorCode } from "../contract/error-codes.ts";
import type { ErrorRecord } from "../contract/errors.ts";
import type { PipelineDefinition } from "../contract/pipeline-definition.ts";
import type { Batch, LastingFailure } from "./ports/ledger.ts";

/** Aborts of one batch by errors that will not pass, after which a pipeline is paused. */
const PAUSE_AFTER_ABORTS = 10;

/**
 * Codes of errors that may pass although no step is tried again because of them: what the user's
 * code threw says nothing of its cause, the disk or the table of the ledger can come back, and the
 * next run cures what another writer or a deleted file has caused.
 */
const MAY_PASS: ReadonlySet<string> = new Set<ErrorCode>([
  "BATCH_ABORTED",
  "CATALOG_FAILED",
  "COMMIT_CONFLICTS",
  "LEDGER_CONFLICT",
  "LEDGER_FAILED",
  "MESSAGE_MISSING",
  "PARTITIONS_MISSING",
  "PLAN_FILE_MISSING",
  "ROWS_CHANGED",
  "SHUFFLE_FILE_MISSING",
  "SINK_FAILED",
  "SOURCE_FAILED",
  "SPILL_FAILED",
  "STORE_FAILED",
  "TABLE_CHANGED",
  "TABLE_REPLACED",
  "TASKS_MISSING",
  "TASK_CANCELLED",
  "TASK_FAILED",
]);

/** True if a batch that was aborted because of the error may be committed without a change. */
function mayPass({ code, retryable }: ErrorRecord): boolean {
  return retryable === true || MAY_PASS.has(code);
}

/** Returns the error that aborts the attempt, if it will not pass. */
export function lastingFailureOf(
  { pausesAfter = PAUSE_AFTER_ABORTS }: Pick<PipelineDefinition, "pausesAfter">,
  { error }: Batch,
): LastingFailure | undefined {
  if (error === undefined || mayPass(error)) return undefined;
  return { code: error.code, ...(pausesAfter === "never" ? {} : { pausesAfter }) };
}
