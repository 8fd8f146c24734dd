import type { BatchIdentity } from "../../contract/batch-identity.ts";
import type { ErrorRecord } from "../../contract/errors.ts";
import type { JsonValue } from "../../contract/json.ts";
import type { Offset } from "../../contract/offset.ts";
import type { TransactionItem } from "../../contract/stream-writer.ts";
import type { TimeRangeJson } from "../../contract/time-range.ts";
import type {
  Action,
  Adoption,
  BackfillChange,
  BackfillClaim,
  JournalEntry,
  Pause,
  Rewind,
  Skip,
} from "./manual-operations.ts";
import type { BatchProgress, PlanFailure, Planning, Unacknowledged, Unplanned } from "./records.ts";
import type { BatchState } from "./states.ts";
import type { CommitAuthorization, CommitClaim, RunningTask, Task, TaskKey } from "./tasks.ts";

/**
 * The run that works on a pipeline. `id` identifies the run; `description` tells people where it
 * runs.
 */
export interface Owner {
  readonly id: string;
  readonly description: string;
}

export interface Lease {
  readonly owner: Owner;
  /** When the lease expires, in epoch milliseconds. */
  readonly expiresAt: number;
}

/** What a pipeline's name stood for when the ledger recorded it. */
export interface PipelineIdentity {
  readonly kind: "stream" | "batch";
  /** Name of the source's data source class. */
  readonly source: string;
  /** Name of the sink's data source class. */
  readonly sink: string;
  /** Name of the sink's target, if the sink names it. */
  readonly target?: string;
  /** The file that defines the pipeline; absent for a deployed one. */
  readonly entry?: string;
  /** The home of the ledger; absent on AWS. */
  readonly home?: string;
}

/** The state of one pipeline in the ledger. */
export interface Head {
  readonly pipeline: string;
  /** Random id that is created together with the head. */
  readonly incarnation: string;
  /** Grows by one with each acquired lease. Every transition of a run is conditional on it. */
  readonly epoch: number;
  readonly lease?: Lease;
  /** Incarnations of earlier lives whose batches this one continues. */
  readonly formerIncarnations?: readonly string[];
  /** What the name stands for. Absent until the first run, and after it was accepted to change. */
  readonly identity?: PipelineIdentity;
  readonly nextBatchId: number;
  /** Where the next batch starts. Absent until the first run has asked the source. */
  readonly offset?: Offset;
  /** The newest batch in the sink, as far as the ledger knows. Older versions did not record it. */
  readonly lastInSink?: BatchIdentity;
  /** True after a rewind, until the next commit: the sink may lack `lastInSink`. */
  readonly isSinkUnchecked?: boolean;
  readonly lastCommittedBatchId?: number;
  /** When the newest batch was first planned, in epoch milliseconds. */
  readonly lastPlannedAt?: number;
  /** When a run last found that there is no new data, in epoch milliseconds. */
  readonly lastIdleAt?: number;
  /** Present if the last run could not plan, until one plans, commits or finds no new data. */
  readonly planFailure?: PlanFailure;
  /** The batch that is planned and not committed yet. */
  readonly openBatchId?: number;
  readonly unacknowledged?: Unacknowledged;
  /** What the sink's `commit` returned for the last committed batch. */
  readonly lastCommit?: JsonValue;
  /** Number of quarantined rows that were not sent again. Absent for none. */
  readonly quarantinedRows?: number;
  /** The newest batch that sent quarantined rows again. Those of batches before it are done. */
  readonly lastRetryBatchId?: number;
  /** The ranges of the pipeline's backfills, the oldest first. Absent for none. */
  readonly backfills?: readonly BackfillClaim[];
  /** Present if the pipeline is paused: says who paused it. Runs do nothing until it is resumed. */
  readonly paused?: Pause;
}

