import type { RecordBatch } from "apache-arrow";
import type { BatchContext, SinkContext, TaskContext } from "./context.ts";
import type { JsonValue } from "./json.ts";
import type { Awaitable, NamedRow } from "./stream-reader.ts";

/** What a task tells `commit` and `abort`: any JSON value. (Spark: `WriterCommitMessage`.) */
export type WriterCommitMessage = JsonValue;

/**
 * Writes a stream as Arrow record batches. Semantics of Spark's `DataSourceStreamArrowWriter`.
 * `write` runs once a partition and attempt, in parallel; `commit` or `abort` runs once they ended,
 * in another process: nothing travels between them but the messages.
 */
export abstract class DataSourceStreamArrowWriter<M = WriterCommitMessage> {
  /**
   * Stages one partition so that nobody sees it yet, and says where. No message (`undefined`)
   * counts as `null`.
   */
  abstract write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Awaitable<M | undefined>;
  /**
   * Makes a batch visible. `messages` are in partition order. May be called again with equal
   * messages after a crash, so it must recognise (`batch.incarnation`, `batchId`). An error with
   * `retryable: true` is tried again; any other leads to `abort`. A JSON value of at most 1 KiB
   * that it gives is passed to the next commit, as `batch.lastCommit`.
   */
  abstract commit(messages: readonly (M | null)[], batchId: number, batch: BatchContext): Awaitable<unknown>;
  /**
   * Undoes a batch attempt. `messages` has `null` for each task that failed. May be called again.
   */
  abstract abort(messages: readonly (M | null)[], batchId: number, batch: BatchContext): Awaitable<void>;
}

/**
 * Writes a stream as rows. Semantics of Spark's `DataSourceStreamWriter`; all but the rows is as in
 * `DataSourceStreamArrowWriter`, which is faster.
 */
export abstract class DataSourceStreamWriter<M = WriterCommitMessage> {
  /** Tells the two forms of a writer apart, also across two copies of the package. */
  readonly form = "rows" as const;
  /**
   * Stages one partition so that nobody sees it yet, and says where. No message (`undefined`)
   * counts as `null`. Each row is an object by field name, its values as JSON has them: times and
   * dates as ISO 8601 strings, 64-bit integers as numbers or, beyond 2^53, as strings, decimals as
   * strings, bytes in base64, `null` for no value.
   */
  abstract write(rows: AsyncIterable<NamedRow>, task: TaskContext): Awaitable<M | undefined>;
  /** As `DataSourceStreamArrowWriter.commit`. */
  abstract commit(messages: readonly (M | null)[], batchId: number, batch: BatchContext): Awaitable<unknown>;
  /** As `DataSourceStreamArrowWriter.abort`. */
  abstract abort(messages: readonly (M | null)[], batchId: number, batch: BatchContext): Awaitable<void>;
}

/** A writer of streams, in either form. */
export type StreamWriter<M = WriterCommitMessage> =
  | DataSourceStreamWriter<M>
  | DataSourceStreamArrowWriter<M>;

/**
 * A writer that can drop what one task staged when another attempt of the task has won. (Spark:
 * `DataWriter.abort`.)
 */
export interface SupportsTaskAbort<M = WriterCommitMessage> {
  /**
   * Drops what the task staged. Best effort: an error changes nothing, and vacuum removes what is
   * left.
   */
  abortTask(message: M | null, task: TaskContext): Awaitable<void>;
}

/**
 * A writer that can tell whether a batch landed. With it the engine asks after a failed `commit`,
 * and rolls forward a batch that did; without it a failed `commit` is followed by `abort`, as in
 * Spark.
 */
export interface SupportsCommitLookup {
  /**
   * True where the batch is visible. An error leaves the batch undecided, and the next run asks
   * again.
   */
  hasCommitted(batchId: number, batch: BatchContext): Awaitable<boolean>;
}

/**
 * Something that a sink has the ledger write. Only a connector for the ledger's own store makes it,
 * and only that ledger reads it: to the engine it is opaque.
 */
export interface TransactionItem {
  /** Names the store that it is for. */
  readonly kind: string;
}

/**
 * A writer to the store that also holds the ledger. Its rows can become visible in the very
 * transaction that moves the offset: exactly once, with no moment in between. Asked in place of
 * `commit` if the ledger's transaction takes items of a sink.
 */
export interface SupportsLedgerTransaction<M = WriterCommitMessage> {
  /**
   * The items of the batch, each of its own key; `undefined` if they are more than `most`, or more
   * than the store takes in one transaction: `commit` is then called.
   */
  transactionItems(
    messages: readonly (M | null)[],
    batch: BatchContext,
    most: number,
  ): Awaitable<readonly TransactionItem[] | undefined>;
}

/** How far the attempts of an open batch have come. */
export interface OpenBatch {
  /** Its id. */
  readonly batchId: number;
  /** The current attempt, from 1. */
  readonly attempt: number;
  /** True where the current attempt was aborted: no commit of it will be begun. */
  readonly aborted: boolean;
  /**
   * The last attempt whose commit was begun, 0 where none was: it and those before it may still
   * land.
   */
  readonly lastTriedAttempt: number;
}

/** What `vacuum` needs to spare the living. */
export interface VacuumContext extends SinkContext {
  /** Epoch milliseconds. Nothing younger than `now - olderThan` is deleted. */
  readonly now: number;
  /** Milliseconds. */
  readonly olderThan: number;
  /** True where nothing may be deleted, only counted. */
  readonly dryRun: boolean;
  /**
   * The batch that is not finished, read at the time of the call: list the files first, then call
   * this, then read what the sink has committed. In another order a file may be deleted that was
   * committed in between.
   */
  readOpenBatch(): Promise<OpenBatch | undefined>;
}

/** What was deleted, or would be. */
export interface VacuumResult {
  /** How many. */
  readonly files: number;
  /** Their size together. */
  readonly bytes: number;
}

/** A writer that can remove staged files which no commit names and no living attempt needs. */
export interface SupportsVacuum {
  /** Removes them. May run beside a running pipeline. */
  vacuum(context: VacuumContext): Awaitable<VacuumResult>;
}
