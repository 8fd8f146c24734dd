import {
  type AttributeValue,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
} from "@aws-sdk/client-dynamodb";
import { type DynamoDbCondition, type DynamoDbItem, dynamoDbItem } from "../../aws/transaction-item.ts";
import type { RefusedRows } from "../../contract/bad-rows.ts";
import {
  type BatchIdentity,
  type CommittedBatch,
  isSameBatch,
  UNKNOWN_PLAN,
} from "../../contract/batch-identity.ts";
import type { BatchContext } from "../../contract/context.ts";
import { canonicalJson } from "../../contract/json.ts";
import type { Offset } from "../../contract/offset.ts";
import { optional } from "../../contract/optional.ts";
import type { AwsClient } from "../kit/aws-client.ts";
import { newerFormat } from "../kit/newer-format.ts";
import type { Item, ItemMaker } from "./items.ts";
import type { ParsedOptions } from "./options.ts";

/** Version of the marker's form. Version 2 may have `refused`; without it, version 1 is written. */
const FORMAT = 2;

/** An attempt of a batch whose items are being put one by one. */
export interface Claim extends BatchIdentity {
  readonly attempt: number;
}

/** What the table records about the batches of one pipeline. */
export interface Marker {
  /**
   * Goes up with each claim, over all incarnations. Items carry it, so that a put of an earlier
   * claim never replaces an item of a later one.
   */
  readonly sequence: number;
  /** The newest batch whose items are all in the table. */
  readonly last?: CommittedBatch;
  /** The rows of that batch that were refused. */
  readonly refused?: RefusedRows;
  /** The batch whose items are being put, if it is not complete. */
  readonly next?: Claim;
}

/** Returns the claim of this attempt. */
export function claimOf({ incarnation, batchId, planId, attempt }: BatchContext): Claim {
  return { incarnation, batchId, planId, attempt };
}

/** Returns the record of a batch whose items are all in the table. */
export function committedBatchOf({ incarnation, batchId, planId, start, end }: BatchContext): CommittedBatch {
  return { incarnation, batchId, planId, start, end };
}

/**
 * Returns the newest batch that is complete in the table. `follows` is the batch that the ledger
 * believes to be the newest. The older version kept no record, so its batches are taken on trust.
 */
export function newestOf(
  marker: Marker | undefined,
  follows: BatchIdentity | undefined,
): CommittedBatch | undefined {
  if (marker?.last !== undefined) return marker.last;
  return follows?.planId === UNKNOWN_PLAN ? follows : undefined;
}

/** True if the batch's own items are being put, by this attempt or another process that does it. */
export function isClaimedBy(marker: Marker | undefined, batch: BatchContext): boolean {
  return (
    marker?.next !== undefined && isSameBatch(marker.next, batch) && marker.next.attempt === batch.attempt
  );
}

/**
 * Reads and writes the marker, an item of the sink's table with a key of its own. A write is
 * conditional on the marker that was read before.
 */
export class MarkerItem {
  readonly #options: ParsedOptions;
  readonly #items: ItemMaker;
  readonly #client: AwsClient<DynamoDBClient, undefined>;

  constructor(options: ParsedOptions, items: ItemMaker, client: AwsClient<DynamoDBClient, undefined>) {
    this.#options = options;
    this.#items = items;
    this.#client = client;
  }

  /** Reads the marker, with all writes that have taken effect. Error: `TABLE_VERSION`. */
  async read(pipeline: string): Promise<Marker | undefined> {
    const { table, versionAttribute } = this.#options;
    const get = { TableName: table, Key: this.#items.markerKey(pipeline), ConsistentRead: true };
    const { Item } = await this.#client.call("reading the record of the last batch", (client) =>
      client.send(new GetItemCommand(get)),
    );
    return Item && parseMarker(Item[versionAttribute]?.M ?? {}, table);
  }

