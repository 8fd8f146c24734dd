import { randomUUID } from "node:crypto";
import {
  CreateTableCommand,
  PutItemCommand,
  paginateScan,
  type ScalarAttributeType,
} from "@aws-sdk/client-dynamodb";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DynamoDb, type DynamoDbOptions } from "../../../shared/connectors/dynamodb/index.ts";
import type { Pipeline } from "../../../shared/contract/pipeline.ts";
import { runPipeline } from "../../../shared/testing/run-pipeline.ts";
import {
  type Change,
  ChangeFeed,
  type ChangeSource,
  feeds,
  MERGE,
  newestState,
} from "../../support/changes.ts";
import { hasPython } from "../../support/python.ts";
import { useDynamoDb } from "./emulator.ts";

describe.skipIf(!hasPython)("a stream of changes into a table of DynamoDB", () => {
  const client = useDynamoDb();

  async function newTable(keys: Record<string, ScalarAttributeType> = { id: "N" }): Promise<string> {
    const TableName = `changes-${randomUUID()}`;
    const names = Object.entries(keys);
    await client().send(
      new CreateTableCommand({
        TableName,
        BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: names.map(([AttributeName, AttributeType]) => ({
          AttributeName,
          AttributeType,
        })),
        KeySchema: names.map(([AttributeName], i) => ({
          AttributeName,
          KeyType: i === 0 ? ("HASH" as const) : ("RANGE" as const),
        })),
      }),
    );
    return TableName;
  }

  /** Returns the items but for the record of the last batch, as numbers and text. */
  async function itemsOf(table: string): Promise<Record<string, unknown>[]> {
    const items: Record<string, unknown>[] = [];
    for await (const { Items = [] } of paginateScan(
      { client: client() },
      { TableName: table, ConsistentRead: true },
    ))
      items.push(...Items.map((item) => unmarshall(item)));
    return items
      .filter((item) => item["_millrace"] === undefined)
      .sort((a, b) => Number(a["id"]) - Number(b["id"]));
  }

  /** Returns the items that a reader takes for rows. */
  async function rowsOf(table: string): Promise<object[]> {
    const items = await itemsOf(table);
    return items.filter(({ _deleted }) => _deleted !== true).map(({ _sequence, ...row }) => row);
  }

  function feedInto(table: string, options: Partial<DynamoDbOptions> = {}): ChangeFeed {
    const all = { table, partitionKey: "id", ...options };
    return new ChangeFeed(MERGE, {
      to: (source: ChangeSource) => source.writeStream.format(DynamoDb).options(all),
    });
  }

  const upsert = (id: number, seq: number): Change => ({ id, v: `v${seq}`, seq, op: "upsert" });
  const removal = (id: number, seq: number): Change => ({ id, v: null, seq, op: "delete" });

  it("Any order and any batches leave the newest state of each key", async () => {
    await fc.assert(
      fc.asyncProperty(feeds, async ({ changes, batches }) => {
        const table = await newTable();
        const feed = feedInto(table);
        for (const batch of batches) await feed.merge(batch);
        expect(await rowsOf(table)).toEqual(newestState(changes));
      }),
      { numRuns: 15 },
    );
  });

  it("A delete leaves a tombstone that DynamoDB may remove after the stated time", async () => {
    const table = await newTable();
    const feed = feedInto(table);
    await feed.merge([upsert(1, 1), removal(1, 5), upsert(2, 1)]);
    const seconds = Date.parse("2026-01-08T00:00:00Z") / 1000;
    const [tombstone, row] = await itemsOf(table);
    expect(tombstone).toEqual({
      id: 1,
      _deleted: true,
      _expiresAt: seconds,
      _sequence: Uint8Array.from([1, 128, 0, 0, 0, 0, 0, 0, 5]),
    });
    expect(row).toMatchObject({ id: 2, v: "v1", seq: 1 });
    await feed.merge([upsert(1, 4)]);
    expect(await itemsOf(table)).toContainEqual(tombstone);
    await feed.merge([upsert(1, 6)]);
    expect(await rowsOf(table)).toMatchObject([{ id: 1, v: "v6" }, { id: 2 }]);
  });

  it("A batch that is written again by a lost ledger changes nothing that is newer", async () => {
    const table = await newTable();
    const feed = feedInto(table);
    await feed.merge([upsert(1, 1), upsert(2, 1)]);
    await feed.merge([upsert(1, 9), removal(2, 9)]);
    const items = await itemsOf(table);
    // Another pipeline has another record, and reads the same changes from their begin.
    const again = feedInto(table);
    await again.merge([upsert(1, 1), upsert(2, 1)]);
    expect(await itemsOf(table)).toEqual(items);
  });

  it("An item that no merge has put counts as older", async () => {
    const table = await newTable();
    await client().send(new PutItemCommand({ TableName: table, Item: { id: { N: "1" }, v: { S: "old" } } }));
    await feedInto(table).merge([upsert(1, 1)]);
    expect(await rowsOf(table)).toEqual([{ id: 1, v: "v1", seq: 1 }]);
  });

  it("A table that was restored to an earlier state is noticed before anything is planned", async () => {
    const [table, older] = [await newTable(), await newTable()];
    const feed = feedInto(table);
    await feed.merge([upsert(1, 1)]);
    feed.stream.addData([upsert(1, 2)]);
    const restored = (feed.pipeline as Pipeline<DynamoDbOptions>).option("table", older);
    await expect(
      runPipeline(restored, feed.run === undefined ? {} : { after: feed.run }),
    ).rejects.toMatchObject({ code: "SINK_BEHIND_LEDGER" });
  });

  it("Other keys than those of the table, a taken attribute, and SCD type 2 are refused", async () => {
    const [table, byText] = [await newTable(), await newTable({ v: "S" })];
    const invalid = { code: "OPTIONS_INVALID" };
    const otherKey = feedInto(byText, { partitionKey: "v" });
    await expect(otherKey.merge([upsert(1, 1)])).rejects.toMatchObject(invalid);
    const taken = feedInto(table, { sequenceAttribute: "seq" });
    await expect(taken.merge([upsert(1, 1)])).rejects.toMatchObject(invalid);
    const type2 = new ChangeFeed(
      { ...MERGE, storedAsScdType: 2 },
      { to: (source) => source.writeStream.format(DynamoDb).options({ table, partitionKey: "id" }) },
    );
    await expect(type2.merge([upsert(1, 1)])).rejects.toMatchObject({ code: "WRITE_NOT_SUPPORTED" });
  });
});