/** A batch, with the state of its latest attempt. */
export interface Batch {
  readonly pipeline: string;
  readonly incarnation: string;
  readonly batchId: number;
  /** Random id that lives as long as the batch. Absent in batches of older versions. */
  readonly planId?: string;
  readonly start: Offset;
  readonly end: Offset;
  /** The range of time that a batch pipeline's batch reads, if its partitions tell one. */
  readonly range?: TimeRangeJson;
  /** Digest of the code that planned this attempt, if the runner knows it. */
  readonly code?: string;
  /** Present if the batch was skipped by hand: says who skipped it. It has no tasks and no rows. */
  readonly skipped?: Action;
  /** The end of all data that existed when the batch was planned, if the reader reported it. */
  readonly latest?: Offset;
  /** Key of the partitions file in the pipeline's store. */
  readonly partitionsKey: string;
  /** Number of writer tasks: one per partition, or one for a batch without partitions. */
  readonly tasks: number;
  /**
   * The Arrow schema of the batch, encoded by `encodeSchema`. Absent if it is larger than
   * `limits.schemaBytes`: then only the partitions file has it.
   */
  readonly schema?: string;
  /** Number of the attempt, from 1. */
  readonly attempt: number;
  readonly state: BatchState;
  /**
   * The last attempt that reached `committing`, or 0. Its commit, and the commits of earlier
   * attempts, may take effect at any later time.
   */
  readonly lastTriedAttempt: number;
  /** When this attempt was planned, in epoch milliseconds. */
  readonly plannedAt: number;
  /** When the first attempt was planned, in epoch milliseconds. */
  readonly firstPlannedAt: number;
  readonly finishedAt?: number;
  readonly progress?: BatchProgress;
  /** True if the batch sends quarantined rows again, and reads nothing of the source. */
  readonly isRetry?: boolean;
  /** How the tasks of the attempt write to a table. Absent while they still exchange rows. */
  readonly write?: TableWrite;
  /** Present if the tasks of the attempt exchange rows before they write. */
  readonly exchanges?: Exchanges;
  /** Why the attempt was aborted, or why it has not ended yet. */
  readonly error?: ErrorRecord;
  /**
   * Number of aborts by errors that will not pass, since the code of the batch changed and since
   * they last paused the pipeline. Absent for none.
   */
  readonly lastingFailures?: number;
}

/**
 * How far an attempt has come whose tasks exchange rows before they write. The fields
 * `partitionsKey` and `tasks` of its batch are those of the stage that runs.
 */
export interface Exchanges {
  /** Number of exchanges, at least 1. */
  readonly count: number;
  /** Number of exchanges that are done. The tasks write once it is `count`. */
  readonly done: number;
  /** Key of the partitions file with the partitions of the source. */
  readonly inputKey: string;
  /** Number of tasks that read the partitions of the source. */
  readonly inputTasks: number;
}

/** What the sink has of a pipeline, as far as the ledger knows. */
export interface SinkPosition {
  /** The newest batch in the sink; absent if it has none. */
  readonly follows?: BatchIdentity;
  /** True if the pipeline was rewound since: the sink may lack `follows`. */
  readonly isRewound?: boolean;
  readonly formerIncarnations?: readonly string[];
}

/**
 * What Plan, Write and Finalize pass to each other about the batch attempt. It has a limited size,
 * so that a state machine can carry it.
 */
export interface BatchRun {
  readonly pipeline: string;
  readonly incarnation: string;
  readonly epoch: number;
  readonly batchId: number;
  /** Absent for a batch of an older version. */
  readonly planId?: string;
  readonly attempt: number;
  /** The stage of the tasks if they exchange rows, from 0. Absent if they write. */
  readonly stage?: number;
  readonly partitionsKey: string;
  /** The head's `lastCommit`: a hint for the sink of at most 1 KiB. */
  readonly lastCommit?: JsonValue;
  /** What the sink has, as far as the ledger knows. Absent in a run of an older version. */
  readonly position?: SinkPosition;
  /** Absent in a run that an older version started. */
  readonly planning?: Planning;
  /** How the tasks write to a table. */
  readonly write?: TableWrite;
}

