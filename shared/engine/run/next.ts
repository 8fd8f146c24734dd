import type { FinalizeResult } from "../finalize.ts";
import type { BatchState } from "../ports/states.ts";
import type { RunPolicy } from "./policy.ts";

/** What came of one round of a run. */
export type RunOutcome =
  /** There was no new data, or the save mode left the target alone. */
  | "idle"
  | "paused"
  | "committed"
  /** The batch is committed, but its source could not be told. */
  | "unacknowledged"
  /** This run decided to abort the batch, or its commit failed. */
  | "aborted"
  /**
   * An earlier run had decided to abort and got no further; the batch is now free to be replayed.
   */
  | "abortedBefore"
  /** The run was told to stop. */
  | "interrupted";

/** What a run has done so far, the last round included. */
export interface RunCount {
  /** Batches committed. */
  readonly batches: number;
  /** Rounds in a row without a batch. */
  readonly idle: number;
}

/**
 * What a run does next: plans at once, plans when its interval is over, ends well, or ends with the
 * error of the round.
 */
export type Next = "plan" | "wait" | "end" | "fail";

/** What comes after a round. */
export function next(policy: RunPolicy, outcome: RunOutcome, count: RunCount): Next {
  const { interval, maxBatches = Number.POSITIVE_INFINITY, maxIdle = Number.POSITIVE_INFINITY } = policy;
  const isPeriodic = interval !== undefined;
  const rounds: Readonly<Record<RunOutcome, Next>> = {
    idle: isPeriodic && count.idle < maxIdle ? "wait" : "end",
    paused: isPeriodic && count.idle < maxIdle ? "wait" : "end",
    committed: count.batches >= maxBatches ? "end" : isPeriodic ? "wait" : "plan",
    unacknowledged: "fail",
    aborted: "fail",
    abortedBefore: "plan",
    interrupted: "end",
  };
  return rounds[outcome];
}

/** What came of a batch that the run found in the state `found`. */
export function outcomeOfBatch(
  found: BatchState,
  { batch, unacknowledged }: FinalizeResult,
): Exclude<RunOutcome, "idle" | "paused" | "interrupted"> {
  if (batch.state === "committed") return unacknowledged === undefined ? "committed" : "unacknowledged";
  return found === "aborting" ? "abortedBefore" : "aborted";
}
