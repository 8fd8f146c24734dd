import type { RecordBatch } from "apache-arrow";
import { MillraceError } from "../../contract/errors.ts";
import type { Offset } from "../../contract/offset.ts";
import {
  DataSourceStreamReader,
  type SupportsSetAside,
  type SupportsTriggerAvailableNow,
} from "../../contract/stream-reader.ts";
import { offsetOf } from "../kit/offset-fields.ts";
import { type MessagesFile, QUEUE_OFFSET, type QueueOffset } from "./batches.ts";
import { Receiving, type ReceivingParts } from "./receiving.ts";

/**
 * The target of an `availableNow` run. The run ends with the first batch whose messages were all
 * sent after `sentBy` (epoch milliseconds).
 */
type AvailableNow = { readonly sentBy: number; readonly isReached: boolean };

/**
 * Reads a queue. A queue cannot be read again from an earlier position. So planning receives the
 * messages and stores them in the pipeline's store, where tasks and replays read them. They are
 * deleted from the queue after the batch is committed.
 */
export class SqsReader
  extends DataSourceStreamReader<QueueOffset, MessagesFile>
  implements SupportsTriggerAvailableNow, SupportsSetAside<QueueOffset>
{
  readonly #around: ReceivingParts;
  #availableNow: AvailableNow | undefined;

  constructor(around: ReceivingParts) {
    super();
    this.#around = around;
  }

  prepareForTriggerAvailableNow(): void {
    this.#availableNow = { sentBy: this.#around.runtime.now(), isReached: false };
  }

  availableNowTarget(): AvailableNow | undefined {
    return this.#availableNow;
  }

  restoreAvailableNow(target: AvailableNow): void {
    this.#availableNow = target;
  }

  override initialOffset(): QueueOffset {
    return { batch: 0 };
  }

  override deserializeOffset(json: Offset): QueueOffset {
    return offsetOf(QUEUE_OFFSET, json);
  }

  /**
   * Receives the messages of the next batch and returns its offset. Errors: `SQS_FAILED`, and those
   * of messages that cannot be converted to rows.
   */
  override async latestOffset(start: QueueOffset): Promise<QueueOffset> {
    const target = this.#availableNow;
    if (target?.isReached) return start;
    const receiving = new Receiving(this.#around, start, await this.#around.batches.seen(start));
    const end = await receiving.run();
    if (target !== undefined)
      this.#availableNow = { ...target, isReached: !receiving.hasSentBy(target.sentBy) };
    return end ?? start;
  }

  /**
   * Returns the files with the messages of one batch. Error: `PARTITIONS_MISSING` if the range has
   * more than one batch, because the messages of earlier batches are deleted.
   */
  override partitions(start: QueueOffset, end: QueueOffset): MessagesFile[] {
    if (end.batch === start.batch + 1) return this.#around.batches.files(end);
    throw new MillraceError(
      "PARTITIONS_MISSING",
      `a queue has no messages to read again: batch ${start.batch + 1} to ${end.batch} were asked for`,
    );
  }

  /** Yields the record batches in a file of messages. Error: `PARTITIONS_MISSING`. */
  override async *read(file: MessagesFile): AsyncGenerator<RecordBatch> {
    yield* this.#around.batches.recordBatches(file);
  }

  /** Deletes the messages of the batch. Error: `SQS_FAILED`. */
  override async commit(end: QueueOffset): Promise<void> {
    const { queue, batches } = this.#around;
    await queue.delete(await batches.receipts(end));
    await batches.clearUp(end);
  }

  /** Copies the messages of the batch, so that they outlive their deletion from the queue. */
  async setAside(_start: QueueOffset, end: QueueOffset): Promise<string> {
    return await this.#around.batches.setAside(end);
  }

  override stop(): void {
    this.#around.queue.close();
  }
}
