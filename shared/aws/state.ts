import type { JsonValue } from "../contract/json.ts";
import type { BatchRun } from "../engine/ports/ledger.ts";

/**
 * What goes from state to state. All of it is of a fixed size but `todo`, which has at most `distributeAbove` numbers, and `target`, at
 * most 16 KiB.
 */

/** Input of an execution: each field may be left out. */
export interface ExecutionInput {
  /** Replaces the trigger of construct and pipeline. */
  readonly trigger?: "once" | "availableNow" | undefined;
  /** Why it was started: for people. */
  readonly reason?: string | undefined;
  /** What the reader fixed as available, earlier in the run. */
  readonly target?: JsonValue | undefined;
  /** Events that the execution has in its history so far, about. */
  readonly events?: number | undefined;
}

export interface PlanEvent {
  /** Of the input of the execution, or of what Finalize gave. */
  readonly input: ExecutionInput | null;
  readonly execution: { readonly id: string; readonly startedAt: string };
}

/** What the Choice after Plan goes by. */
export type Planned = Done | Work;

/** The execution ends well. */
export interface Done {
  readonly next: "Done";
  readonly why: "nothing new" | "paused" | "another run has the pipeline" | "committed";
  readonly batch?: BatchSummary;
}

/** A batch to be written and finalized. */
export interface Work {
  readonly next: "WriteInline" | "WriteDistributed" | "Finalize";
  readonly run: BatchRun;
  /** Partitions to write, inline. */
  readonly todo: readonly number[];
  /** Object that lists the partitions to write, distributed. */
  readonly items: { readonly bucket: string; readonly key: string } | null;
  /** What follows when the batch is committed, and when it is aborted. */
  readonly committed: "Plan" | "Done";
  readonly aborted: "Plan" | "Failed";
  readonly input: ExecutionInput;
  readonly execution: PlanEvent["execution"];
}

export interface WriteEvent {
  readonly run: BatchRun;
  readonly partition: number;
  /** From 0: how often Step Functions has retried. */
  readonly attemptNumber: number;
}

/** What the Map makes of `Work`. */
export interface Written extends Work {
  /** Tasks that failed for good. */
  readonly failed?: number;
  /** Where a task was ended from outside: 2 by its time-out, 3 in another way. Where the Map failed: its error. */
  readonly killed?: number | string | null;
}

/** What the Choice after Finalize goes by. */
export type Finalized =
  | (ExecutionInput & { readonly next: "Plan" })
  | { readonly next: "Continue"; readonly input: ExecutionInput }
  | { readonly next: "Failed"; readonly error: { readonly code: string; readonly message: string } }
  | Done;

/** For the execution's output. */
export interface BatchSummary {
  readonly batchId: number;
  readonly attempt: number;
  readonly state: string;
  readonly rows: number;
  readonly bytes: number;
}

export interface VacuumEvent {
  /** Milliseconds; a day where it is left out. */
  readonly olderThan?: number;
  readonly dryRun?: boolean;
}
