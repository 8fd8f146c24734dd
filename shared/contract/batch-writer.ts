import type { RecordBatch } from "apache-arrow";
import type { BatchContext, SinkContext, TaskContext } from "./context.ts";
import type { Awaitable, NamedRow } from "./stream-reader.ts";
import type { DataSourceStreamWriter, StreamWriter, WriterCommitMessage } from "./stream-writer.ts";

/**
 * What a batch does with rows that are there. `append`: adds to them. `overwrite`: takes their
 * place. `errorifexists`: fails if the target is there already. `ignore`: does nothing then.
 * (Spark: `DataFrameWriter.mode`.)
 */
export type SaveMode = "append" | "overwrite" | "errorifexists" | "ignore";

/**
 * Writes a batch as Arrow record batches. Semantics of Spark's `DataSourceArrowWriter`; a batch is
 * finished, aborted and resumed as one of a stream: see `DataSourceStreamArrowWriter`.
 */
export abstract class DataSourceArrowWriter<M = WriterCommitMessage> {
  /** Tells writers of batches and of streams apart, also across two copies of the package. */
  readonly writes = "batch" as const;
  /**
   * Stages one partition so that nobody sees it yet, and says where. No message (`undefined`)
   * counts as `null`.
   */
  abstract write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Awaitable<M | undefined>;
  /**
   * Makes the batch visible. May be called again with equal messages after a crash: it recognises
   * (`batch.incarnation`, `batch.batchId`).
   */
  abstract commit(messages: readonly (M | null)[], batch: BatchContext): Awaitable<unknown>;
  /** Undoes an attempt. `messages` has `null` for each task that failed. May be called again. */
  abstract abort(messages: readonly (M | null)[], batch: BatchContext): Awaitable<void>;
}

/**
 * Writes a batch as rows. Semantics of Spark's `DataSourceWriter`; all but the rows is as in
 * `DataSourceArrowWriter`, which is faster.
 */
export abstract class DataSourceWriter<M = WriterCommitMessage> {
  /** Tells writers of batches and of streams apart. */
  readonly writes = "batch" as const;
  /** Tells the two forms of a writer apart. */
  readonly form = "rows" as const;
  /** As `DataSourceStreamWriter.write`. */
  abstract write(rows: AsyncIterable<NamedRow>, task: TaskContext): Awaitable<M | undefined>;
  /** As `DataSourceArrowWriter.commit`. */
  abstract commit(messages: readonly (M | null)[], batch: BatchContext): Awaitable<unknown>;
  /** As `DataSourceArrowWriter.abort`. */
  abstract abort(messages: readonly (M | null)[], batch: BatchContext): Awaitable<void>;
}

/** A writer of batches, in either form. */
export type BatchWriter<M = WriterCommitMessage> = DataSourceWriter<M> | DataSourceArrowWriter<M>;

/** Any writer that a data source may give. */
export type Writer<M = WriterCommitMessage> = BatchWriter<M> | StreamWriter<M>;

/** True for a writer of batches, whose `commit` and `abort` take no batch id. */
export function writesBatches<M>(writer: Writer<M>): writer is BatchWriter<M> {
  return "writes" in writer && writer.writes === "batch";
}

/** True for the row form. */
export function takesRows<M>(writer: Writer<M>): writer is DataSourceWriter<M> | DataSourceStreamWriter<M> {
  return "form" in writer && writer.form === "rows";
}

/**
 * A writer that knows whether its target is there: the modes `errorifexists` and `ignore` need it.
 */
export interface SupportsExists {
  /** True if the target is there. Asked before anything is read. */
  exists(context: SinkContext): Awaitable<boolean>;
}
