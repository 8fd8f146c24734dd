import type { ErrorRecord } from "../../contract/errors.ts";
import type { JsonValue } from "../../contract/json.ts";
import type { Offset } from "../../contract/offset.ts";
import type { TransactionItem } from "../../contract/stream-writer.ts";
import type { BatchState } from "./states.ts";

/** Who works on a pipeline. `id` tells two runs apart; `description` tells people where to look. */
export interface Owner {
  readonly id: string;
  readonly description: string;
}

export interface Lease {
  readonly owner: Owner;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/** A committed batch whose `reader.commit(end)` has not succeeded yet. */
export interface Unacknowledged {
  readonly batchId: number;
  readonly end: Offset;
}

/** What somebody did to a pipeline by hand. */
export interface Action {
  /** Who. */
  readonly by: string;
  readonly why?: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** Moves the offset by hand. The next batch begins at `to`, under an id of its own. */
export interface Rewind extends Action {
  /** The offset that is to be there. */
  readonly from: Offset;
  readonly to: Offset;
}

/** An action as the ledger keeps it, written in one step with the change itself. */
export interface JournalEntry extends Action {
  readonly action: "pause" | "resume" | "rewind" | "unlock";
  /** Of a rewind, as is `to`. */
  readonly from?: Offset;
  readonly to?: Offset;
}

/** The state of one pipeline. */
export interface Head {
  readonly pipeline: string;
  /** Random id made with the head. */
  readonly incarnation: string;
  /** Grows by one with each acquired lease; every transition is conditional on it. */
  readonly epoch: number;
  readonly lease?: Lease;
  readonly nextBatchId: number;
  /** Where the next batch starts; absent until the pipeline knows. */
  readonly offset?: Offset;
  readonly lastCommittedBatchId?: number;
  /** When the newest batch was planned first. Epoch milliseconds. */
  readonly lastPlannedAt?: number;
  /** The batch that was planned and is not committed. */
  readonly openBatchId?: number;
  readonly unacknowledged?: Unacknowledged;
  /** What the sink's commit returned for the last committed batch. */
  readonly lastCommit?: JsonValue;
  /** Who paused the pipeline: until it is resumed, a run does nothing. */
  readonly paused?: Action;
}

/** What a run measured when it took up a batch attempt. */
export interface Planning {
  /** Of the run: the id of its lease's owner. */
  readonly runId: string;
  /** When the run began to plan. Epoch milliseconds. */
  readonly startedAt: number;
  /** When the tasks could begin. */
  readonly endedAt: number;
  /** Milliseconds since the batch before was planned; only of the run that planned this one. */
  readonly sincePrevious?: number;
  /**
   * Milliseconds of its steps, by the names that Spark has for them; empty for a batch that was
   * planned before.
   */
  readonly durationMs: Readonly<Record<string, number>>;
}

/** What the progress record of a committed batch is made of, beside the batch itself. */
export interface TriggerProgress extends Omit<Planning, "endedAt"> {
  /** Names of the data sources. */
  readonly source: string;
  readonly sink: string;
}

/** Figures of a batch attempt that ended. */
export interface BatchProgress {
  readonly rows: number;
  /** Bytes of Arrow data that went to the writer, before any encoding. */
  readonly bytes: number;
  /** Of a committed attempt. */
  readonly trigger?: TriggerProgress;
}

/** One batch, in its latest attempt. */
export interface Batch {
  readonly pipeline: string;
  readonly incarnation: string;
  readonly batchId: number;
  readonly start: Offset;
  readonly end: Offset;
  /** The end of all that was there when the batch was planned, if the reader reported it. */
  readonly latest?: Offset;
  /** Key of the partitions file in the pipeline's store. */
  readonly partitionsKey: string;
  /** Number of writer tasks: the partitions, or one for a batch that has none. */
  readonly tasks: number;
  /** The Arrow schema of the batch, as `encodeSchema` returns it. */
  readonly schema: string;
  /** From 1. */
  readonly attempt: number;
  readonly state: BatchState;
  /**
   * The last attempt that reached `committing`, 0 if none did. Its commit, and those of attempts
   * before it, may take effect at any later time.
   */
  readonly lastTriedAttempt: number;
  /** When this attempt was planned. Epoch milliseconds, as are all times here. */
  readonly plannedAt: number;
  /** When the first attempt was planned. */
  readonly firstPlannedAt: number;
  readonly finishedAt?: number;
  readonly progress?: BatchProgress;
  /** Why the attempt was aborted. */
  readonly error?: ErrorRecord;
}

/**
 * What the steps of a run tell each other of the attempt they work on; of a fixed size, so that a
 * state machine can carry it.
 */
export interface BatchRun {
  readonly pipeline: string;
  readonly incarnation: string;
  readonly epoch: number;
  readonly batchId: number;
  readonly attempt: number;
  readonly partitionsKey: string;
  /** Of the head: a hint for the sink, of at most 1 KiB. */
  readonly lastCommit?: JsonValue;
  /** Absent in a run that an older version began. */
  readonly planning?: Planning;
}

export interface TaskKey {
  readonly pipeline: string;
  readonly incarnation: string;
  readonly batchId: number;
  readonly attempt: number;
  readonly partition: number;
}

/** A finished task: the first one recorded for its key, for ever. */
export interface Task {
  readonly partition: number;
  /** The commit message, unless it is large. */
  readonly message: JsonValue;
  /** Where a large message lies in the pipeline's store; `message` is then `null`. */
  readonly messageKey?: string;
  readonly rows: number;
  readonly bytes: number;
  readonly milliseconds: number;
  /** The attempt of the task that won. */
  readonly attemptNumber: number;
  /** Unique to the attempt that won, so that a writer can recognise its own record. */
  readonly writerId: string;
  readonly recordedAt: number;
}

/** How far a task was that runs for long, when it told last. All times are epoch milliseconds. */
export interface RunningTask {
  readonly partition: number;
  readonly attemptNumber: number;
  readonly startedAt: number;
  /** That the source has given. */
  readonly rows: number;
  /** Bytes of Arrow data that the sink has taken. */
  readonly bytes: number;
  /** Whose turn it is. */
  readonly waitsFor: "source" | "sink";
  /** When rows moved last, to the second. */
  readonly progressedAt: number;
  readonly reportedAt: number;
}

/** What a step of a run is conditional on. */
export interface Fence {
  readonly pipeline: string;
  readonly epoch: number;
}

export interface AcquireRequest {
  readonly pipeline: string;
  readonly owner: Owner;
  readonly now: number;
  readonly leaseMilliseconds: number;
  /** Becomes the pipeline's incarnation if it has none yet. */
  readonly newIncarnation: string;
  /**
   * Take over from the holder of this epoch, who has provably ended, though the lease is not over.
   */
  readonly takeOverEpoch?: number;
}

export type Acquired =
  | { readonly acquired: true; readonly head: Head }
  | { readonly acquired: false; readonly head: Head };

/** A batch to be recorded; `incarnation` is that of the head that was acquired. */
export interface NewBatch
  extends Pick<
    Batch,
    "incarnation" | "batchId" | "start" | "end" | "latest" | "partitionsKey" | "tasks" | "schema"
  > {
  readonly now: number;
}

/**
 * What may differ from one attempt of a batch to the next: its schema, and so the file that holds
 * it.
 */
export type PlanOfAttempt = Pick<NewBatch, "partitionsKey" | "schema">;

export interface Decision {
  readonly to: "committing" | "aborting";
  readonly error?: ErrorRecord;
}

export interface Outcome {
  readonly to: "committed" | "aborted";
  readonly progress: BatchProgress;
  readonly now: number;
  /** Kept in the head until the next commit. */
  readonly lastCommit?: JsonValue;
  /** Items of the sink that are written in the same transaction, `limits.joinedItems` at most. */
  readonly join?: readonly TransactionItem[];
}

/** What a ledger can hold. */
export interface LedgerLimits {
  /** The largest commit message that a task may record, as UTF-8 JSON. */
  readonly messageBytes: number;
  /** How many items of a sink the transaction of `finish` takes along; 0 if it takes none. */
  readonly joinedItems: number;
}

/**
 * The port for the offset and batch ledger. Each method is one atomic step; `transitions.ts` says
 * what it compares and sets. Methods that take a Fence fail with `FENCED` if another run has
 * acquired the pipeline since. A call that fails in another way may have taken effect: read back
 * before judging.
 */
export interface Ledger {
  readonly limits: LedgerLimits;
  /** Takes the lease with a new epoch if it may be taken; makes the head if there is none. */
  acquire(request: AcquireRequest): Promise<Acquired>;
  /** Gives the lease back. No error if it was lost already. */
  release(fence: Fence): Promise<void>;
  /** Keeps the offset at which a pipeline begins, if it has none. */
  initialize(fence: Fence, offset: Offset): Promise<void>;
  /**
   * Records a batch and opens it. `FENCED`, or `LEDGER_CONFLICT` if one is open, the id is not the
   * next one, or `start` is not the offset.
   */
  plan(fence: Fence, batch: NewBatch): Promise<Batch>;
  /**
   * Begins the next attempt of the open batch, which is `aborted`, or `planned` for so long that
   * its tasks are forgotten. `plan` may differ from that of the last attempt.
   */
  replan(fence: Fence, batch: Batch, now: number, plan?: PlanOfAttempt): Promise<Batch>;
  /**
   * Records a finished task unless its key has one; returns the one that is there. Not fenced: a
   * late writer of a lost run may still win, because its rows are the same.
   */
  recordTask(key: TaskKey, task: Task): Promise<Task>;
  /**
   * Keeps how far a task is, in place of what it told before. Not fenced, because nothing is
   * decided by it; the caller ignores its errors.
   */
  reportProgress(key: TaskKey, running: RunningTask): Promise<void>;
  /**
   * Moves the attempt from the state in which `batch` was read to `to`, unless it has left that
   * state. Returns the batch as it is then, which whoever comes late follows. `LEDGER_CONFLICT` if
   * `to` cannot follow that state.
   */
  decide(fence: Fence, batch: Batch, decision: Decision): Promise<Batch>;
  /**
   * Ends the attempt. `committed` also moves the offset, closes the batch and leaves its
   * acknowledgement to do, all in one transaction. Returns the batch as it is then. Error:
   * `TRANSACTION_REFUSED`, for the sink's items: nothing was written.
   */
  finish(fence: Fence, batch: Batch, outcome: Outcome): Promise<Batch>;
  /** Notes that `reader.commit(end)` of this batch succeeded. */
  acknowledge(fence: Fence, batchId: number): Promise<void>;

