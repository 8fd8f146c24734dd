import type { JsonValue } from "../contract/json.ts";
import type { BatchRun } from "../engine/ports/ledger.ts";

/**
 * What goes from state to state. All of it is of a fixed size but `todo`, which has at most
 * `distributeAbove` numbers, and `target`, at most 16 KiB.
 */

/** Input of an execution: each field may be left out. */
export interface ExecutionInput {
  /** Replaces the trigger of construct and pipeline. */
  readonly trigger?: "once" | "availableNow" | undefined;
  /** Why it was started: for people. */
  readonly reason?: string | undefined;
  /** What the reader fixed as available, earlier in the run. */
  readonly target?: JsonValue | undefined;
  /** How many events the history of the execution has so far, about. */
  readonly events?: number | undefined;
}

export interface PlanEvent {
  /** The input of the execution, or what Finalize returned. */
  readonly input: ExecutionInput | null;
  readonly execution: { readonly id: string; readonly startedAt: string };
}

/** What the Choice after Plan goes by. */
export type Planned = Done | Work;

/** Why an execution ended well. */
export const WHY_DONE = {
  idle: "nothing new",
  paused: "paused",
  refused: "another run has the pipeline",
  committed: "committed",
} as const;

/** The execution ends well. */
export interface Done {
  readonly next: "Done";
  readonly why: (typeof WHY_DONE)[keyof typeof WHY_DONE];
  readonly batch?: BatchSummary;
}

/** How the tasks of a batch are run. */
export interface Route {
  readonly next: "WriteInline" | "WriteDistributed" | "Finalize";
  /** Partitions to write, inline. */
  readonly todo: readonly number[];
  /** Object that lists the partitions to write, distributed. */
  readonly items: { readonly bucket: string; readonly key: string } | null;
}

/** A batch to be written and finalized. */
export interface Work extends Route {
  readonly run: BatchRun;
  /** What follows when the batch is committed, and when it is aborted. */
  readonly committed: "Plan" | "Done";
  readonly aborted: "Plan" | "Failed";
  readonly input: ExecutionInput;
  readonly execution: PlanEvent["execution"];
}

/** Input of a task's state: an item of the Map. */
export interface WriteItem {
  readonly run: BatchRun;
  readonly partition: number;
}

export interface WriteEvent extends WriteItem {
  /** From 0: how often Step Functions has retried. */
  readonly attemptNumber: number;
}

/** What became of a task, in one digit, for ten thousand of them must fit into the state. */
export const TASK_END = {
  done: 0,
  /** Its error is in the store. */
  failed: 1,
  outOfTime: 2,
  /** It was ended in another way: out of memory, `process.exit`, or a crash. */
  killed: 3,
} as const;

/** What the Map adds to `Work`. */
export interface TaskEnds {
  /** Tasks that did not end well. */
  readonly failed?: number;
  /** If a task was ended from outside: how (`TASK_END`). If the Map failed: its error. */
  readonly killed?: number | string | null;
}

/** What the Map makes of `Work`. */
export type Written = Work & TaskEnds;

/** What the Choice after Finalize goes by. */
export type Finalized = PlanAgain | Continued | Failed | Done;

/** The next batch is planned in this execution. */
export interface PlanAgain extends ExecutionInput {
  readonly next: "Plan";
}

/** A new execution goes on, with this input. */
export interface Continued {
  readonly next: "Continue";
  readonly input: ExecutionInput;
}

/** The execution fails. */
export interface Failed {
  readonly next: "Failed";
  readonly error: { readonly code: string; readonly message: string };
}

/**
 * What the state machine adds to `Continued`: whoever follows the execution goes on with that one.
 */
export interface NextExecution {
  /** ARN. */
  readonly execution: string;
}

/** For the execution's output. */
export interface BatchSummary {
  readonly batchId: number;
  readonly attempt: number;
  readonly state: string;
  readonly rows: number;
  readonly bytes: number;
}

export interface VacuumEvent {
  /** Milliseconds. Default: a day. */
  readonly olderThan?: number;
  readonly dryRun?: boolean;
}