/**
 * How an attempt of a batch writes to a table. It is recorded, so that each step makes the same
 * write. Absent if the sink has writers in the form of PySpark's API.
 */
export interface TableWrite {
  /** The own fields of the factory that makes the task writers. */
  readonly factory: Readonly<Record<string, JsonValue>>;
  /** True if an attempt of a task must be authorized before it commits. */
  readonly isCoordinated: boolean;
  /** Number of partitions of the source. */
  readonly inputPartitions: number;
  /** When the batch was planned first, in epoch milliseconds. */
  readonly plannedAt: number;
}

/**
 * Proof that a run holds the pipeline: the ledger refuses a step if the epoch has changed. Two
 * ledgers count their epochs from the same number, so the incarnation is compared as well.
 */
export interface Fence {
  readonly pipeline: string;
  readonly incarnation: string;
  readonly epoch: number;
}

export interface AcquireRequest {
  readonly pipeline: string;
  readonly owner: Owner;
  readonly now: number;
  readonly leaseMilliseconds: number;
  /** Becomes the incarnation of the pipeline if the ledger does not know it yet. */
  readonly newIncarnation: string;
  /**
   * Take the lease over from the holder of this fence before it expires. Only allowed if the holder
   * has certainly ended.
   */
  readonly takeOver?: Fence;
}

export type Acquired =
  | { readonly acquired: true; readonly head: Head }
  | { readonly acquired: false; readonly head: Head };

/** A batch to record. `incarnation` is that of the acquired head. */
export interface NewBatch
  extends Pick<
    Batch,
    | "incarnation"
    | "batchId"
    | "planId"
    | "code"
    | "start"
    | "end"
    | "range"
    | "latest"
    | "partitionsKey"
    | "tasks"
    | "schema"
    | "write"
    | "exchanges"
    | "isRetry"
  > {
  readonly now: number;
}

/**
 * The parts of a plan that can change from one attempt of a batch to the next: the schema, the
 * partitions file that contains it, how the tasks write, and the code. If the partitions are
 * planned anew, so are their number and the plan's id.
 */
export type PlanOfAttempt = Pick<
  NewBatch,
  "partitionsKey" | "schema" | "code" | "tasks" | "planId" | "write" | "exchanges"
>;

/** The plan of an attempt's next stage. */
export type PlanOfStage = Pick<Batch, "partitionsKey" | "tasks" | "write">;

export interface Decision {
  readonly to: "committing" | "aborting";
  readonly error?: ErrorRecord;
}

/** An error that will not pass, which aborts an attempt. */
export interface LastingFailure {
  readonly code: string;
  /** The abort with this number pauses the pipeline. Absent if none does. */
  readonly pausesAfter?: number;
}

export interface Outcome {
  readonly to: "committed" | "aborted";
  readonly progress: BatchProgress;
  readonly now: number;
  /** Stored in the head until the next commit. */
  readonly lastCommit?: JsonValue;
  /** Present if the attempt is aborted by an error that will not pass. */
  readonly lasting?: LastingFailure;
  /** The sink's items to write in the same transaction, at most `limits.maxSinkItems`. */
  readonly sinkItems?: readonly TransactionItem[];
}

/** Limits of the ledger's database. */
export interface LedgerLimits {
  /**
   * Maximum size of a commit message in a task record, as UTF-8 JSON. Larger messages go to the
   * store.
   */
  readonly messageBytes: number;
  /** Maximum size of an offset, as UTF-8 JSON. A batch has up to three. */
  readonly offsetBytes: number;
  /** Maximum size of a schema in a batch, as `encodeSchema` returns it. */
  readonly schemaBytes: number;
  /** Maximum number of the sink's items in the transaction of `finish`; 0 if it takes none. */
  readonly maxSinkItems: number;
}

