import { randomUUID } from "node:crypto";
import {
  CreateTableCommand,
  GetItemCommand,
  PutItemCommand,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { DynamoDb } from "../../shared/connectors/dynamodb/index.ts";
import type { DynamoDbWriter } from "../../shared/connectors/dynamodb/writer.ts";
import { UNKNOWN_PLAN } from "../../shared/contract/batch-identity.ts";
import type { BatchContext } from "../../shared/contract/context.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { parseOptions } from "../../shared/contract/options/parse.ts";
import { DirectoryStore } from "../../shared/platform/embedded/directory-store.ts";
import { runtimeAt } from "../support/api-server.ts";
import { batchFields } from "../support/batch-context.ts";
import { temporaryFolder } from "../support/folder.ts";
import { withStores } from "../support/runtime.ts";
import { dynamodb } from "./clients.ts";

const SCHEMA = parseDdl("id string NOT NULL, word string");

/** Creates a table and a writer, with items as the older version has put them in batch 4. */
async function oldTable() {
  const table = `sink-${randomUUID()}`;
  await dynamodb.send(
    new CreateTableCommand({
      TableName: table,
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
    }),
  );
  await waitUntilTableExists({ client: dynamodb, maxWaitTime: 30 }, { TableName: table });
  for (const id of ["a", "b"]) await putAsBefore(table, id, "old", 4);
  const options = await parseOptions(DynamoDb, { table, partitionKey: "id" });
  const sink = new DynamoDb(options as never, withStores(runtimeAt(0)));
  const store = new DirectoryStore(temporaryFolder());
  return { table, store, writer: sink.streamWriter(SCHEMA, false) as DynamoDbWriter };
}

/** Puts an item as the older version does. */
async function putAsBefore(table: string, id: string, word: string, batchId: number): Promise<void> {
  const version = `${String(batchId).padStart(12, "0")}-000000-000000000001`;
  await dynamodb.send(
    new PutItemCommand({
      TableName: table,
      Item: {
        id: { S: id },
        word: { S: word },
        _millrace: { M: { incarnation: { S: "life-1" }, version: { S: version } } },
      },
      ConditionExpression: "attribute_not_exists(#v) OR #v.#i <> :i OR #v.#n <= :n",
      ExpressionAttributeNames: { "#v": "_millrace", "#i": "incarnation", "#n": "version" },
      ExpressionAttributeValues: { ":i": { S: "life-1" }, ":n": { S: version } },
    }),
  );
}

async function itemOf(table: string, id: string) {
  const { Item } = await dynamodb.send(new GetItemCommand({ TableName: table, Key: { id: { S: id } } }));
  return Item;
}

type Table = Awaited<ReturnType<typeof oldTable>>;

async function land({ writer, store }: Table, word: string, fields: Partial<BatchContext>): Promise<void> {
  const context: BatchContext = {
    pipeline: "orders",
    ...batchFields(fields),
    attempt: 1,
    commitTried: true,
    plannedAt: 0,
    store,
    openStore: (path) => new DirectoryStore(path),
    ...fields,
  };
  async function* rows() {
    yield recordBatchOf(SCHEMA, [{ id: "a", word }]);
  }
  const task = { ...context, partitionId: 0, attemptNumber: 0, signal: new AbortController().signal };
  await writer.commit([await writer.write(rows(), task)], context.batchId, context);
}

const identity = (batchId: number) => ({ incarnation: "life-1", batchId, planId: UNKNOWN_PLAN });

describe("a table of the older version", () => {
  it("A table without a record of batches takes the ledger's newest batch on trust, once", async () => {
    const t = await oldTable();
    const context = { pipeline: "orders", incarnation: "life-1", store: t.store, openStore: () => t.store };
    expect(await t.writer.newestBatch(context)).toBeUndefined();
    expect(await t.writer.newestBatch({ ...context, follows: identity(4) })).toEqual(identity(4));
    await land(t, "new", { batchId: 5, follows: identity(4) });
    expect(await t.writer.newestBatch({ ...context, follows: identity(4) })).toMatchObject({
      batchId: 5,
      planId: "plan-5",
      end: { n: 60 },
    });
    expect((await itemOf(t.table, "a"))?.["word"]).toEqual({ S: "new" });
    expect((await itemOf(t.table, "b"))?.["word"]).toEqual({ S: "old" });
  });

  it("A batch whose first process died in the middle of its puts still follows the trusted one", async () => {
    const t = await oldTable();
    const claimed = { incarnation: "life-1", batchId: "5", planId: "plan-5", attempt: "1" };
    await dynamodb.send(
      new PutItemCommand({
        TableName: t.table,
        Item: {
          id: { S: "millrace#orders" },
          _millrace: {
            M: {
              format: { N: "1" },
              pipeline: { S: "orders" },
              sequence: { N: "1" },
              next: {
                M: {
                  incarnation: { S: claimed.incarnation },
                  batchId: { N: claimed.batchId },
                  planId: { S: claimed.planId },
                  attempt: { N: claimed.attempt },
                },
              },
            },
          },
        },
      }),
    );
    await land(t, "new", { batchId: 5, follows: identity(4) });
    expect((await itemOf(t.table, "a"))?.["word"]).toEqual({ S: "new" });
    expect((await itemOf(t.table, "millrace#orders"))?.["_millrace"]?.M).toMatchObject({
      sequence: { N: "1" },
      last: { M: { batchId: { N: "5" }, start: { S: '{"n":50}' }, end: { S: '{"n":60}' } } },
    });
  });

  it("A batch that the older version had open is put, and the next batch follows it", async () => {
    const t = await oldTable();
    await land(t, "open", { batchId: 5, planId: UNKNOWN_PLAN, follows: identity(4) });
    await land(t, "next", { batchId: 6, follows: identity(5) });
    expect((await itemOf(t.table, "a"))?.["word"]).toEqual({ S: "next" });
  });

  it("A ledger that was restored to before the upgrade is refused once the table has a record", async () => {
    const t = await oldTable();
    await land(t, "new", { batchId: 5, follows: identity(4) });
    await expect(land(t, "other", { batchId: 5, planId: "x", follows: identity(4) })).rejects.toMatchObject({
      code: "LEDGER_BEHIND_SINK",
    });
    expect((await itemOf(t.table, "a"))?.["word"]).toEqual({ S: "new" });
  });

  it("A late put of the older version does not replace an item of a later batch", async () => {
    const t = await oldTable();
    await land(t, "new", { batchId: 5, follows: identity(4) });
    await expect(putAsBefore(t.table, "a", "late", 4)).rejects.toThrow("conditional request failed");
    expect((await itemOf(t.table, "a"))?.["word"]).toEqual({ S: "new" });
  });

  it("A record of a newer format is refused, and nothing is written", async () => {
    const t = await oldTable();
    await dynamodb.send(
      new PutItemCommand({
        TableName: t.table,
        Item: { id: { S: "millrace#orders" }, _millrace: { M: { format: { N: "3" } } } },
      }),
    );
    await expect(land(t, "new", { batchId: 5, follows: identity(4) })).rejects.toMatchObject({
      code: "TABLE_VERSION",
    });
    expect((await itemOf(t.table, "a"))?.["word"]).toEqual({ S: "old" });
  });
});