  /**
   * Keeps runs from doing anything from their next plan on. Needs no lease. Error:
   * `PIPELINE_NOT_FOUND`, as of `resume`, `rewind` and `unlock`.
   */
  pause(pipeline: string, action: Action): Promise<void>;
  /** Lets runs work again. Needs no lease. */
  resume(pipeline: string, action: Action): Promise<void>;
  /**
   * Moves the offset. `FENCED`, `BATCH_OPEN`, or `LEDGER_CONFLICT` if the offset is not `from`.
   * Nothing else changes: batch ids go on, and the acknowledgement of an earlier batch stays due.
   */
  rewind(fence: Fence, rewind: Rewind): Promise<void>;
  /**
   * Takes the lease from the holder of this epoch, who can change nothing from then on.
   * `LEDGER_CONFLICT` if the epoch is another.
   */
  unlock(fence: Fence, action: Action): Promise<void>;

  head(pipeline: string): Promise<Head | undefined>;
  batch(pipeline: string, batchId: number): Promise<Batch | undefined>;
  task(key: TaskKey): Promise<Task | undefined>;
  /** The recorded tasks of an attempt, in partition order. */
  tasks(key: Omit<TaskKey, "partition">): Promise<readonly Task[]>;
  /**
   * What the tasks of an attempt have told, in partition order: also those that have ended since.
   */
  progress(key: Omit<TaskKey, "partition">): Promise<readonly RunningTask[]>;
  /** Newest first; `before` is a batch id (exclusive). */
  batches(
    pipeline: string,
    options: { readonly limit: number; readonly before?: number },
  ): Promise<readonly Batch[]>;
  /** What was done by hand, newest first. */
  journal(pipeline: string, options: { readonly limit: number }): Promise<readonly JournalEntry[]>;
  /** Names of all pipelines, sorted. */
  pipelines(): Promise<readonly string[]>;
  /** Forgets tasks recorded before `before` (epoch milliseconds), and what tasks told before it. */
  expireTasks(before: number): Promise<void>;
}
