import type { JsonValue } from "../contract/json.ts";
import type { BatchRun } from "../engine/ports/ledger.ts";

/**
 * The payloads that pass between the states of the state machine. They have a fixed size, except
 * `todo` (at most `distributeAbove` numbers) and `target` (at most 16 KiB), because Step Functions
 * limits the size of a payload.
 */

/** Input of an execution. Each field is optional. */
export interface ExecutionInput {
  /** Overrides the trigger of the construct and of the pipeline. */
  readonly trigger?: "once" | "availableNow" | undefined;
  /** Why the execution was started. Only people read it. */
  readonly reason?: string | undefined;
  /** True for an execution that sends the quarantined rows again, in one batch. */
  readonly retryQuarantine?: boolean | undefined;
  /** Name of a backfill of the pipeline, whose range is in the ledger. Absent for the pipeline. */
  readonly backfill?: string | undefined;
  /** The end that the reader fixed earlier in this `availableNow` run. */
  readonly target?: JsonValue | undefined;
  /** Approximate number of events in the history of the execution so far. */
  readonly events?: number | undefined;
}

/** Input of the step that plans the next stage of a batch whose tasks exchange rows. */
export interface StageEvent {
  readonly exchanged: Written;
}

export interface PlanEvent {
  /** The input of the execution, or the output of Finalize. */
  readonly input: ExecutionInput | null;
  readonly execution: { readonly id: string; readonly startedAt: string };
}

/** Output of Plan. The Choice state after it reads `next`. */
export type Planned = Done | Work;

/** Reasons for which an execution ends without an error. */
export const WHY_DONE = {
  idle: "nothing new",
  paused: "paused",
  refused: "another run has the pipeline",
  committed: "committed",
} as const;

/** Tells the state machine to end without an error. */
export interface Done {
  readonly next: "Done";
  readonly why: (typeof WHY_DONE)[keyof typeof WHY_DONE];
  readonly batch?: BatchSummary;
}

/** Which states run the tasks of a batch. */
export interface Route {
  readonly next:
    | "ExchangeInline"
    | "ExchangeDistributed"
    | "PlanStage"
    | "WriteInline"
    | "WriteDistributed"
    | "Finalize";
  /** Partitions to exchange or to write if the Map is inline. */
  readonly todo: readonly number[];
  /** S3 object that lists these partitions if the Map is distributed. */
  readonly items: { readonly bucket: string; readonly key: string } | null;
}

/** A batch that must be written and finalized. */
export interface Work extends Route {
  readonly run: BatchRun;
  /** The state after Finalize if the batch is committed, and if it is aborted. */
  readonly committed: "Plan" | "Done";
  readonly aborted: "Plan" | "Failed";
  readonly input: ExecutionInput;
  readonly execution: PlanEvent["execution"];
}

/** Input of one task: an item of the Map. */
export interface WriteItem {
  readonly run: BatchRun;
  readonly partition: number;
}

export interface WriteEvent extends WriteItem {
  /** How often Step Functions has retried this task, from 0. */
  readonly attemptNumber: number;
}

/**
 * How a task ended. It is a single digit, because the results of ten thousand tasks must fit into a
 * payload.
 */
export const TASK_END = {
  done: 0,
  /** The task failed, and its error is in the store. */
  failed: 1,
  outOfTime: 2,
  /** The task was ended from outside: out of memory, `process.exit` or a crash. */
  killed: 3,
} as const;

/** Fields that the Map state adds to `Work`. */
export interface TaskEnds {
  /** Number of tasks that did not succeed. */
  readonly failed?: number;
  /**
   * A `TASK_END` if a task was ended from outside, or the name of the error if the Map itself
   * failed.
   */
  readonly killed?: number | string | null;
}

/** Output of the Map state. */
export type Written = Work & TaskEnds;

/** Output of Finalize. The Choice state after it reads `next`. */
export type Finalized = PlanAgain | Continued | Failed | Done;

/** Plan the next batch in this execution. */
export interface PlanAgain extends ExecutionInput {
  readonly next: "Plan";
}

/** Start a new execution with this input and end this one. */
export interface Continued {
  readonly next: "Continue";
  readonly input: ExecutionInput;
}

/** Result of Finalize that fails the execution. */
export interface Failed {
  readonly next: "Failed";
  readonly error: { readonly code: string; readonly message: string };
}

/**
 * Added to `Continued` by the state machine, so that a program that follows the run can find the
 * next execution.
 */
export interface NextExecution {
  /** ARN of the new execution. */
  readonly execution: string;
}

/** Figures of a batch for the output of the execution. */
export interface BatchSummary {
  readonly batchId: number;
  readonly attempt: number;
  readonly state: string;
  readonly rows: number;
  readonly bytes: number;
}

/** Added to what the command sends to a function, if it means a backfill of the pipeline. */
export interface OfBackfill {
  /** Name of the backfill. */
  readonly backfill?: string;
}

/**
 * Returns the name of the pipeline that an event of a function is about. `undefined` for the one
 * that was deployed.
 */
export function pipelineOfEvent(event: object): string | undefined {
  const { run, exchanged, input, backfill } = event as Partial<
    WriteItem & StageEvent & Pick<PlanEvent, "input"> & OfBackfill
  >;
  return (run ?? exchanged?.run)?.pipeline ?? input?.backfill ?? backfill;
}

export interface VacuumEvent extends OfBackfill {
  /** Minimum age of a file that may be deleted, in milliseconds. Default: one day. */
  readonly olderThan?: number;
  readonly dryRun?: boolean;
}
