import {
  ConditionalCheckFailedException,
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
import { calling, cancelledBy } from "./dynamodb-calls.ts";
import { type Item, type Key, toItem } from "./dynamodb-items.ts";
import { expression, type ItemChange } from "./expression.ts";

export interface DynamoDbTableOptions {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  readonly runtime: Runtime;
}

/** The item there was if the condition of a write failed; `changed` is false then. */
export interface Updated {
  readonly changed: boolean;
  /** As it is now. */
  readonly item: Item | undefined;
}

/**
 * Items of one table by their keys `pk` and `sk`. A failed condition brings the item that was
 * there, so that losing costs no second read. Errors: `LEDGER_FAILED`.
 */
export class DynamoDbTable {
  readonly #options: DynamoDbTableOptions;

  constructor(options: DynamoDbTableOptions) {
    this.#options = options;
  }

  async get(key: Key): Promise<Item | undefined> {
    const input = { ...this.#target(key), ConsistentRead: true };
    const { Item } = await this.#calling((client) => client.send(new GetItemCommand(input)));
    return Item;
  }

  async put(item: Item): Promise<void> {
    const input = { TableName: this.#options.tableName, Item: item };
    await this.#calling((client) => client.send(new PutItemCommand(input)));
  }

  /** Returns the item that is there then. */
  async putIfAbsent(item: Item): Promise<Item> {
    const { Put } = this.newItem(item);
    const input = { ...Put, ReturnValuesOnConditionCheckFailure: "ALL_OLD" } as const;
    try {
      await this.#calling((client) => client.send(new PutItemCommand(input)));
      return item;
    } catch (error) {
      // Also if the SDK's own retry met its first try: the winner is then this very item.
      if (error instanceof ConditionalCheckFailedException && error.Item !== undefined) return error.Item;
      throw error;
    }
  }

  /** One compare-and-set. */
  async update(key: Key, change: ItemChange): Promise<Updated> {
    const input = {
      ...this.#target(key),
      ...expression(change),
      ReturnValues: "ALL_NEW",
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    } as const;
    try {
      const { Attributes } = await this.#calling((client) => client.send(new UpdateItemCommand(input)));
      return { changed: true, item: Attributes };
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return { changed: false, item: error.Item };
      throw error;
    }
  }

  /** A write of a transaction: a compare-and-set, or a mere comparison if nothing is set. */
  change(key: Key, change: ItemChange): TransactWriteItem {
    const { UpdateExpression, ...condition } = expression(change);
    const target = this.#target(key);
    return UpdateExpression === undefined
      ? { ConditionCheck: { ...target, ...condition } }
      : { Update: { ...target, ...condition, UpdateExpression } };
  }

  /** A write of a transaction: puts an item whose key must be free. */
  newItem(item: Item): { readonly Put: Put } {
    const { tableName } = this.#options;
    return { Put: { TableName: tableName, Item: item, ConditionExpression: "attribute_not_exists(pk)" } };
  }

  /**
   * Writes all or nothing. If a condition failed, returns the items that were there, by the
   * position of the write: `undefined` for a write whose condition held.
   */
  async transact(writes: readonly TransactWriteItem[]): Promise<readonly (Item | undefined)[] | undefined> {
    // One token for all tries: DynamoDB then knows a try that comes again.
    const input = { TransactItems: writes.map(withOld), ClientRequestToken: this.#options.runtime.newId() };
    try {
      await this.#calling((client) => client.send(new TransactWriteItemsCommand(input)));
      return undefined;
    } catch (error) {
      const items = cancelledBy(error);
      if (items === undefined) throw error;
      return items;
    }
  }

  /** All that has this partition key, in the order of the sort keys. */
  async below(pk: string): Promise<readonly Item[]> {
    const query = {
      TableName: this.#options.tableName,
      ConsistentRead: true,
      KeyConditionExpression: "pk = :pk",
      ExpressionAttributeValues: toItem({ ":pk": pk }),
    };
    return await this.#calling(async (client) => {
      const items: Item[] = [];
      for await (const page of paginateQuery({ client }, query)) items.push(...(page.Items ?? []));
      return items;
    });
  }

  /** The last items of a partition between two keys, the last one first. */
  async newest(first: Key, last: Key, limit: number): Promise<readonly Item[]> {
    const query = {
      TableName: this.#options.tableName,
      ConsistentRead: true,
      ScanIndexForward: false,
      KeyConditionExpression: "pk = :pk AND sk BETWEEN :first AND :last",
      ExpressionAttributeValues: toItem({ ":pk": first.pk, ":first": first.sk, ":last": last.sk }),
    };
    return await this.#calling(async (client) => {
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
   * The partition keys of all items with this sort key. Reads the whole table: for people, never
   * for a run.
   */
  async partitionsWith(sk: string): Promise<readonly string[]> {
    const scan = {
      TableName: this.#options.tableName,
      FilterExpression: "sk = :sk",
      ProjectionExpression: "pk",
      ExpressionAttributeValues: toItem({ ":sk": sk }),
    };
    return await this.#calling(async (client) => {
      const keys: string[] = [];
      for await (const page of paginateScan({ client }, scan))
        keys.push(...(page.Items ?? []).map((item) => String(item["pk"]?.S)));
      return keys;
    });
  }

  async #calling<T>(call: (client: DynamoDBClient) => Promise<T>): Promise<T> {
    const { client, runtime } = this.#options;
    return await calling(runtime, () => call(client));
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
