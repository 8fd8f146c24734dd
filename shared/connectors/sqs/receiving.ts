import type { Schema } from "apache-arrow";
import { encodeFile } from "../../arrow/ipc-file.ts";
import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { optional } from "../../contract/optional.ts";
import { loopsAtOnce } from "../kit/at-once.ts";
import { type Batches, type QueueOffset, type SeenGroup, stillSeen } from "./batches.ts";
import { convert, type Misfit } from "./messages.ts";
import type { ParsedOptions } from "./options.ts";
import {
  ENTRIES,
  type Queue,
  type QueueSummary,
  REQUESTS_AT_ONCE,
  type Receipt,
  type Received,
} from "./queue.ts";

/** Target size of the messages in one file, which one task writes. */
const FILE_BYTES = 8 * 1024 * 1024;

/** The objects that `Receiving` works with. */
export interface ReceivingParts {
  readonly schema: Schema;
  readonly options: ParsedOptions;
  readonly queue: Queue;
  readonly batches: Batches;
  readonly runtime: Runtime;
}

/** The part of a message that is kept in memory once its content is in a file. */
type Accepted = Receipt & Pick<Received, "sentAt">;

/** Receives one batch and stores it in the pipeline's store. */
export class Receiving {
  readonly #around: ReceivingParts;
  readonly #groups: readonly SeenGroup[];
  readonly #seen: ReadonlySet<string>;
  readonly #offset: Required<Pick<QueueOffset, "batch" | "id">>;
  /**
   * The messages by id. A queue may deliver a message more than once, and only the newest receipt
   * handle is valid.
   */
  readonly #received = new Map<string, Accepted>();
  /** Messages that were delivered again after they had been written. */
  readonly #leftovers: Receipt[] = [];
  readonly #left = new Set<string>();
  #pending: Received[] = [];
  #pendingBytes = 0;
  #files = 0;
  /** When the queue that was read before was made. */
  readonly #createdBefore: string | undefined;
  #summary: QueueSummary | undefined;

  constructor(around: ReceivingParts, start: QueueOffset, groups: readonly SeenGroup[]) {
    this.#around = around;
    this.#groups = groups;
    this.#seen = new Set(groups.flatMap(({ messageIds }) => messageIds));
    this.#offset = { batch: start.batch + 1, id: around.runtime.newId() };
    this.#createdBefore = start.created;
  }

  /**
   * Receives and stores a batch. Returns its end, or `undefined` if there were no messages. If it
   * fails, the received messages become visible to other consumers again.
   */
  async run(): Promise<QueueOffset | undefined> {
    try {
      await this.#receiveAll();
      await this.#flush();
      await this.#around.queue.delete(this.#leftovers);
      const receipts = this.#receipts();
      if (receipts.length === 0) return undefined;
      const { runtime, options, batches } = this.#around;
      const before = stillSeen(this.#groups, runtime.now(), options.dedupeWindowSeconds * 1000);
      await batches.putRecord(this.#offset, receipts, before);
      return { ...this.#offset, files: this.#files, ...optional("created", this.#summary?.created) };
    } catch (error) {
      await this.#around.queue.giveBack([...this.#received.values()]).catch(() => undefined);
      throw error;
    }
  }

  /**
   * Returns true if a message of the batch was sent at or before `moment`, in epoch milliseconds.
   */
  hasSentBy(moment: number): boolean {
    return this.#receipts().some(({ sentAt }) => sentAt <= moment);
  }

  #receipts(): Accepted[] {
    return [...this.#received.values()].filter(({ messageId }) => !this.#left.has(messageId));
  }

  async #receiveAll(): Promise<void> {
    const { queue, runtime, options } = this.#around;
    const deadline = runtime.monotonic() + options.maxReceiveSeconds * 1000;
    let wanted = options.maxMessages;
    /** Returns whether there may be more messages. */
    const receive = async () => {
      const asked = Math.min(ENTRIES, wanted);
      wanted -= asked;
      const messages = await queue.receive(asked);
      wanted += asked - messages.filter((message) => this.#take(message)).length;
      if (this.#pendingBytes >= FILE_BYTES) await this.#flush();
      return messages.length > 0;
    };
    // Makes the first request alone, so that an empty queue costs one request and not one per
    // worker.
    if (!(await receive())) return;
    await this.#refuseReplaced();
    await loopsAtOnce(
      REQUESTS_AT_ONCE,
      async () => wanted > 0 && runtime.monotonic() < deadline && (await receive()),
    );
  }

  /**
   * Throws `SQS_QUEUE_REPLACED` if the queue is not the one that was read before: what that one
   * still had is lost. An empty queue is not looked up, because that would cost a request each run.
   */
  async #refuseReplaced(): Promise<void> {
    const { queue, options } = this.#around;
    this.#summary ??= await queue.describe();
    const [before, now] = [this.#createdBefore, this.#summary.created];
    if (before === undefined || now === undefined || before === now) return;
    throw new MillraceError(
      "SQS_QUEUE_REPLACED",
      `the queue ${options.queueUrl} was made at ${isoOf(now)}, and is not the one that was read, of ${isoOf(before)}: messages that the old one had are lost`,
      {
        where: { url: options.queueUrl },
        hint: "To read the new queue: `millrace rewind PIPELINE --to-start`. Its messages were given back to it.",
      },
    );
  }

  /**
   * Adds a message to the batch. Returns false if an earlier batch or this batch already has it.
   */
  #take(message: Received): boolean {
    const { messageId, receiptHandle, sentAt, body } = message;
    if (this.#seen.has(messageId)) {
      this.#leftovers.push({ messageId, receiptHandle });
      return false;
    }
    const isNew = !this.#received.has(messageId);
    this.#received.set(messageId, { messageId, receiptHandle, sentAt });
    if (!isNew) return false;
    this.#pending.push(message);
    this.#pendingBytes += body.length;
    return true;
  }

  async #flush(): Promise<void> {
    const { schema, options, batches } = this.#around;
    const messages = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    const { batches: rows, fitting, misfits } = await convert(schema, options.format, messages);
    for (const misfit of misfits) await this.#leave(misfit);
    if (fitting.length === 0) return;
    const chunks = await Array.fromAsync(encodeFile(schema, rows));
    await batches.putFile(this.#offset, this.#files++, Buffer.concat(chunks));
  }

  /**
   * Leaves a message that cannot be converted in the queue, so that it moves to the dead-letter
   * queue. Throws if there is no dead-letter queue, because the message would then be delivered
   * forever.
   */
  async #leave({ message, error }: Misfit): Promise<void> {
    this.#summary ??= await this.#around.queue.describe();
    this.#left.add(message.messageId);
    if (this.#summary.hasDeadLetterQueue) return;
    const { code, where, found } = error;
    throw MillraceError.from({
      code,
      message: `message ${message.messageId} is no row: ${error.message}`,
      where,
      hint: "Correct the sender and delete the message, or give the queue a dead-letter queue: such messages are then left for it.",
      found,
      cause: error,
    });
  }
}

/** Returns the time of seconds since 1970, ISO 8601. */
function isoOf(seconds: string): string {
  return new Date(Number(seconds) * 1000).toISOString();
}
