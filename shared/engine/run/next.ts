import type { MillraceError } from "../../contract/errors.ts";
import type { FinalizeResult } from "../finalize.ts";
import type { BatchState } from "../ports/states.ts";
import type { RunPolicy } from "./policy.ts";

/** Result of one round: one plan and, if it returned a batch, its tasks and its end. */
export type RunOutcome =
  /** There was no new data, or the batch was skipped because its target exists. */
  | "idle"
  | "paused"
  /** The pipeline was paused by a batch that was aborted again and again. */
  | "pausedByFailures"
  | "committed"
  /**
   * The batch is committed, but the source's `commit(end)` or the sink's `reportDriverMetrics()`
   * failed.
   */
  | "unacknowledged"
  /** This run decided to abort the batch, or the sink's commit failed. */
  | "aborted"
  /**
   * An earlier run decided to abort the batch and stopped. This run finished the abort, so the
   * batch can be replayed at once.
   */
  | "abortedBefore"
  /** A step threw an error. */
  | "failed"
  /** The run was told to stop, for example by a signal. */
  | "interrupted";

/** Counts of a run so far, including the last round. */
export interface RunCount {
  /** Number of committed batches. */
  readonly batches: number;
  /** Number of rounds without a batch since the last batch. */
  readonly idle: number;
}

/**
 * What a run does next: plan at once, plan after its interval, plan after the wait that follows a
 * failure, end without an error, or end with the error of the round.
 */
export type Next = "plan" | "wait" | "recover" | "end" | "fail";

/** Returns what a run does after a round. */
export function next(policy: RunPolicy, outcome: RunOutcome, count: RunCount): Next {
  const { interval, maxBatches = Number.POSITIVE_INFINITY, maxIdle = Number.POSITIVE_INFINITY } = policy;
  const isPeriodic = interval !== undefined;
  const afterFailure = policy.outlivesFailures === true ? "recover" : "fail";
  const rounds: Readonly<Record<RunOutcome, Next>> = {
    idle: isPeriodic && count.idle < maxIdle ? "wait" : "end",
    paused: isPeriodic && count.idle < maxIdle ? "wait" : "end",
    pausedByFailures: isPeriodic && count.idle < maxIdle ? "wait" : "fail",
    committed: count.batches >= maxBatches ? "end" : isPeriodic ? "wait" : "plan",
    unacknowledged: afterFailure,
    aborted: afterFailure,
    failed: afterFailure,
    abortedBefore: "plan",
    interrupted: "end",
  };
  return rounds[outcome];
}

/** Returns the error of a call that came after the commit. The batch is committed all the same. */
export function errorAfterCommit({ unacknowledged, unreported }: FinalizeResult): MillraceError | undefined {
  return unacknowledged ?? unreported;
}

/**
 * Returns the outcome of a round with a batch. `found` is the state that the batch had when this
 * run planned or resumed it.
 */
export function outcomeOfBatch(
  found: BatchState,
  ended: FinalizeResult,
): Extract<RunOutcome, "committed" | "unacknowledged" | "aborted" | "abortedBefore"> {
  if (ended.batch.state === "committed")
    return errorAfterCommit(ended) === undefined ? "committed" : "unacknowledged";
  return found === "aborting" ? "abortedBefore" : "aborted";
}
