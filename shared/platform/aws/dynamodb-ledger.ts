import type { TransactWriteItem } from "@aws-sdk/client-dynamodb";
import { isDynamoDbItem } from "../../aws/transaction-item.ts";
import type { Runtime } from "../../contract/context.ts";
import type { ErrorRecord } from "../../contract/errors.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { Offset } from "../../contract/offset.ts";
import type { TransactionItem } from "../../contract/stream-writer.ts";
import type {
  Acquired,
  AcquireRequest,
  Action,
  Batch,
  Decision,
  Fence,
  Head,
  JournalEntry,
  Ledger,
  LedgerLimits,
  NewBatch,
  Outcome,
  PlanOfAttempt,
  Rewind,
  RunningTask,
  Task,
  TaskKey,
} from "../../engine/ports/ledger.ts";
import {
  acknowledged,
  acquired,
  type BatchTransition,
  decided,
  errorRecorded,
  finished,
  type HeadTransition,
  initialized,
  type JournaledTransition,
  paused,
  planned,
  released,
  replanned,
  resumed,
  rewound,
  unlocked,
} from "../../engine/ports/transitions.ts";
import { refusedItemsError } from "./dynamodb-calls.ts";
import {
  batchChange,
  batchItem,
  batchKey,
  batchOf,
  headChange,
  headKey,
  headOf,
  type Item,
  journalEntryOf,
  journalItem,
  journalKey,
  progressItem,
  progressPartition,
  runningTaskOf,
  taskItem,
  taskKey,
  taskOf,
  taskPartition,
} from "./dynamodb-items.ts";
import { DynamoDbTable, type DynamoDbTableOptions } from "./dynamodb-table.ts";

/** Upper bound of the times in journal keys: the last year with four digits. */
const LAST_TIME = Date.UTC(9999, 11, 31);
/** The first batch id that does not fit into a key. */
const BATCH_IDS = 10 ** 12;

/**
 * The ledger in one DynamoDB table with partition key `pk`, sort key `sk` (both strings) and TTL
 * attribute `expiresAt`. A transition is one conditional write, or one transaction if it changes
 * more than the head.
 */
export class DynamoDbLedger implements Ledger {
  /**
   * DynamoDB allows 400 KB per item and 100 items per transaction. The ledger itself writes two of
   * them.
   */
  readonly limits: LedgerLimits = { messageBytes: 100 * 1024, maxSinkItems: 90 };
  readonly #table: DynamoDbTable;
  readonly #runtime: Runtime;

  constructor(options: DynamoDbTableOptions) {
    this.#table = new DynamoDbTable(options);
    this.#runtime = options.runtime;
  }

  async acquire(request: AcquireRequest): Promise<Acquired> {
    const { head } = acquired(request);
    const { changed, item } = await this.#table.update(headKey(request.pipeline), headChange(head));
    return { acquired: changed, head: headOf(item ?? {}) };
  }

  async release(fence: Fence): Promise<void> {
    await this.#changeHead(released(fence));
  }

  async initialize(fence: Fence, offset: Offset): Promise<void> {
    await this.#changeHead(initialized(fence, offset));
  }

  async plan(fence: Fence, batch: NewBatch): Promise<Batch> {
    return await this.#changeBatch(planned(fence, batch));
  }

  async replan(fence: Fence, batch: Batch, now: number, plan?: PlanOfAttempt): Promise<Batch> {
    return await this.#changeBatch(replanned(fence, batch, now, plan));
  }

