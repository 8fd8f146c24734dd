import { MillraceError } from "../../contract/errors.ts";
import { batchDigits, partitionDigits } from "../../contract/keys.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import type { Receipt } from "./queue.ts";

/** The last batch that was received. */
export type QueueOffset = {
  /** From 1; 0 before the first. */
  readonly batch: number;
  /** Tells it apart from others of that number that were received and never recorded. */
  readonly id?: string;
  /** How many files hold its messages. */
  readonly files?: number;
};

/** One file of a batch. */
export type MessagesFile = { readonly key: string };

/** Messages of a batch that was written, for as long as they are to be known again. */
export interface SeenGroup {
  /**
   * Epoch milliseconds; none of the last batch, whose time begins when the next one is received.
   */
  readonly until?: number;
  readonly messageIds: readonly string[];
}

/** What is kept of a batch beside its messages. */
interface BatchRecord {
  readonly receipts: readonly (readonly [messageId: string, receiptHandle: string])[];
  /** Of the batches before. */
  readonly seen: readonly SeenGroup[];
}

const FOLDER = "sqs/";
const RECORD = "batch.json";

/**
 * The batches that lie in the pipeline's store: the messages until they are deleted from the queue,
 * and of the last batch what deletes them, and the ids of those before.
 */
export class Batches {
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** Puts one file of a batch that is being received. */
  async putFile(offset: QueueOffset, index: number, bytes: Uint8Array): Promise<void> {
    // The id is new: if the key is taken, an earlier try of this very put has taken it.
    await this.#store.put(fileKey(offset, index), bytes);
  }

  files(offset: QueueOffset): MessagesFile[] {
    return Array.from({ length: offset.files ?? 0 }, (_, i) => ({ key: fileKey(offset, i) }));
  }

  /** Error: `PARTITIONS_MISSING`. */
  async readFile({ key }: MessagesFile): Promise<Uint8Array> {
    const bytes = await this.#store.get(key);
    if (bytes !== undefined) return bytes;
    throw new MillraceError("PARTITIONS_MISSING", `the messages of a batch are gone: there is no ${key}`, {
      where: { path: `${this.#store.location}/${key}` },
      hint: "Somebody deleted it. Restore the file; the batch cannot be written without it.",
    });
  }

  /** Puts what is kept of a batch: last, so that it is whole. */
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

  /** What deletes the batch's messages. */
  async receipts(offset: QueueOffset): Promise<Receipt[]> {
    const record = await this.#record(offset);
    return (record?.receipts ?? []).map(([messageId, receiptHandle]) => ({ messageId, receiptHandle }));
  }

  /** The messages of this batch and of those before. */
  async seen(offset: QueueOffset): Promise<readonly SeenGroup[]> {
    const { receipts = [], seen = [] } = (await this.#record(offset)) ?? {};
    return [{ messageIds: receipts.map(([messageId]) => messageId) }, ...seen];
  }

  /**
   * Deletes what is no longer needed once this batch is committed: all of the batches before,
   * recorded or not, and its own messages. Never what has a higher number: a run that was overtaken
   * must not delete what the other one received since.
   */
  async clearUp(offset: QueueOffset): Promise<void> {
    const keys: string[] = [];
    for await (const { key } of this.#store.list(FOLDER)) {
      if (Number(/^sqs\/(\d+)-/.exec(key)?.[1]) > offset.batch) break;
      if (key !== recordKey(offset)) keys.push(key);
    }
    await this.#store.delete(keys);
  }

  async #record(offset: QueueOffset): Promise<BatchRecord | undefined> {
    if (offset.id === undefined) return undefined;
    const bytes = await this.#store.get(recordKey(offset));
    return bytes === undefined ? undefined : (JSON.parse(Buffer.from(bytes).toString()) as BatchRecord);
  }
}

/** Those of the groups that are still to be known after the batch that is received at `now`. */
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