  /** Replaces the marker that was read. Returns false if it has changed since. */
  async write(pipeline: string, read: Marker | undefined, marker: Marker): Promise<boolean> {
    const { table: TableName, item: Item, condition } = this.toItem(pipeline, read, marker);
    const put = { TableName, Item: Item as Item, ...(condition as object) };
    return await this.#client.call("putting the record of the last batch", async (client) => {
      try {
        await client.send(new PutItemCommand(put));
        return true;
      } catch (error) {
        if (error instanceof ConditionalCheckFailedException) return false;
        throw error;
      }
    });
  }

  /** Returns the same write for a transaction. */
  toItem(pipeline: string, read: Marker | undefined, marker: Marker): DynamoDbItem {
    const { table, versionAttribute } = this.#options;
    const item = {
      ...this.#items.markerKey(pipeline),
      [versionAttribute]: { M: formatMarker(pipeline, marker) },
    };
    return dynamoDbItem(table, item, this.#unchanged(read));
  }

  /**
   * Returns the condition that the marker is the one that was read. Under one sequence, it only
   * changes by losing `next`.
   */
  #unchanged(read: Marker | undefined): DynamoDbCondition {
    const { partitionKey, versionAttribute } = this.#options;
    if (read === undefined)
      return {
        ConditionExpression: "attribute_not_exists(#key)",
        ExpressionAttributeNames: { "#key": partitionKey },
      };
    const next = read.next === undefined ? "attribute_not_exists(#v.#next)" : "attribute_exists(#v.#next)";
    return {
      ConditionExpression: `#v.#sequence = :sequence AND ${next}`,
      ExpressionAttributeNames: { "#v": versionAttribute, "#sequence": "sequence", "#next": "next" },
      ExpressionAttributeValues: { ":sequence": { N: String(read.sequence) } },
    };
  }
}

function formatMarker(pipeline: string, { sequence, last, refused, next }: Marker): Item {
  return {
    format: { N: String(refused === undefined ? 1 : FORMAT) },
    pipeline: { S: pipeline },
    sequence: { N: String(sequence) },
    ...(last === undefined
      ? {}
      : {
          last: {
            M: {
              ...formatIdentity(last),
              ...(last.start === undefined ? {} : { start: { S: canonicalJson(last.start) } }),
              ...(last.end === undefined ? {} : { end: { S: canonicalJson(last.end) } }),
            },
          },
        }),
    ...(refused === undefined ? {} : { refused: { S: JSON.stringify(refused) } }),
    ...(next === undefined
      ? {}
      : { next: { M: { ...formatIdentity(next), attempt: { N: String(next.attempt) } } } }),
  };
}

function formatIdentity({ incarnation, batchId, planId }: BatchIdentity): Item {
  return { incarnation: { S: incarnation }, batchId: { N: String(batchId) }, planId: { S: planId } };
}

function parseMarker(fields: Item, table: string): Marker {
  const format = Number(fields["format"]?.N);
  if (!(format <= FORMAT))
    throw newerFormat("the record of the last batch has", format, FORMAT, { path: table });
  const { last, refused, next } = fields;
  return {
    sequence: Number(fields["sequence"]?.N),
    ...optional("last", last?.M && parseLast(last.M)),
    ...optional("refused", refused?.S === undefined ? undefined : (JSON.parse(refused.S) as RefusedRows)),
    ...optional("next", next?.M && { ...parseIdentity(next.M), attempt: Number(next.M["attempt"]?.N) }),
  };
}

function parseLast(fields: Item): CommittedBatch {
  return {
    ...parseIdentity(fields),
    ...optional("start", parseOffset(fields["start"])),
    ...optional("end", parseOffset(fields["end"])),
  };
}

function parseIdentity(fields: Item): BatchIdentity {
  return {
    incarnation: fields["incarnation"]?.S ?? "",
    batchId: Number(fields["batchId"]?.N),
    planId: fields["planId"]?.S ?? UNKNOWN_PLAN,
  };
}

function parseOffset(value: AttributeValue | undefined): Offset | undefined {
  return value?.S === undefined ? undefined : (JSON.parse(value.S) as Offset);
}
