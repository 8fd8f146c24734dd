import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  paginateQuery,
  paginateScan,
  QueryCommand,
  type TransactWriteItem,
  TransactWriteItemsCommand,
  UpdateItemCommand,
  type UpdateItemCommandInput,
} from "@aws-sdk/client-dynamodb";
import type { Runtime } from "../../contract/context.ts";
import {
  type Acquired,
  type AcquireRequest,
  type Action,
  type Batch,
  conflict,
  type Decision,
  type Fence,
  fenced,
  findRewindProblem,
  type Head,
  holderChanged,
  type JournalEntry,
  type Ledger,
  type NewBatch,
  type Outcome,
  type PlanOfAttempt,
  type Rewind,
  type RunningTask,
  type Task,
  type TaskKey,
  unknownPipeline,
} from "../../engine/ports/ledger.ts";
import { statesBefore } from "../../engine/ports/states.ts";
import { calling, cancelledBy, refusedItems } from "./dynamodb-calls.ts";
import {
  batchItem,
  batchKey,
  batchOf,
  headKey,
  headOf,
  type Item,
  journalEntryOf,
  journalItem,
  journalKey,
  jsonOf,
  type Key,
  progressItem,
  progressPartition,
  runningTaskOf,
  taskItem,
  taskKey,
  taskOf,
  taskPartition,
  toItem,
} from "./dynamodb-items.ts";

export interface DynamoDbLedgerOptions {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  readonly runtime: Runtime;
}

/** Only the run that took the pipeline last may change it. */
const EPOCH_IS_MINE = "epoch = :epoch";
/** The last time that is written with a year of four digits. */
const LAST_TIME = Date.UTC(9999, 11, 31);
/** A transaction has 100 items at most, and the ledger's own are two. */
const JOINED_ITEMS = 90;
const HEAD_EXISTS = "attribute_exists(pk)";

/**
 * The ledger in one DynamoDB table: partition key `pk`, sort key `sk`, both strings; TTL attribute `expiresAt`. Each step is one
 * conditional write, or one transaction where it touches batch and head. A failed condition brings the item that was there, so
 * that losing costs no second read.
 */
export class DynamoDbLedger implements Ledger {
  readonly joins: number = JOINED_ITEMS;
  readonly #options: DynamoDbLedgerOptions;

  constructor(options: DynamoDbLedgerOptions) {
    this.#options = options;
  }

