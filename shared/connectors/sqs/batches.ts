import type { RecordBatch } from "apache-arrow";
import * as z from "zod";
import { StoredFile } from "../../arrow/stored-file.ts";
import { MillraceError } from "../../contract/errors.ts";
import { batchDigits, partitionDigits } from "../../contract/keys.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import type { Receipt } from "./queue.ts";

/** The offset: the last batch that was received. */
export type QueueOffset = {
  /** Counted from 1; 0 before the first batch. */
  readonly batch: number;
  /**
   * Distinguishes this batch from other batches with the same number that were received but never
   * recorded in the ledger.
   */
  readonly id?: string;
  /** Number of files with the batch's messages. */
  readonly files?: number;
  /**
   * When the queue was made: seconds since 1970. It tells the queue from a later one of the same
   * URL. Offsets of older versions do not have it.
   */
  readonly created?: string;
};

const COUNT = z.number().int().nonnegative();
/** The fields of an offset, for those that a person gives. */
export const QUEUE_OFFSET: z.ZodType<QueueOffset> = z.strictObject({
  batch: COUNT,
  id: z.string().exactOptional(),
  files: COUNT.exactOptional(),
  created: z.string().exactOptional(),
});

const RESTORE_HINT =
  "Restore the file; the batch cannot be written without it. To give the batch up, and have the queue forget its messages: `millrace skip PIPELINE --discard`.";

/** A file with messages of a batch. */
export type MessagesFile = { readonly key: string };

/**
 * The ids of a committed batch's messages. They are kept for a while to recognize duplicate
 * deliveries.
 */
export interface SeenGroup {
  /**
   * When these ids can be forgotten, in epoch milliseconds. `undefined` for the latest batch: its
   * time is set when the next batch is received.
   */
  readonly until?: number;
  readonly messageIds: readonly string[];
}

/** The data stored for a batch in addition to its messages. */
interface BatchRecord {
  readonly receipts: readonly (readonly [messageId: string, receiptHandle: string])[];
  /** The message ids of earlier batches. */
  readonly seen: readonly SeenGroup[];
}

const FOLDER = "sqs/";
/** Messages of batches that were skipped by hand. */
const ASIDE = "aside/sqs/";
const RECORD = "batch.json";

/**
 * The batches in the pipeline's store. Messages are stored until they are deleted from the queue.
 * For the last batch, the receipt handles and the ids of earlier messages are stored too.
 */
export class Batches {
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** Stores one file of a batch that is being received. */
  async putFile(offset: QueueOffset, index: number, bytes: Uint8Array): Promise<void> {
    // The batch's id is new, so if the key exists, an earlier try of this put has succeeded.
    await this.#store.put(fileKey(offset, index), bytes);
  }

  files(offset: QueueOffset): MessagesFile[] {
    return Array.from({ length: offset.files ?? 0 }, (_, i) => ({ key: fileKey(offset, i) }));
  }

  /** Reads the bytes of a file of messages. Error: `PARTITIONS_MISSING`. */
  async readFile({ key }: MessagesFile): Promise<Uint8Array> {
    const bytes = await this.#store.get(key);
    if (bytes !== undefined) return bytes;
    throw new MillraceError("PARTITIONS_MISSING", `the messages of a batch are gone: there is no ${key}`, {
      where: { path: `${this.#store.location}/${key}` },
      hint: `Somebody deleted it. ${RESTORE_HINT}`,
    });
  }

  /** Yields the record batches in a file of messages. Error: `PARTITIONS_MISSING`. */
  async *recordBatches(file: MessagesFile): AsyncGenerator<RecordBatch> {
    const stored = new StoredFile(
      this.#store,
      { path: file.key },
      {
        missing: "PARTITIONS_MISSING",
        damaged: "PARTITIONS_MISSING",
        kind: "the file of messages",
        hint: `Somebody changed it. ${RESTORE_HINT}`,
      },
    );
    yield* stored.batches();
  }

  /**
   * Stores the record of a batch. It must be the last put, so that its presence means that the
   * batch is complete.
   */
  async putRecord(
    offset: QueueOffset,
    receipts: readonly Receipt[],
    before: readonly SeenGroup[],
  ): Promise<void> {
    const record: BatchRecord = {
      receipts: receipts.map(({ messageId, receiptHandle }) => [messageId, receiptHandle]),
      seen: before,
    };
    await this.#store.put(recordKey(offset), Buffer.from(JSON.stringify(record)));
  }

  /** Returns the receipts with which the batch's messages are deleted from the queue. */
  async receipts(offset: QueueOffset): Promise<Receipt[]> {
    const record = await this.#record(offset);
    return (record?.receipts ?? []).map(([messageId, receiptHandle]) => ({ messageId, receiptHandle }));
  }

  /** Returns the message ids of this batch and of earlier ones. */
  async seen(offset: QueueOffset): Promise<readonly SeenGroup[]> {
    const { receipts = [], seen = [] } = (await this.#record(offset)) ?? {};
    return [{ messageIds: receipts.map(([messageId]) => messageId) }, ...seen];
  }

  /**
   * Deletes files that are not needed once this batch is committed: its own messages and everything
   * of earlier batches. Files with a higher batch number are kept, because another run may have
   * received those messages after it took over from this one.
   */
  async clearUp(offset: QueueOffset): Promise<void> {
    const keys: string[] = [];
    for await (const { key } of this.#store.list(FOLDER)) {
      if (Number(/^sqs\/(\d+)-/.exec(key)?.[1]) > offset.batch) break;
      if (key !== recordKey(offset)) keys.push(key);
    }
    await this.#store.delete(keys);
  }

  /**
   * Copies the messages of a batch to a folder that is never cleared up. Returns the folder, which
   * has Arrow files. Error: `PARTITIONS_MISSING`.
   */
  async setAside(offset: QueueOffset): Promise<string> {
    for (const file of this.files(offset))
      await this.#store.put(file.key.replace(FOLDER, ASIDE), await this.readFile(file));
    return `${this.#store.location}/${folderOf(offset).replace(FOLDER, ASIDE)}`;
  }

  async #record(offset: QueueOffset): Promise<BatchRecord | undefined> {
    if (offset.id === undefined) return undefined;
    const bytes = await this.#store.get(recordKey(offset));
    return bytes === undefined ? undefined : (JSON.parse(Buffer.from(bytes).toString()) as BatchRecord);
  }
}

/**
 * Returns the groups whose ids must still be recognized after the batch that is received at `now`.
 */
export function stillSeen(
  groups: readonly SeenGroup[],
  now: number,
  windowMilliseconds: number,
): SeenGroup[] {
  return groups
    .map(({ messageIds, until = now + windowMilliseconds }) => ({ messageIds, until }))
    .filter(({ messageIds, until }) => messageIds.length > 0 && until > now);
}

function folderOf({ batch, id }: QueueOffset): string {
  return `${FOLDER}${batchDigits(batch)}-${id}/`;
}

function fileKey(offset: QueueOffset, index: number): string {
  return `${folderOf(offset)}${partitionDigits(index)}.arrow`;
}

function recordKey(offset: QueueOffset): string {
  return folderOf(offset) + RECORD;
}