/**
 * The port for the ledger of offsets and batches. Each method is one atomic step; `transitions.ts`
 * defines what it compares and sets. Methods that take a Fence throw `FENCED` if another run has
 * acquired the pipeline since. A method that throws any other error may still have taken effect, so
 * the caller must read back.
 */
export interface Ledger {
  readonly limits: LedgerLimits;
  /**
   * Acquires the lease with a new epoch, if the lease is free. Creates the head if there is none.
   */
  acquire(request: AcquireRequest): Promise<Acquired>;
  /**
   * Releases the lease, and records why the run planned no batch, if it says so. Does nothing if
   * another run holds the lease.
   */
  release(fence: Fence, unplanned?: Unplanned): Promise<void>;
  /** Records that a run which keeps the lease found no new data. */
  recordIdle(fence: Fence, now: number): Promise<void>;
  /** Sets the pipeline's first offset, if it has none yet. */
  initialize(fence: Fence, offset: Offset): Promise<void>;
  /**
   * Records a batch and opens it. Throws `FENCED`, or `LEDGER_CONFLICT` if a batch is open, the id
   * is not the next one, or `start` is not the current offset.
   */
  plan(fence: Fence, batch: NewBatch): Promise<Batch>;
  /**
   * Starts the next attempt of the open batch. The batch must be `aborted`, or `planned` for so
   * long that its task records have expired. `plan` replaces the plan of the last attempt.
   */
  replan(fence: Fence, batch: Batch, now: number, plan?: PlanOfAttempt): Promise<Batch>;
  /**
   * Records the plan of the next stage of an attempt, if the attempt is `planned` and still has the
   * plan of `batch`. Otherwise nothing changes. Returns the current batch.
   */
  planStage(fence: Fence, batch: Batch, plan: PlanOfStage): Promise<Batch>;
  /**
   * Records a finished task unless one is already recorded under its key, and returns the recorded
   * one. It does not check the epoch: a late writer of a run that lost the pipeline may still win,
   * because it wrote the same rows. The record removes the claim of the task's
   * attempt, whichever attempt that is.
   */
  recordTask(key: TaskKey, task: Task): Promise<Task>;
  /**
   * Lets an attempt of a task commit, unless the task is recorded or another attempt may commit. A
   * claim no longer holds once it has expired, its attempt has released it, or a later run works on
   * the pipeline. Does not check the epoch of the pipeline, for the reason that `recordTask` has.
   */
  authorizeCommit(key: TaskKey, claim: CommitClaim, now: number): Promise<CommitAuthorization>;
  /** Removes the claim of an attempt that failed. Does nothing if the claim is of another one. */
  releaseCommit(key: TaskKey, writerId: string): Promise<void>;
  /**
   * Deletes the records of these tasks, so that they run again. What they staged is lost, and
   * nothing was decided from it. A record of another writer stays. Throws `FENCED`, or
   * `LEDGER_CONFLICT` if the attempt is not `planned` any more.
   */
  dropTasks(fence: Fence, batch: Batch, tasks: readonly Task[]): Promise<void>;
  /**
   * Stores the progress of a task in place of its last report. It does not check the epoch, because
   * no decision depends on it. The caller ignores errors.
   */
  reportProgress(key: TaskKey, running: RunningTask): Promise<void>;
  /**
   * Moves the attempt to the state `to`, if it is still in the state of `batch`. Otherwise nothing
   * changes. Returns the current batch, whose state the caller must follow. Throws
   * `LEDGER_CONFLICT` if `to` cannot follow the state of `batch`.
   */
  decide(fence: Fence, batch: Batch, decision: Decision): Promise<Batch>;
  /**
   * Sets the error of the attempt, for people, if it is still in the state of `batch`. Otherwise
   * nothing changes.
   */
  recordError(fence: Fence, batch: Batch, error: ErrorRecord): Promise<void>;
  /**
   * Ends the attempt and returns the current batch. `committed` also moves the offset, closes the
   * batch, and notes that the source must still be told; all in one transaction. Throws
   * `TRANSACTION_REFUSED` if the sink's items were refused; nothing is written then.
   */
  finish(fence: Fence, batch: Batch, outcome: Outcome): Promise<Batch>;
  /** Notes that the source's `commit(end)` for this batch succeeded. */
  acknowledge(fence: Fence, batchId: number): Promise<void>;