  async acquire(request: AcquireRequest): Promise<Acquired> {
    const leaseIsFree = "attribute_not_exists(leaseOwner)";
    const leaseIsOver = "leaseExpiresAt <= :now";
    const leaseIsMine = "leaseOwner = :owner";
    const holderHasEnded = "epoch = :takeOverEpoch";
    const { item, changed } = await this.#update(headKey(request.pipeline), {
      UpdateExpression: [
        "SET incarnation = if_not_exists(incarnation, :incarnation)",
        "nextBatchId = if_not_exists(nextBatchId, :zero)",
        "epoch = if_not_exists(epoch, :zero) + :one",
        "leaseOwner = :owner",
        "leaseDescription = :description",
        "leaseExpiresAt = :expiresAt",
      ].join(", "),
      ConditionExpression: [leaseIsFree, leaseIsOver, leaseIsMine, holderHasEnded].join(" OR "),
      ExpressionAttributeValues: toItem({
        ":incarnation": request.newIncarnation,
        ":zero": 0,
        ":one": 1,
        ":owner": request.owner.id,
        ":description": request.owner.description,
        ":now": request.now,
        ":expiresAt": request.now + request.leaseMilliseconds,
        ":takeOverEpoch": request.takeOverEpoch ?? -1,
      }),
    });
    return { acquired: changed, head: headOf(item ?? {}) };
  }

  async release(fence: Fence): Promise<void> {
    await this.#update(headKey(fence.pipeline), {
      UpdateExpression: "REMOVE leaseOwner, leaseDescription, leaseExpiresAt",
      ConditionExpression: EPOCH_IS_MINE,
      ExpressionAttributeValues: toItem({ ":epoch": fence.epoch }),
    });
  }

  async initialize(fence: Fence, offset: Head["offset"] & object): Promise<void> {
    const { item, changed } = await this.#update(headKey(fence.pipeline), {
      UpdateExpression: "SET #position = if_not_exists(#position, :offset)",
      ConditionExpression: EPOCH_IS_MINE,
      ExpressionAttributeNames: { "#position": "position" },
      ExpressionAttributeValues: toItem({ ":epoch": fence.epoch, ":offset": jsonOf(offset) }),
    });
    if (!changed) throw fenced(fence, item && headOf(item));
  }

  async plan(fence: Fence, batch: NewBatch): Promise<Batch> {
    const { now, ...planned } = batch;
    const recorded: Batch = {
      ...planned,
      pipeline: fence.pipeline,
      attempt: 1,
      state: "planned",
      lastTriedAttempt: 0,
      plannedAt: now,
      firstPlannedAt: now,
    };
    const noBatchIsOpen = "attribute_not_exists(openBatchId)";
    const idIsNext = "nextBatchId = :batchId";
    const startsAtOffset = "(attribute_not_exists(#position) OR #position = :start)";
    const failed = await this.#transact([
      {
        Put: {
          TableName: this.#options.tableName,
          Item: batchItem(recorded),
          ConditionExpression: "attribute_not_exists(pk)",
        },
      },
      {
        Update: {
          ...this.#target(headKey(fence.pipeline)),
          UpdateExpression:
            "SET openBatchId = :batchId, nextBatchId = :nextBatchId, #position = :start, lastPlannedAt = :now",
          ConditionExpression: [EPOCH_IS_MINE, noBatchIsOpen, idIsNext, startsAtOffset].join(" AND "),
          ExpressionAttributeNames: { "#position": "position" },
          ExpressionAttributeValues: toItem({
            ":epoch": fence.epoch,
            ":batchId": batch.batchId,
            ":nextBatchId": batch.batchId + 1,
            ":start": jsonOf(batch.start),
            ":now": now,
          }),
        },
      },
    ]);
    if (failed === undefined) return recorded;
    this.#checkEpoch(fence, failed[1]);
    throw conflict(fence.pipeline, batch.batchId, "it does not follow what the ledger has");
  }

  async replan(fence: Fence, batch: Batch, now: number, plan: PlanOfAttempt = batch): Promise<Batch> {
    const { batchId, attempt, finishedAt: _finishedAt, progress: _progress, ...kept } = batch;
    const { partitionsKey, schema } = plan;
    const failed = await this.#transition(fence, batchId, {
      UpdateExpression:
        "SET attempt = :next, #state = :planned, plannedAt = :now, partitionsKey = :partitionsKey, #schema = :schema REMOVE finishedAt, progress",
      ConditionExpression: "attempt = :attempt AND #state IN (:aborted, :planned)",
      ExpressionAttributeNames: { "#state": "state", "#schema": "schema" },
      ExpressionAttributeValues: toItem({
        ":partitionsKey": partitionsKey,
        ":schema": schema,
        ":attempt": attempt,
        ":next": attempt + 1,
        ":planned": "planned",
        ":aborted": "aborted",
        ":now": now,
      }),
    });
    if (failed !== undefined)
      throw conflict(fence.pipeline, batchId, `attempt ${attempt} cannot be followed by another`);
    return {
      ...kept,
      partitionsKey,
      schema,
      batchId,
      attempt: attempt + 1,
      state: "planned",
      plannedAt: now,
    };
  }

  async recordTask(key: TaskKey, task: Task): Promise<Task> {
    const { client, tableName } = this.#options;
    try {
      await calling(this.#options, () =>
        client.send(
          new PutItemCommand({
            TableName: tableName,
            Item: taskItem(key, task),
            ConditionExpression: "attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure: "ALL_OLD",
          }),
        ),
      );
      return task;
    } catch (error) {
      // Also where the SDK's own retry met its first try: the winner is then this very task.
      if (error instanceof ConditionalCheckFailedException && error.Item !== undefined)
        return taskOf(error.Item);
      throw error;
    }
  }

  async reportProgress(key: TaskKey, running: RunningTask): Promise<void> {
    const { client, tableName } = this.#options;
    const item = progressItem(key, running);
    await calling(this.#options, () => client.send(new PutItemCommand({ TableName: tableName, Item: item })));
  }

  async decide(fence: Fence, batch: Batch, decision: Decision): Promise<Batch> {
    const { batchId, attempt, state } = batch;
    const { to, error } = decision;
    const tried = to === "committing" ? { lastTriedAttempt: attempt } : {};
    const failed = await this.#transition(fence, batchId, {
      UpdateExpression: [
        "SET #state = :to",
        ...(to === "committing" ? ["lastTriedAttempt = :attempt"] : []),
        ...(error === undefined ? [] : ["#error = :error"]),
      ].join(", "),
      ConditionExpression: "attempt = :attempt AND #state = :from",
      ExpressionAttributeNames: { "#state": "state", ...(error === undefined ? {} : { "#error": "error" }) },
      ExpressionAttributeValues: toItem({
        ":attempt": attempt,
        ":from": state,
        ":to": to,
        ":error": error && JSON.stringify(error),
      }),
    });
    return failed ?? { ...batch, ...tried, state: to, ...(error === undefined ? {} : { error }) };
  }

  async finish(fence: Fence, batch: Batch, outcome: Outcome): Promise<Batch> {
    const { batchId, attempt, end, error, ...kept } = batch;
    const { to, progress, now } = outcome;
    const isCommit = to === "committed";
    const [from] = statesBefore(to);
    const failed = await this.#transition(
      fence,
      batchId,
      {
        UpdateExpression: `SET #state = :to, finishedAt = :now, progress = :progress${isCommit ? " REMOVE #error" : ""}`,
        ConditionExpression: "attempt = :attempt AND #state = :from",
        ExpressionAttributeNames: { "#state": "state", ...(isCommit ? { "#error": "error" } : {}) },
        ExpressionAttributeValues: toItem({
          ":attempt": attempt,
          ":from": from,
          ":to": to,
          ":now": now,
          ":progress": JSON.stringify(progress),
        }),
      },
      isCommit
        ? {
            UpdateExpression:
              "SET #position = :end, lastCommittedBatchId = :batchId, unacknowledgedBatchId = :batchId, unacknowledgedEnd = :end, lastCommit = :lastCommit REMOVE openBatchId",
            ExpressionAttributeNames: { "#position": "position" },
            values: {
              ":end": jsonOf(end),
              ":batchId": batchId,
              ":lastCommit": outcome.lastCommit === undefined ? null : JSON.stringify(outcome.lastCommit),
            },
          }
        : undefined,
      outcome.join?.map(({ table, item }) => ({ Put: { TableName: table, Item: item as Item } })),
    );
    const reason = isCommit || error === undefined ? {} : { error };
    return failed ?? { ...kept, ...reason, batchId, attempt, end, state: to, progress, finishedAt: now };
  }

  async acknowledge(fence: Fence, batchId: number): Promise<void> {
    const { item, changed } = await this.#update(headKey(fence.pipeline), {
      UpdateExpression: "REMOVE unacknowledgedBatchId, unacknowledgedEnd",
      ConditionExpression: `${EPOCH_IS_MINE} AND unacknowledgedBatchId = :batchId`,
      ExpressionAttributeValues: toItem({ ":epoch": fence.epoch, ":batchId": batchId }),
    });
    if (!changed) this.#checkEpoch(fence, item);
  }

  async pause(pipeline: string, action: Action): Promise<void> {
    await this.#journaled(
      pipeline,
      { action: "pause", ...action },
      {
        UpdateExpression: "SET pausedAs = :action",
        ConditionExpression: HEAD_EXISTS,
        ExpressionAttributeValues: toItem({ ":action": JSON.stringify(action) }),
      },
    );
  }

  async resume(pipeline: string, action: Action): Promise<void> {
    await this.#journaled(
      pipeline,
      { action: "resume", ...action },
      {
        UpdateExpression: "REMOVE pausedAs",
        ConditionExpression: HEAD_EXISTS,
      },
    );
  }

  async rewind(fence: Fence, rewind: Rewind): Promise<void> {
    const { pipeline, epoch } = fence;
    const { from, to } = rewind;
    const noBatchIsOpen = "attribute_not_exists(openBatchId)";
    const isWhereExpected = "#position = :from";
    const head = await this.#journaled(
      pipeline,
      { action: "rewind", ...rewind },
      {
        UpdateExpression: "SET #position = :to",
        ConditionExpression: [EPOCH_IS_MINE, noBatchIsOpen, isWhereExpected].join(" AND "),
        ExpressionAttributeNames: { "#position": "position" },
        ExpressionAttributeValues: toItem({ ":epoch": epoch, ":from": jsonOf(from), ":to": jsonOf(to) }),
      },
    );
    const problem = head && findRewindProblem(fence, rewind, head);
    if (problem !== undefined) throw problem;
  }

  async unlock(fence: Fence, action: Action): Promise<void> {
    const { pipeline, epoch } = fence;
    const head = await this.#journaled(
      pipeline,
      { action: "unlock", ...action },
      {
        UpdateExpression: "SET epoch = epoch + :one REMOVE leaseOwner, leaseDescription, leaseExpiresAt",
        ConditionExpression: EPOCH_IS_MINE,
        ExpressionAttributeValues: toItem({ ":epoch": epoch, ":one": 1 }),
      },
    );
    if (head !== undefined) throw holderChanged(fence, head);
  }

  async head(pipeline: string): Promise<Head | undefined> {
    const item = await this.#get(headKey(pipeline));
    return item && headOf(item);
  }

  async batch(pipeline: string, batchId: number): Promise<Batch | undefined> {
    const item = await this.#get(batchKey(pipeline, batchId));
    return item && batchOf(item);
  }

  async task(key: TaskKey): Promise<Task | undefined> {
    const item = await this.#get(taskKey(key));
    return item && taskOf(item);
  }

  async tasks(key: Omit<TaskKey, "partition">): Promise<readonly Task[]> {
    return await this.#below(taskPartition(key), taskOf);
  }

  async progress(key: Omit<TaskKey, "partition">): Promise<readonly RunningTask[]> {
    return await this.#below(progressPartition(key), runningTaskOf);
  }

  async batches(
    pipeline: string,
    options: { readonly limit: number; readonly before?: number },
  ): Promise<readonly Batch[]> {
    const last = (options.before ?? 10 ** 12) - 1;
    if (last < 0) return [];
    const keys = [batchKey(pipeline, 0), batchKey(pipeline, last)] as const;
    return (await this.#newest(keys, options.limit)).map(batchOf);
  }

  async journal(pipeline: string, options: { readonly limit: number }): Promise<readonly JournalEntry[]> {
    const keys = [journalKey(pipeline, 0, ""), journalKey(pipeline, LAST_TIME, "")] as const;
    return (await this.#newest(keys, options.limit)).map(journalEntryOf);
  }

  /** Reads the whole table: for people, never for a run. */
  async pipelines(): Promise<readonly string[]> {
    const { client, tableName } = this.#options;
    return await calling(this.#options, async () => {
      const names: string[] = [];
      const pages = paginateScan(
        { client },
        {
          TableName: tableName,
          FilterExpression: "sk = :head",
          ProjectionExpression: "pk",
          ExpressionAttributeValues: toItem({ ":head": "HEAD" }),
        },
      );
      for await (const page of pages)
        names.push(...(page.Items ?? []).map((item) => String(item["pk"]?.S).slice(2)));
      return names.sort();
    });
  }

  /** Nothing to do: task items have a time to live. */
  async expireTasks(): Promise<void> {}

  /** All that has this partition key. */
  async #below<T>(pk: string, of: (item: Item) => T): Promise<readonly T[]> {
    const { client, tableName } = this.#options;
    return await calling(this.#options, async () => {
      const all: T[] = [];
      const pages = paginateQuery(
        { client },
        {
          TableName: tableName,
          ConsistentRead: true,
          KeyConditionExpression: "pk = :pk",
          ExpressionAttributeValues: toItem({ ":pk": pk }),
        },
      );
      for await (const page of pages) all.push(...(page.Items ?? []).map(of));
      return all;
    });
  }

  /** The last items of a pipeline between two keys, the last one first. */
  async #newest([first, last]: readonly [Key, Key], limit: number): Promise<readonly Item[]> {
    const { client, tableName } = this.#options;
    return await calling(this.#options, async () => {
      const items: Item[] = [];
      let startKey: Item | undefined;
      do {
        const page = await client.send(
          new QueryCommand({
            TableName: tableName,
            ConsistentRead: true,
            ScanIndexForward: false,
            Limit: limit - items.length,
            KeyConditionExpression: "pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues: toItem({ ":pk": first.pk, ":first": first.sk, ":last": last.sk }),
            ExclusiveStartKey: startKey,
          }),
        );
        items.push(...(page.Items ?? []));
        startKey = page.LastEvaluatedKey;
      } while (startKey !== undefined && items.length < limit);
      return items;
    });
  }

  /** One transaction: a change of the head by hand, and its entry in the journal. Gives the head where its condition failed. */
  async #journaled(
    pipeline: string,
    entry: JournalEntry,
    update: Pick<
      UpdateItemCommandInput,
      "ConditionExpression" | "ExpressionAttributeNames" | "ExpressionAttributeValues"
    > & { readonly UpdateExpression: string },
  ): Promise<Head | undefined> {
    const { tableName, runtime } = this.#options;
    const failed = await this.#transact([
      { Update: { ...this.#target(headKey(pipeline)), ...update } },
      { Put: { TableName: tableName, Item: journalItem(pipeline, entry, runtime.newId()) } },
    ]);
    if (failed === undefined) return undefined;
    const [head] = failed;
    if (head === undefined) throw unknownPipeline(pipeline);
    return headOf(head);
  }

  /** One transaction: an update of the batch, and of the head where `advance` is given, else a check of its epoch. Gives the batch where its condition failed. */
  async #transition(
    fence: Fence,
    batchId: number,
    update: Pick<
      UpdateItemCommandInput,
      "UpdateExpression" | "ConditionExpression" | "ExpressionAttributeNames" | "ExpressionAttributeValues"
    > & { readonly UpdateExpression: string },
    advance?: {
      readonly UpdateExpression: string;
      readonly ExpressionAttributeNames: Record<string, string>;
      readonly values: Readonly<Record<string, unknown>>;
    },
    join: readonly TransactWriteItem[] = [],
  ): Promise<Batch | undefined> {
    const head = this.#target(headKey(fence.pipeline));
    const failed = await this.#transact([
      { Update: { ...this.#target(batchKey(fence.pipeline, batchId)), ...update } },
      advance === undefined
        ? {
            ConditionCheck: {
              ...head,
              ConditionExpression: EPOCH_IS_MINE,
              ExpressionAttributeValues: toItem({ ":epoch": fence.epoch }),
            },
          }
        : {
            Update: {
              ...head,
              UpdateExpression: advance.UpdateExpression,
              ConditionExpression: EPOCH_IS_MINE,
              ExpressionAttributeNames: advance.ExpressionAttributeNames,
              ExpressionAttributeValues: toItem({ ":epoch": fence.epoch, ...advance.values }),
            },
          },
      ...join,
    ]).catch((error: unknown) => {
      throw join.length === 0 ? error : refusedItems(error, fence.pipeline, batchId);
    });
    if (failed === undefined) return undefined;
    this.#checkEpoch(fence, failed[1] ?? (await this.#get(headKey(fence.pipeline))));
    const [batch] = failed;
    if (batch === undefined) throw conflict(fence.pipeline, batchId, "there is no such batch");
    return batchOf(batch);
  }

  /** Writes all or nothing. Gives the items that were there where a condition failed, by the position of the write. */
  async #transact(writes: readonly TransactWriteItem[]): Promise<readonly (Item | undefined)[] | undefined> {
    const { client, runtime } = this.#options;
    const ClientRequestToken = runtime.newId();
    const TransactItems = writes.map(withOld);
    try {
      await calling(this.#options, () =>
        client.send(new TransactWriteItemsCommand({ TransactItems, ClientRequestToken })),
      );
      return undefined;
    } catch (error) {
      const items = cancelledBy(error);
      if (items === undefined) throw error;
      return items;
    }
  }

  /** One conditional update. Gives the item as it is now, and whether it was changed. */
  async #update(
    key: Key,
    update: Omit<UpdateItemCommandInput, "TableName" | "Key">,
  ): Promise<{ readonly item: Item | undefined; readonly changed: boolean }> {
    const { client } = this.#options;
    try {
      const { Attributes } = await calling(this.#options, () =>
        client.send(
          new UpdateItemCommand({
            ...this.#target(key),
            ...update,
            ReturnValues: "ALL_NEW",
            ReturnValuesOnConditionCheckFailure: "ALL_OLD",
          }),
        ),
      );
      return { item: Attributes, changed: true };
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return { item: error.Item, changed: false };
      throw error;
    }
  }

  async #get(key: Key): Promise<Item | undefined> {
    const { client } = this.#options;
    const { Item } = await calling(this.#options, () =>
      client.send(new GetItemCommand({ ...this.#target(key), ConsistentRead: true })),
    );
    return Item;
  }

  #checkEpoch(fence: Fence, item: Item | undefined): void {
    const head = item && headOf(item);
    if (head?.epoch !== fence.epoch) throw fenced(fence, head);
  }

  #target(key: Key): { readonly TableName: string; readonly Key: Item } {
    return { TableName: this.#options.tableName, Key: toItem(key) };
  }
}

/** A failed condition is to bring the item that was there. */
function withOld(write: TransactWriteItem): TransactWriteItem {
  return Object.fromEntries(
    Object.entries(write).map(([kind, request]: [string, object]) => [
      kind,
      "ConditionExpression" in request
        ? { ...request, ReturnValuesOnConditionCheckFailure: "ALL_OLD" }
        : request,
    ]),
  );
}
