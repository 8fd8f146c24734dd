import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  type Put,
  PutItemCommand,
  paginateQuery,
  paginateScan,
  QueryCommand,
  type TransactWriteItem,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import type { Runtime } from "../../contract/context.ts";
import { callWithRetry, itemsOfFailedCondition } from "./dynamodb-calls.ts";
import { type Item, type Key, toItem } from "./dynamodb-items.ts";
import { expression, type ItemChange } from "./expression.ts";

export interface DynamoDbTableOptions {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  readonly runtime: Runtime;
}

/** Result of a conditional update. `changed` is false if the condition failed. */
export interface Updated {
  readonly changed: boolean;
  /** The current item: after the update, or the existing one if the condition failed. */
  readonly item: Item | undefined;
}

/**
 * Reads and writes the items of one table by their keys `pk` and `sk`. A failed condition returns
 * the existing item, so that the caller needs no second read. Throws `LEDGER_FAILED`.
 */
export class DynamoDbTable {
  readonly #options: DynamoDbTableOptions;

  constructor(options: DynamoDbTableOptions) {
    this.#options = options;
  }

  async get(key: Key): Promise<Item | undefined> {
    const input = { ...this.#target(key), ConsistentRead: true };
    const { Item } = await this.#call((client) => client.send(new GetItemCommand(input)));
    return Item;
  }

  async put(item: Item): Promise<void> {
    const input = { TableName: this.#options.tableName, Item: item };
    await this.#call((client) => client.send(new PutItemCommand(input)));
  }

  /** Updates an item if the condition holds. */
  async update(key: Key, change: ItemChange): Promise<Updated> {
    const input = {
      ...this.#target(key),
      ...expression(change),
      ReturnValues: "ALL_NEW",
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    } as const;
    try {
      const { Attributes } = await this.#call((client) => client.send(new UpdateItemCommand(input)));
      return { changed: true, item: Attributes };
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return { changed: false, item: error.Item };
      throw error;
    }
  }

  async delete(key: Key): Promise<void> {
    await this.#call((client) => client.send(new DeleteItemCommand(this.#target(key))));
  }

  /** Deletes an item if the condition of `change` holds; `change` sets nothing. */
  async deleteIf(key: Key, change: ItemChange): Promise<Updated> {
    const { UpdateExpression: _nothing, ...condition } = expression(change);
    const input = {
      ...this.#target(key),
      ...condition,
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    } as const;
    try {
      await this.#call((client) => client.send(new DeleteItemCommand(input)));
      return { changed: true, item: undefined };
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return { changed: false, item: error.Item };
      throw error;
    }
  }

  /**
   * Returns a write for a transaction: a conditional update, or only a condition check if nothing
   * is set.
   */
  change(key: Key, change: ItemChange): TransactWriteItem {
    const { UpdateExpression, ...condition } = expression(change);
    const target = this.#target(key);
    return UpdateExpression === undefined
      ? { ConditionCheck: { ...target, ...condition } }
      : { Update: { ...target, ...condition, UpdateExpression } };
  }

  /** Returns a write for a transaction that deletes an item if the condition of `change` holds. */
  deletion(key: Key, change: ItemChange): TransactWriteItem {
    const { UpdateExpression: _nothing, ...condition } = expression(change);
    return { Delete: { ...this.#target(key), ...condition } };
  }

  /** Returns a write for a transaction that puts an item whose key must not exist yet. */
  newItem(item: Item): { readonly Put: Put } {
    const { tableName } = this.#options;
    return { Put: { TableName: tableName, Item: item, ConditionExpression: "attribute_not_exists(pk)" } };
  }

  /**
   * Executes all writes or none. Returns `undefined` on success. If a condition failed, returns the
   * existing items in the order of the writes, with `undefined` for each write whose condition
   * held.
   */
  async transact(writes: readonly TransactWriteItem[]): Promise<readonly (Item | undefined)[] | undefined> {
    // All retries use the same token, so that DynamoDB executes the transaction only once.
    const input = {
      TransactItems: writes.map(returningOldItem),
      ClientRequestToken: this.#options.runtime.newId(),
    };
    try {
      await this.#call((client) => client.send(new TransactWriteItemsCommand(input)));
      return undefined;
    } catch (error) {
      const items = itemsOfFailedCondition(error);
      if (items === undefined) throw error;
      return items;
    }
  }

  /** Returns all items with this partition key, ordered by the sort key. */
  async queryPartition(pk: string): Promise<readonly Item[]> {
    const query = {
      TableName: this.#options.tableName,
      ConsistentRead: true,
      KeyConditionExpression: "pk = :pk",
      ExpressionAttributeValues: toItem({ ":pk": pk }),
    };
    return await this.#call(async (client) => {
      const items: Item[] = [];
      for await (const page of paginateQuery({ client }, query)) items.push(...(page.Items ?? []));
      return items;
    });
  }

  /** Returns the last items of a partition between two keys, in descending order. */
  async queryNewest(first: Key, last: Key, limit: number): Promise<readonly Item[]> {
    const query = {
      TableName: this.#options.tableName,
      ConsistentRead: true,
      ScanIndexForward: false,
      KeyConditionExpression: "pk = :pk AND sk BETWEEN :first AND :last",
      ExpressionAttributeValues: toItem({ ":pk": first.pk, ":first": first.sk, ":last": last.sk }),
    };
    return await this.#call(async (client) => {
      const items: Item[] = [];
      let startKey: Item | undefined;
      do {
        const Limit = limit - items.length;
        const page = await client.send(new QueryCommand({ ...query, Limit, ExclusiveStartKey: startKey }));
        items.push(...(page.Items ?? []));
        startKey = page.LastEvaluatedKey;
      } while (startKey !== undefined && items.length < limit);
      return items;
    });
  }

  /**
   * Returns the partition keys of all items with this sort key. Scans the whole table. Only
   * commands for people call it, never a run.
   */
  async scanPartitionKeys(sk: string): Promise<readonly string[]> {
    const scan = {
      TableName: this.#options.tableName,
      FilterExpression: "sk = :sk",
      ProjectionExpression: "pk",
      ExpressionAttributeValues: toItem({ ":sk": sk }),
    };
    return await this.#call(async (client) => {
      const keys: string[] = [];
      for await (const page of paginateScan({ client }, scan))
        keys.push(...(page.Items ?? []).map((item) => String(item["pk"]?.S)));
      return keys;
    });
  }

  async #call<T>(call: (client: DynamoDBClient) => Promise<T>): Promise<T> {
    const { client, runtime } = this.#options;
    return await callWithRetry(runtime, () => call(client));
  }

  #target(key: Key): { readonly TableName: string; readonly Key: Item } {
    return { TableName: this.#options.tableName, Key: toItem(key) };
  }
}

/** Makes a failed condition return the existing item. */
function returningOldItem(write: TransactWriteItem): TransactWriteItem {
  return Object.fromEntries(
    Object.entries(write).map(([kind, request]: [string, object]) => [
      kind,
      "ConditionExpression" in request
        ? { ...request, ReturnValuesOnConditionCheckFailure: "ALL_OLD" }
        : request,
    ]),
  );
}