  async recordTask(key: TaskKey, task: Task): Promise<Task> {
    return taskOf(await this.#table.putIfAbsent(taskItem(key, task)));
  }

  async reportProgress(key: TaskKey, running: RunningTask): Promise<void> {
    await this.#table.put(progressItem(key, running));
  }

  async decide(fence: Fence, batch: Batch, decision: Decision): Promise<Batch> {
    return await this.#changeBatch(decided(fence, batch, decision));
  }

  async recordError(fence: Fence, batch: Batch, error: ErrorRecord): Promise<void> {
    await this.#changeBatch(errorRecorded(fence, batch, error));
  }

  async finish(fence: Fence, batch: Batch, outcome: Outcome): Promise<Batch> {
    const sinkItems = (outcome.sinkItems ?? []).map((item) => putOf(item, batch));
    return await this.#changeBatch(finished(fence, batch, outcome, this.limits), sinkItems);
  }

  async acknowledge(fence: Fence, batchId: number): Promise<void> {
    await this.#changeHead(acknowledged(fence, batchId));
  }

  async pause(pipeline: string, action: Action): Promise<void> {
    await this.#changeByHand(paused(pipeline, action));
  }

  async resume(pipeline: string, action: Action): Promise<void> {
    await this.#changeByHand(resumed(pipeline, action));
  }

  async rewind(fence: Fence, rewind: Rewind): Promise<void> {
    await this.#changeByHand(rewound(fence, rewind));
  }

  async unlock(fence: Fence, action: Action): Promise<void> {
    await this.#changeByHand(unlocked(fence, action));
  }

  async head(pipeline: string): Promise<Head | undefined> {
    const item = await this.#table.get(headKey(pipeline));
    return item && headOf(item);
  }

  async batch(pipeline: string, batchId: number): Promise<Batch | undefined> {
    const item = await this.#table.get(batchKey(pipeline, batchId));
    return item && batchOf(item);
  }

  async task(key: TaskKey): Promise<Task | undefined> {
    const item = await this.#table.get(taskKey(key));
    return item && taskOf(item);
  }

  async tasks(key: Omit<TaskKey, "partition">): Promise<readonly Task[]> {
    return (await this.#table.queryPartition(taskPartition(key))).map(taskOf);
  }

  async progress(key: Omit<TaskKey, "partition">): Promise<readonly RunningTask[]> {
    return (await this.#table.queryPartition(progressPartition(key))).map(runningTaskOf);
  }

  async batches(
    pipeline: string,
    { limit, before = BATCH_IDS }: { readonly limit: number; readonly before?: number },
  ): Promise<readonly Batch[]> {
    if (before <= 0) return [];
    const [first, last] = [batchKey(pipeline, 0), batchKey(pipeline, before - 1)];
    return (await this.#table.queryNewest(first, last, limit)).map(batchOf);
  }

  async journal(pipeline: string, { limit }: { readonly limit: number }): Promise<readonly JournalEntry[]> {
    const [first, last] = [journalKey(pipeline, 0, ""), journalKey(pipeline, LAST_TIME, "")];
    return (await this.#table.queryNewest(first, last, limit)).map(journalEntryOf);
  }

  /** Scans the whole table. Only commands for people call it, never a run. */
  async pipelines(): Promise<readonly string[]> {
    const { pk, sk } = headKey("");
    return (await this.#table.scanPartitionKeys(sk)).map((key) => key.slice(pk.length)).sort();
  }

  /** Does nothing, because task items have a time to live. */
  async expireTasks(): Promise<void> {}

  async #changeHead({ pipeline, head, refusal }: HeadTransition): Promise<void> {
    const { changed, item } = await this.#table.update(headKey(pipeline), headChange(head));
    if (!changed) throwIfAny(refusal({ head: item && headOf(item) }));
  }

  /** Changes the head and adds the journal entry in one transaction. */
  async #changeByHand({ pipeline, head, entry, refusal }: JournaledTransition): Promise<void> {
    const failed = await this.#table.transact([
      this.#table.change(headKey(pipeline), headChange(head)),
      this.#table.newItem(journalItem(pipeline, entry, this.#runtime.newId())),
    ]);
    if (failed === undefined) return;
    const [item] = failed;
    throwIfAny(refusal({ head: item && headOf(item) }));
  }

  /**
   * Changes batch and head, and writes the sink's items, in one transaction. Returns the current
   * batch.
   */
  async #changeBatch(
    { pipeline, head, batch: { change, after }, refusal }: BatchTransition,
    sinkItems: readonly TransactWriteItem[] = [],
  ): Promise<Batch> {
    const failed = await this.#table
      .transact([
        change === undefined
          ? this.#table.newItem(batchItem(after))
          : this.#table.change(batchKey(pipeline, after.batchId), batchChange(change)),
        this.#table.change(headKey(pipeline), headChange(head)),
        ...sinkItems,
      ])
      .catch((error: unknown) => {
        throw sinkItems.length === 0 ? error : refusedItemsError(error, pipeline, after.batchId);
      });
    if (failed === undefined) return after;
    const [batch, headItem] = failed;
    const current = {
      head: headItem === undefined ? await this.head(pipeline) : headOf(headItem),
      batch: batch && batchOf(batch),
    };
    throwIfAny(refusal(current));
    return current.batch ?? after;
  }
}

function throwIfAny(error: Error | undefined): void {
  if (error !== undefined) throw error;
}

/**
 * Converts an item of a sink to a write of the transaction. Throws `TRANSACTION_REFUSED` if the
 * item is not for DynamoDB.
 */
function putOf(item: TransactionItem, { pipeline, batchId }: Batch): TransactWriteItem {
  if (isDynamoDbItem(item)) return { Put: { TableName: item.table, Item: item.item as Item } };
  throw new MillraceError(
    "TRANSACTION_REFUSED",
    `the ledger is in DynamoDB, and takes no items of a sink that are for "${item.kind}"`,
    {
      where: { pipeline, batchId },
      hint: "Nothing was written. transactionItems() must make its items by dynamoDbItem().",
    },
  );
}