  /**
   * Pauses the pipeline: from their next plan on, runs do nothing. Needs no lease. Throws
   * `PIPELINE_NOT_FOUND`, like `resume`, `rewind`, `accept`, `setBackfills` and `unlock`.
   */
  pause(pipeline: string, action: Action): Promise<void>;
  /** Ends a pause. Needs no lease. */
  resume(pipeline: string, action: Action): Promise<void>;
  /**
   * Moves the offset; batch ids continue. An acknowledgement that is due is dropped, because the
   * source is asked for its rows again. Throws `FENCED`, `BATCH_OPEN`, or `LEDGER_CONFLICT` if the
   * offset is not `from`.
   */
  rewind(fence: Fence, rewind: Rewind): Promise<void>;
  /** Records what the pipeline's name stands for. */
  identify(fence: Fence, identity: PipelineIdentity): Promise<void>;
  /** Forgets what the name stood for, so that the next run records it anew. Needs no lease. */
  accept(pipeline: string, action: Action): Promise<void>;
  /**
   * Sets the claims of the pipeline's backfills. Needs no lease. Throws `LEDGER_CONFLICT` if they
   * are not those of `from` any more: of two that begin at once, one is refused.
   */
  setBackfills(pipeline: string, change: BackfillChange): Promise<void>;
  /**
   * Begins a new life of the pipeline after the newest batch in the sink. `open` is the open batch,
   * which is given up; absent if its record is gone. Throws `FENCED`.
   */
  adopt(fence: Fence, adoption: Adoption, open: Batch | undefined): Promise<void>;
  /**
   * Starts an attempt of the open batch that has no tasks, whatever state the batch is in. Its
   * commit uses up the batch's id.
   */
  skip(fence: Fence, batch: Batch, skip: Skip): Promise<Batch>;
  /** Deletes all records of a pipeline. The head is deleted last, so that it can be repeated. */
  forget(fence: Fence): Promise<void>;
  /**
   * Takes the lease away from the holder of this epoch. That run can then change nothing in the
   * ledger. Throws `LEDGER_CONFLICT` if the pipeline has another epoch.
   */
  unlock(fence: Fence, action: Action): Promise<void>;

  head(pipeline: string): Promise<Head | undefined>;
  batch(pipeline: string, batchId: number): Promise<Batch | undefined>;
  task(key: TaskKey): Promise<Task | undefined>;
  /** Returns the claim of the attempt that may commit, also if it has expired. */
  commitClaim(key: TaskKey): Promise<CommitClaim | undefined>;
  /** Returns the recorded tasks of an attempt, in partition order. */
  tasks(key: Omit<TaskKey, "partition">): Promise<readonly Task[]>;
  /**
   * Returns the last progress reports of an attempt's tasks, in partition order. Tasks that have
   * ended since are included.
   */
  progress(key: Omit<TaskKey, "partition">): Promise<readonly RunningTask[]>;
  /** Returns batches, newest first. `before` is a batch id (exclusive). */
  batches(
    pipeline: string,
    options: { readonly limit: number; readonly before?: number },
  ): Promise<readonly Batch[]>;
  /** Returns the manual operations, newest first. */
  journal(pipeline: string, options: { readonly limit: number }): Promise<readonly JournalEntry[]>;
  /** Returns the names of all pipelines, sorted. */
  pipelines(): Promise<readonly string[]>;
  /**
   * Deletes task records, progress reports and expired claims older than `before` (epoch
   * milliseconds).
   */
  expireTasks(before: number): Promise<void>;
}
