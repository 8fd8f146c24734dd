import type { Schema } from "apache-arrow";
import type { BatchContext, TaskContext } from "../../context.ts";
import type { Awaitable, NamedRow } from "../../stream-reader.ts";
import type { WriterCommitMessage } from "../../stream-writer.ts";
import type { OutputMode, SaveMode } from "./modes.ts";

/** A data source that a batch pipeline can write to. (Spark 2.3: `WriteSupport`.) */
export interface WriterSupport<Options extends object = Readonly<Record<string, unknown>>> {
  /**
   * Returns a writer, or `undefined` if nothing is to be written. It decides by the mode, which
   * Millrace does not look at: with `ErrorIfExists` it throws if there is data, with `Ignore` it
   * returns `undefined` then. Called when a batch is planned, in each task, and for the commit;
   * only the first of these calls gets `ErrorIfExists` or `Ignore`, the others `Append`.
   *
   * `jobId` is `yyyyMMddHHmmss-` and the plan id of the batch, so it is equal in all calls for one
   * batch, also in a later attempt.
   */
  createWriter(
    jobId: string,
    schema: Schema,
    mode: SaveMode,
    options: Options,
  ): Awaitable<DataSourceWriter<unknown> | undefined>;
}

/** Spark 2.3's own name of `WriterSupport`. */
export type WriteSupport<Options extends object = Readonly<Record<string, unknown>>> = WriterSupport<Options>;

/** A data source that a stream can write to. (Spark 2.3: `StreamWriteSupport`.) */
export interface StreamWriteSupport<Options extends object = Readonly<Record<string, unknown>>> {
  /**
   * Returns a writer of one batch of the stream. Called when the batch is planned, in each task,
   * and for the commit. `queryId` is the incarnation of the pipeline, which all its batches have.
   */
  createStreamWriter(
    queryId: string,
    schema: Schema,
    outputMode: OutputMode,
    options: Options,
  ): Awaitable<StreamWriter<unknown>>;
}

/** Writes one batch. (Spark 2.3: `DataSourceWriter`.) */
export interface DataSourceWriter<M = WriterCommitMessage> {
  /**
   * Returns the factory of the task writers. If it throws, nothing was begun: no `abort` follows.
   */
  createWriterFactory(): Awaitable<DataWriterFactory<M>>;

  /**
   * Makes the rows of the batch visible. `messages` are in partition order, and empty if the source
   * had no partition. After a crash it may be called again with equal messages: if the target has
   * this job id already, it must change nothing. If it throws, `abort` follows.
   */
  commit(messages: readonly (M | null)[], batch: BatchContext): Awaitable<unknown>;

  /**
   * Undoes one attempt of the batch. `messages` contains `null` for each task that has no message.
   * It may be called again.
   */
  abort(messages: readonly (M | null)[], batch: BatchContext): Awaitable<void>;
}

/** Writes one batch of a stream. (Spark 2.3: `StreamWriter`.) */
export interface StreamWriter<M = WriterCommitMessage> {
  /** Returns the factory of the task writers, like `DataSourceWriter.createWriterFactory`. */
  createWriterFactory(): Awaitable<DataWriterFactory<M>>;

  /**
   * Makes the rows of the batch visible. `epochId` is the batch id. After a crash it may be called
   * again with equal messages: if the target has this epoch of this query already, it must change
   * nothing.
   */
  commit(epochId: number, messages: readonly (M | null)[], batch: BatchContext): Awaitable<unknown>;

  /** Undoes one attempt of the batch, like `DataSourceWriter.abort`. */
  abort(epochId: number, messages: readonly (M | null)[], batch: BatchContext): Awaitable<void>;
}

/**
 * Makes the writers of a batch's tasks. Its own enumerable fields travel to the tasks as JSON, like
 * those of `DataWriterFactory` in `millrace/write`; a function `createDataWriter` may be one of
 * them. (Spark 2.3: `DataWriterFactory`.)
 */
export interface DataWriterFactory<M = WriterCommitMessage> {
  /**
   * Returns a writer for one attempt of a task. `partitionId` and `attemptNumber` count from 0. If
   * the batch is tried again, `attemptNumber` begins at 0 again and `task.attempt` has grown.
   */
  createDataWriter(
    partitionId: number,
    attemptNumber: number,
    task: TaskContext,
  ): Awaitable<DataWriter<never, M>>;
}

/**
 * Writes the rows of one task attempt: `write` for each row, then `commit`. After a failed `write`
 * or `commit` it is told to `abort`. There is no `close`. (Spark 2.3: `DataWriter`.)
 */
export interface DataWriter<T = NamedRow, M = WriterCommitMessage> {
  /**
   * `rows`, the default, if the writer takes rows, which are objects keyed by field name. `arrow`
   * if it takes Arrow record batches.
   */
  readonly form?: "rows" | "arrow";

  /** Writes one row, or one record batch. */
  write(record: T): Awaitable<void>;

  /**
   * Completes what was written, still invisible to readers, and returns a message that tells the
   * writer's `commit` where it is; `undefined` counts as `null`. Two attempts of a task may both
   * commit. The message that is recorded first counts.
   */
  commit(): Awaitable<M | undefined>;

  /** Deletes what this attempt wrote. */
  abort(): Awaitable<void>;
}
