import { type BatchSummary, type Finalized, WHY_DONE, type Written } from "../shared/aws/state.ts";
import type { ErrorCode } from "../shared/contract/error-codes.ts";
import { type ErrorRecord, MillraceError } from "../shared/contract/errors.ts";
import type { FinalizeResult } from "../shared/engine/finalize.ts";
import type { Batch } from "../shared/engine/ports/ledger.ts";
import { errorAfterCommit } from "../shared/engine/run/next.ts";
import { describeError } from "./describe-error.ts";
import { eventsAfterBatch, MAX_EVENTS } from "./history.ts";

/**
 * Decides what the execution does after Finalize. It continues in a new execution if its history
 * gets too long or half of its timeout, `executionMilliseconds`, is over.
 */
export function afterFinalize(
  work: Written,
  ended: FinalizeResult,
  now: number,
  executionMilliseconds: number,
): Finalized {
  const { batch, failure } = ended;
  const afterCommit = errorAfterCommit(ended);
  const error = afterCommit ?? failure ?? batch.error;
  if (batch.state === "aborted" && work.aborted === "Failed")
    return failedWith(error, "the batch was aborted");
  if (afterCommit !== undefined) return failedWith(error, "commit(end) of the source failed");
  if (batch.state === "committed" && work.committed === "Done") {
    return { next: "Done", why: WHY_DONE.committed, batch: summaryOf(batch) };
  }
  const events = eventsAfterBatch(work.input.events ?? 0, work.todo.length);
  const isLong = now - Date.parse(work.execution.startedAt) > executionMilliseconds / 2;
  const { events: _events, ...input } = work.input;
  return events > MAX_EVENTS || isLong
    ? { next: "Continue", input: { ...input, reason: `goes on from ${work.execution.id}` } }
    : { ...input, next: "Plan", events };
}

function failedWith(thrown: ErrorRecord | MillraceError | undefined, otherwise: string): Finalized {
  const error = MillraceError.is(thrown) ? thrown.toRecord() : thrown;
  const { code = "BATCH_ABORTED" satisfies ErrorCode } = error ?? {};
  return { next: "Failed", error: { code, message: error === undefined ? otherwise : describeError(error) } };
}

export function summaryOf(batch: Batch): BatchSummary {
  const { rows, bytes } = batch.progress ?? { rows: 0, bytes: 0 };
  return { batchId: batch.batchId, attempt: batch.attempt, state: batch.state, rows, bytes };
}
