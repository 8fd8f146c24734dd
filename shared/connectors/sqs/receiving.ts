import type { Schema } from "apache-arrow";
import { encodeFile } from "../../arrow/ipc-file.ts";
import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { loopsAtOnce } from "../kit/at-once.ts";
import { type Batches, type QueueOffset, type SeenGroup, stillSeen } from "./batches.ts";
import { convert, type Misfit } from "./messages.ts";
import type { ParsedOptions } from "./options.ts";
import { ENTRIES, type Queue, REQUESTS_AT_ONCE, type Receipt, type Received } from "./queue.ts";

/** Of messages in one file: what one task writes. */
const FILE_BYTES = 8 * 1024 * 1024;

/** All that receiving a batch needs. */
export interface ReceivingParts {
  readonly schema: Schema;
  readonly options: ParsedOptions;
  readonly queue: Queue;
  readonly batches: Batches;
  readonly runtime: Runtime;
}

/** What is remembered of a message once it is in a file. */
type Accepted = Receipt & Pick<Received, "sentAt">;

/** Receives one batch into the pipeline's store. */
export class Receiving {
  readonly #around: ReceivingParts;
  readonly #groups: readonly SeenGroup[];
  readonly #seen: ReadonlySet<string>;
  readonly #offset: Required<Pick<QueueOffset, "batch" | "id">>;
  /**
   * By message id: a queue may deliver one twice at any time, and the newest receipt is the one
   * that counts.
   */
  readonly #received = new Map<string, Accepted>();
  /** Delivered again after they were written. */
  readonly #leftovers: Receipt[] = [];
  readonly #left = new Set<string>();
  #pending: Received[] = [];
  #pendingBytes = 0;
  #files = 0;
  #hasDeadLetterQueue: boolean | undefined;

  constructor(around: ReceivingParts, start: QueueOffset, groups: readonly SeenGroup[]) {
    this.#around = around;
    this.#groups = groups;
    this.#seen = new Set(groups.flatMap(({ messageIds }) => messageIds));
    this.#offset = { batch: start.batch + 1, id: around.runtime.newId() };
  }

  /**
   * The batch's end, if there is a message; it is in the store then. If it fails, what was
   * received is shown to others again.
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
      return { ...this.#offset, files: this.#files };
    } catch (error) {
      await this.#around.queue.giveBack([...this.#received.values()]).catch(() => undefined);
      throw error;
    }
  }

  /** Whether any message of the batch was sent up to this moment, epoch milliseconds. */
  hasSentBy(moment: number): boolean {
    return this.#receipts().some(({ sentAt }) => sentAt <= moment);
  }

  #receipts(): Accepted[] {
    return [...this.#received.values()].filter(({ messageId }) => !this.#left.has(messageId));
  }

  async #receiveAll(): Promise<void> {
    const { queue, runtime, options } = this.#around;
    const deadline = runtime.now() + options.maxReceiveSeconds * 1000;
    let wanted = options.maxMessages;
    /** Whether there may be more. */
    const receive = async () => {
      const asked = Math.min(ENTRIES, wanted);
      wanted -= asked;
      const messages = await queue.receive(asked);
      wanted += asked - messages.filter((message) => this.#take(message)).length;
      if (this.#pendingBytes >= FILE_BYTES) await this.#flush();
      return messages.length > 0;
    };
    // An empty queue costs one request, not one for each worker.
    if (!(await receive())) return;
    await loopsAtOnce(
      REQUESTS_AT_ONCE,
      async () => wanted > 0 && runtime.now() < deadline && (await receive()),
    );
  }

  /** False for a message that is none of the batch, or is in it already. */
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
   * A message that is no row goes the way of the queue's redrive policy. Without one it would come
   * back for ever: an error.
   */
  async #leave({ message, error }: Misfit): Promise<void> {
    this.#hasDeadLetterQueue ??= await this.#around.queue.hasDeadLetterQueue();
    this.#left.add(message.messageId);
    if (this.#hasDeadLetterQueue) return;
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
