import type { RecordBatch } from "apache-arrow";
import type { RefusedRows } from "./bad-rows.ts";
import type { BatchIdentity, CommittedBatch } from "./batch-identity.ts";
import type { BatchContext, SinkContext, TaskContext } from "./context.ts";
import type { JsonValue } from "./json.ts";
import type { Awaitable, NamedRow } from "./stream-reader.ts";

/** What a task reports to `commit` and `abort`: any JSON value. (Spark: `WriterCommitMessage`.) */
export type WriterCommitMessage = JsonValue;

/**
 * Writes a stream as Arrow record batches. Works like Spark's `DataSourceStreamArrowWriter`.
 * `write` runs in parallel, once per partition and attempt. Then `commit` or `abort` runs in
 * another process, so only the messages pass from `write` to them.
 */
export abstract class DataSourceStreamArrowWriter<M = WriterCommitMessage> {
  /**
   * Stages the rows of one partition where no reader sees them. Returns a message that tells
   * `commit` where they are; `undefined` counts as `null`.
   */
  abstract write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Awaitable<M | undefined>;
  /**
   * Makes the staged rows of a batch visible. `messages` are in partition order; none if the batch
   * is skipped by hand. After a crash it may be called again with equal messages. It looks up the
   * newest batch of the pipeline in the sink and asks `isCommitted(batch, newest)`: if that is true
   * it must change nothing, and if it throws, neither. If `commit` throws an error with `retryable:
   * true` it is retried; any other error leads to `abort`. If it returns a JSON value of at most 1
   * KiB, the next commit receives it as `batch.lastCommit`.
   */
  abstract commit(messages: readonly (M | null)[], batchId: number, batch: BatchContext): Awaitable<unknown>;
  /**
   * Undoes one attempt of a batch. `messages` contains `null` for each task that failed. It may be
   * called again.
   */
  abstract abort(messages: readonly (M | null)[], batchId: number, batch: BatchContext): Awaitable<void>;
}

/**
 * Writes a stream as rows. Works like Spark's `DataSourceStreamWriter`. Only the form of the rows
 * differs from `DataSourceStreamArrowWriter`, which is faster.
 */
export abstract class DataSourceStreamWriter<M = WriterCommitMessage> {
  /**
   * Distinguishes writers of rows from writers of Arrow record batches, even if two copies of the
   * package are installed.
   */
  readonly form = "rows" as const;
  /**
   * Stages the rows of one partition where no reader sees them. Returns a message that tells
   * `commit` where they are; `undefined` counts as `null`. Each row is an object keyed by field
   * name, with JSON values. Times and dates are ISO 8601 strings. 64-bit integers are numbers, or
   * strings if they are beyond 2^53. Decimals are strings, bytes are base64, and a missing value is
   * `null`.
   */
  abstract write(rows: AsyncIterable<NamedRow>, task: TaskContext): Awaitable<M | undefined>;
  /** Makes the staged rows visible, like `DataSourceStreamArrowWriter.commit`. */
  abstract commit(messages: readonly (M | null)[], batchId: number, batch: BatchContext): Awaitable<unknown>;
  /** Undoes one attempt of a batch, like `DataSourceStreamArrowWriter.abort`. */
  abstract abort(messages: readonly (M | null)[], batchId: number, batch: BatchContext): Awaitable<void>;
}

/** A stream writer, for rows or for Arrow record batches. */
export type StreamWriter<M = WriterCommitMessage> =
  | DataSourceStreamWriter<M>
  | DataSourceStreamArrowWriter<M>;

/**
 * A writer that can delete what one task staged after another attempt of that task has won. (Spark:
 * `DataWriter.abort`.)
 */
export interface SupportsTaskAbort<M = WriterCommitMessage> {
  /** Deletes what the task staged. An error is ignored, because vacuum removes what is left. */
  abortTask(message: M | null, task: TaskContext): Awaitable<void>;
}

/** A staged file that is not as its task left it. */
export interface DamagedFile {
  /** Index of the partition whose commit message names the file. */
  readonly partition: number;
  /** Location of the file, for messages. */
  readonly path: string;
  /** The problem, such as `is gone`. */
  readonly problem: string;
}

/**
 * A writer that can check what its tasks staged. Before a batch is decided, and before a commit is
 * repeated, the engine asks it. A damaged file then costs its task another run, and no rows.
 */
export interface SupportsStagedFiles<M = WriterCommitMessage> {
  /**
   * Returns the staged files that are gone or do not have the size that their commit message
   * records; none if all are well. `messages` are in partition order, with `null` for each task
   * that is not finished. It must change nothing.
   */
  findDamaged(messages: readonly (M | null)[], batch: BatchContext): Awaitable<readonly DamagedFile[]>;
}

/**
 * A writer that can look up whether a batch is committed. After a failed `commit` the engine asks
 * it, and treats a batch that is visible as committed. Without this method a failed `commit` is
 * followed by `abort`, as in Spark.
 */
export interface SupportsCommitLookup {
  /**
   * Returns true if the batch is visible. If it throws, the batch stays undecided and the next run
   * asks again.
   */
  hasCommitted(batchId: number, batch: BatchContext): Awaitable<boolean>;
}

