import type { BatchContext } from "../context.ts";
import type { JsonValue } from "../json.ts";
import type { Awaitable } from "../stream-reader.ts";
import type { WriterCommitMessage } from "../stream-writer.ts";
import type { DataWriterFactory, StreamingDataWriterFactory } from "./data-writer.ts";
import type { WriteSummary } from "./summary.ts";
import type { PhysicalWriteInfo } from "./write-info.ts";

/**
 * Writes one batch of a batch pipeline. Planning, each task, and the commit run in different
 * processes. Each of them makes its own `BatchWrite` by the same calls, so nothing that one of them
 * keeps reaches another, except the fields of the factory and the messages. (Spark: `BatchWrite`.)
 */
export abstract class BatchWrite<M = WriterCommitMessage> {
  /**
   * Returns the factory of the task writers. If it throws, nothing was begun: no `abort` follows.
   */
  abstract createBatchWriterFactory(info: PhysicalWriteInfo): Awaitable<DataWriterFactory<M>>;

  /**
   * Returns the factory from the recorded fields of the one that the planning step made. If a write
   * has this method, it is called in tasks and before `commit` instead of
   * `createBatchWriterFactory`.
   */
  restoreBatchWriterFactory?(fields: Readonly<Record<string, JsonValue>>): Awaitable<DataWriterFactory<M>>;

  /**
   * True if an attempt of a task must be authorized by the ledger before it commits, so that at
   * most one attempt commits. If false, each attempt commits, and the message that is recorded
   * first counts.
   */
  useCommitCoordinator(): boolean {
    return true;
  }

  /**
   * Called for each message before the batch is committed or aborted, in partition order, in the
   * process that calls `commit` or `abort` afterwards. If it throws, the batch is aborted.
   */
  onDataWriterCommit(_message: M | null): Awaitable<void> {}

  /**
   * Makes the rows of the batch visible. `messages` are in partition order; none if the batch is
   * skipped by hand. `summary` is present if rows are appended. After a crash it may be called
   * again with equal messages: if the table has this `batch.planId` already, it must change
   * nothing. If it throws, `abort` follows, unless the table says that the batch has landed or the
   * error has `retryable: true`. A JSON value of at most 1 KiB that it returns reaches the next
   * commit as `batch.lastCommit`.
   */
  abstract commit(
    messages: readonly (M | null)[],
    summary: WriteSummary | undefined,
    batch: BatchContext,
  ): Awaitable<unknown>;

  /**
   * Undoes one attempt of the batch. `messages` contains `null` for each task that has no message.
   * That task may have committed all the same. It may be called again.
   */
  abstract abort(messages: readonly (M | null)[], batch: BatchContext): Awaitable<void>;
}

/** Writes one epoch of a stream. Works like `BatchWrite`. (Spark: `StreamingWrite`.) */
export abstract class StreamingWrite<M = WriterCommitMessage> {
  /**
   * Returns the factory of the task writers. If it throws, nothing was begun: no `abort` follows.
   */
  abstract createStreamingWriterFactory(info: PhysicalWriteInfo): Awaitable<StreamingDataWriterFactory<M>>;

  /** Like `BatchWrite.restoreBatchWriterFactory`. */
  restoreStreamingWriterFactory?(
    fields: Readonly<Record<string, JsonValue>>,
  ): Awaitable<StreamingDataWriterFactory<M>>;

  /** Like `BatchWrite.useCommitCoordinator`. */
  useCommitCoordinator(): boolean {
    return true;
  }

  /**
   * Makes the rows of the epoch visible. `epochId` is the batch id. After a crash it may be called
   * again with equal messages: if the table has this `batch.planId` already, it must change
   * nothing.
   */
  abstract commit(epochId: number, messages: readonly (M | null)[], batch: BatchContext): Awaitable<unknown>;

  /** Undoes one attempt of the epoch, like `BatchWrite.abort`. */
  abstract abort(epochId: number, messages: readonly (M | null)[], batch: BatchContext): Awaitable<void>;
}
