import type { RecordBatch } from "apache-arrow";
import type { BatchContext, SinkContext, TaskContext } from "./context.ts";
import type { Awaitable, NamedRow } from "./stream-reader.ts";
import type { DataSourceStreamWriter, StreamWriter, WriterCommitMessage } from "./stream-writer.ts";

/**
 * What a batch does with a target that already exists. `append` adds rows, `overwrite` replaces all
 * rows, `errorifexists` fails, `ignore` writes nothing. (Spark: `DataFrameWriter.mode`.)
 */
export type SaveMode = "append" | "overwrite" | "errorifexists" | "ignore";

/**
 * Writes a batch as Arrow record batches. Works like Spark's `DataSourceArrowWriter`. Batches are
 * committed, aborted and resumed as in `DataSourceStreamArrowWriter`.
 */
export abstract class DataSourceArrowWriter<M = WriterCommitMessage> {
  /**
   * Distinguishes batch writers from stream writers, even if two copies of the package are
   * installed.
   */
  readonly writes = "batch" as const;
  /**
   * Stages the rows of one partition where no reader sees them. Returns a message that tells
   * `commit` where they are; `undefined` counts as `null`.
   */
  abstract write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Awaitable<M | undefined>;
  /**
   * Makes the staged rows visible. `messages` is empty if the batch was skipped by hand: it has no
   * rows and replaces none. After a crash it may be called again with equal messages. If it
   * has already committed this `batch.batchId` of this `batch.incarnation`, it must change nothing.
   */
  abstract commit(messages: readonly (M | null)[], batch: BatchContext): Awaitable<unknown>;
  /**
   * Undoes one attempt of the batch. `messages` contains `null` for each task that failed. It may
   * be called again.
   */
  abstract abort(messages: readonly (M | null)[], batch: BatchContext): Awaitable<void>;
}

/**
 * Writes a batch as rows. Works like Spark's `DataSourceWriter`. Only the form of the rows differs
 * from `DataSourceArrowWriter`, which is faster.
 */
export abstract class DataSourceWriter<M = WriterCommitMessage> {
  /** Distinguishes batch writers from stream writers. */
  readonly writes = "batch" as const;
  /** Distinguishes writers of rows from writers of Arrow record batches. */
  readonly form = "rows" as const;
  /** Stages the rows of one partition, in the format of `DataSourceStreamWriter.write`. */
  abstract write(rows: AsyncIterable<NamedRow>, task: TaskContext): Awaitable<M | undefined>;
  /** Makes the staged rows visible, like `DataSourceArrowWriter.commit`. */
  abstract commit(messages: readonly (M | null)[], batch: BatchContext): Awaitable<unknown>;
  /** Undoes one attempt of the batch, like `DataSourceArrowWriter.abort`. */
  abstract abort(messages: readonly (M | null)[], batch: BatchContext): Awaitable<void>;
}

/** A batch writer, for rows or for Arrow record batches. */
export type BatchWriter<M = WriterCommitMessage> = DataSourceWriter<M> | DataSourceArrowWriter<M>;

/** Any writer that a data source may return. */
export type Writer<M = WriterCommitMessage> = BatchWriter<M> | StreamWriter<M>;

/**
 * True for a batch writer. Unlike a stream writer, it gets no batch id as an argument of `commit`
 * and `abort`.
 */
export function writesBatches<M>(writer: Writer<M>): writer is BatchWriter<M> {
  return "writes" in writer && writer.writes === "batch";
}

/** True for a writer of rows, false for a writer of Arrow record batches. */
export function takesRows<M>(writer: Writer<M>): writer is DataSourceWriter<M> | DataSourceStreamWriter<M> {
  return "form" in writer && writer.form === "rows";
}

/**
 * A writer that can check whether its target exists. The save modes `errorifexists` and `ignore`
 * require it.
 */
export interface SupportsExists {
  /** Returns true if the target exists. Called before anything is read. */
  exists(context: SinkContext): Awaitable<boolean>;
}