/**
 * A writer whose commit can leave out rows that the target refuses: it gives them to
 * `batch.newRefusedRows()`, and keeps what `finish` returns in one step with the rows that it
 * writes.
 */
export interface SupportsRefusedRows {
  /**
   * Returns what the sink keeps of the rows that it refused of this batch, which is committed:
   * perhaps by a process that was killed before it could tell.
   */
  refusedRows(batchId: number, batch: BatchContext): Awaitable<RefusedRows | undefined>;
}

/** What `newestBatch` receives. */
export interface NewestBatchContext extends SinkContext {
  /**
   * The batch that the ledger believes to be the newest one in the sink. A sink that kept no record
   * in an older version takes it on trust if its `planId` is `UNKNOWN_PLAN`.
   */
  readonly follows?: BatchIdentity;
  /** The value that `commit` returned for the last batch; a hint, as in `BatchContext`. */
  readonly lastCommit?: JsonValue;
}

/**
 * A writer that can look up its newest batch. The engine then finds out before it plans a batch
 * whether the ledger or the sink was restored, and `millrace adopt` can go on after that batch.
 */
export interface SupportsNewestBatch {
  /**
   * Returns the newest batch that this pipeline has committed to the sink, of any incarnation, or
   * `undefined` if there is none.
   */
  newestBatch(context: NewestBatchContext): Awaitable<CommittedBatch | undefined>;
}

/**
 * A writer or a table that can tell, before a batch is planned, that its commit could not
 * succeed.
 */
export interface SupportsTargetCheck {
  /**
   * Throws if the target cannot be written: it cannot be reached, or does not take rows of the
   * writer's schema. Called before a batch is planned, and before it is tried again; writes
   * nothing.
   */
  checkTarget(context: NewestBatchContext): Awaitable<void>;
}

/** What `targetName` receives. */
export type TargetContext = Omit<SinkContext, "incarnation">;

/**
 * A writer that can name its target, such as a folder or a table. The ledger records the name, so
 * that a pipeline does not go on in another target without a word.
 */
export interface SupportsTargetName {
  /**
   * Returns the name of the target, without secrets, or `undefined` for a target in the pipeline's
   * own store.
   */
  targetName(context: TargetContext): Awaitable<string | undefined>;
}

/**
 * An item that the ledger writes for a sink in its own transaction. Only a connector for the
 * ledger's own database creates such items, and only that ledger reads them. The engine does not
 * read them.
 */
export interface TransactionItem {
  /** Names the database that the item is for. */
  readonly kind: string;
}

/**
 * A writer to the database that also holds the ledger. Its rows can become visible in the same
 * transaction that moves the offset, so they are written exactly once. If the ledger supports this,
 * `transactionItems` is called instead of `commit`.
 */
export interface SupportsLedgerTransaction<M = WriterCommitMessage> {
  /**
   * Returns the items of the batch, each with a key of its own. Returns `undefined` if there are
   * more than `most` items, or more than the database accepts in one transaction; then `commit` is
   * called.
   */
  transactionItems(
    messages: readonly (M | null)[],
    batch: BatchContext,
    most: number,
  ): Awaitable<readonly TransactionItem[] | undefined>;
}

/** How far the pipeline's unfinished batch has come. */
export interface OpenBatch {
  /** Id of the batch. */
  readonly batchId: number;
  /** The current attempt, from 1. */
  readonly attempt: number;
  /**
   * True if the current attempt was aborted. No commit of this attempt will be started after that.
   */
  readonly aborted: boolean;
  /**
   * The last attempt whose commit was started, or 0. The commits of this attempt and of earlier
   * ones may still take effect.
   */
  readonly lastTriedAttempt: number;
}

/** What `vacuum` receives to decide which files are still needed. */
export interface VacuumContext extends SinkContext {
  /** The current time in epoch milliseconds. Files newer than `now - olderThan` are not deleted. */
  readonly now: number;
  /** Minimum age of a file that may be deleted, in milliseconds. */
  readonly olderThan: number;
  /**
   * Earlier incarnations that this one continues. No run of them is at work, so what they staged
   * and did not commit is not needed.
   */
  readonly formerIncarnations: readonly string[];
  /** True if files are only counted, not deleted. */
  readonly dryRun: boolean;
  /**
   * Reads which batch is not finished. Call it after listing the files and before reading what the
   * sink has committed. In any other order, a file that is committed in between could be deleted.
   * A writer that lists in pages calls it for each page.
   */
  readOpenBatch(): Promise<OpenBatch | undefined>;
  /**
   * Aborts when the time is almost over. Stop then and return `more: true`; the next vacuum goes
   * on. Absent if there is no limit.
   */
  readonly signal?: AbortSignal;
}

/** What `vacuum` deleted, or would delete in a dry run. */
export interface VacuumResult {
  /** Number of files. */
  readonly files: number;
  /** Total size of the files. */
  readonly bytes: number;
  /** True if it stopped before it had looked at all files. */
  readonly more?: boolean;
}

/**
 * A writer that can delete staged files that no commit references and no unfinished attempt needs.
 */
export interface SupportsVacuum {
  /** Deletes these files. It may run at the same time as the pipeline. */
  vacuum(context: VacuumContext): Awaitable<VacuumResult>;
}
