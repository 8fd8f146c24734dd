import type { RecordBatch } from "apache-arrow";
import type { TaskContext } from "../context.ts";
import type { Awaitable, NamedRow } from "../stream-reader.ts";
import type { WriterCommitMessage } from "../stream-writer.ts";
import type { CustomTaskMetric } from "./metrics.ts";

/**
 * Writes the rows of one task attempt. The engine calls `writeAll` once, then `commit`, then
 * `close`. After a failed `write` or `commit` it calls `abort`, then `close`; their errors are kept
 * beside that of the task. (Spark: `DataWriter`.)
 *
 * Rows are objects keyed by field name, in the format of `DataSourceStreamWriter.write`. Extend
 * `ArrowDataWriter` instead to receive Arrow record batches.
 */
export abstract class DataWriter<T = NamedRow, M = WriterCommitMessage> {
  /** `rows` if the writer takes rows, `arrow` if it takes Arrow record batches. */
  readonly form: "rows" | "arrow" = "rows";

  /** Writes one record: a row, or a record batch. */
  abstract write(record: T): Awaitable<void>;

  /**
   * Writes one record of a row-level operation that requires metadata columns. Rows that are
   * inserted come by `write`. (Spark: `write(metadata, record)`.)
   */
  writeWithMetadata(_metadata: NamedRow, record: T): Awaitable<void> {
    return this.write(record);
  }

  /** Writes all records. The default calls `write` for each of them. */
  async writeAll(records: AsyncIterable<T>): Promise<void> {
    for await (const record of records) {
      // Most writers only buffer a row. Waiting for each of them would double the time per row.
      const writing = this.write(record);
      if (writing !== undefined) await writing;
    }
  }

  /**
   * Completes what was written, still invisible to readers. Returns a message that tells the
   * write's `commit` where it is; `undefined` counts as `null`. With commit coordination, at most
   * one attempt of a task is here at a time.
   */
  abstract commit(): Awaitable<M | undefined>;

  /** Deletes what this attempt wrote. */
  abstract abort(): Awaitable<void>;

  /**
   * Releases resources. If it throws, the task fails although it has committed, and the next
   * attempt commits again.
   */
  close(): Awaitable<void> {}

  /**
   * Returns the current values of the write's metrics. Called before rows 0, 100, 200 and so on,
   * and once before `commit`; a writer of record batches is asked between two batches.
   */
  currentMetricsValues(): readonly CustomTaskMetric[] {
    return [];
  }
}

/** A `DataWriter` that receives Arrow record batches, which is faster than rows. */
export abstract class ArrowDataWriter<M = WriterCommitMessage> extends DataWriter<RecordBatch, M> {
  /** Distinguishes writers of Arrow record batches from writers of rows. */
  override readonly form = "arrow" as const;
}

/** A `DataWriter` for rows or for Arrow record batches. */
export type AnyDataWriter<M = WriterCommitMessage> = DataWriter<NamedRow, M> | DataWriter<RecordBatch, M>;

/**
 * Makes the writers of a batch's tasks. The factory of the step that plans the batch is recorded:
 * its own enumerable fields as JSON, which must be JSON values. Each task makes a factory anew, by
 * the same calls, and gives it the recorded fields. (Spark: `DataWriterFactory`.)
 */
export interface DataWriterFactory<M = WriterCommitMessage> {
  /**
   * Returns a writer for one attempt of a task. `partitionId` is the index of the partition, from
   * 0. `taskId` is a whole number that no other attempt of any task has.
   */
  createWriter(partitionId: number, taskId: number, task: TaskContext): Awaitable<AnyDataWriter<M>>;
}

/**
 * The factory of a stream, recorded as a `DataWriterFactory` is. (Spark:
 * `StreamingDataWriterFactory`.)
 */
export interface StreamingDataWriterFactory<M = WriterCommitMessage> {
  /** Like `DataWriterFactory.createWriter`; `epochId` is the batch id. */
  createWriter(
    partitionId: number,
    taskId: number,
    epochId: number,
    task: TaskContext,
  ): Awaitable<AnyDataWriter<M>>;
}
