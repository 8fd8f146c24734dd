import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { DynamoDb } from "../../../shared/connectors/dynamodb/index.ts";
import { ItemMaker } from "../../../shared/connectors/dynamodb/items.ts";
import type { DynamoDbWriter } from "../../../shared/connectors/dynamodb/writer.ts";
import type { TaskContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { runtimeAt } from "../../support/api-server.ts";
import { batchFields } from "../../support/batch-context.ts";
import { withStores } from "../../support/runtime.ts";

const { store } = withStores(runtimeAt(0));
const task: TaskContext = {
  pipeline: "orders",
  ...batchFields(),
  attempt: 1,
  partitionId: 0,
  attemptNumber: 0,
  signal: new AbortController().signal,
  store,
  openStore: () => store,
};

async function writerOf(ddl: string): Promise<DynamoDbWriter> {
  const options = await parseOptions(DynamoDb, { table: "Orders", partitionKey: "id" });
  const sink = new DynamoDb(options as never, withStores(runtimeAt(0)));
  return sink.streamWriter(parseDdl(ddl), false) as DynamoDbWriter;
}

describe("the key of the record of the last batch", () => {
  async function keyOf(ddl: string, pipeline: string) {
    const keys = { partitionKey: "id", ...(ddl.includes("at ") ? { sortKey: "at" } : {}) };
    const options = await parseOptions(DynamoDb, { table: "Orders", ...keys });
    return new ItemMaker(parseDdl(ddl), options as never).markerKey(pipeline);
  }

  it("The key of the record is text, bytes or a number, like the keys of the table", async () => {
    expect(await keyOf("id string, other int", "orders")).toEqual({ id: { S: "millrace#orders" } });
    expect(await keyOf("id date, at binary", "orders")).toEqual({
      id: { S: "millrace#orders" },
      at: { B: Buffer.from("millrace#orders") },
    });
    expect(await keyOf("id bigint, at timestamp", "orders")).toEqual({
      id: { N: expect.stringMatching(/^-1\d{37}$/) as string },
      at: { S: "millrace#orders" },
    });
  });

  it("The key of the record differs between pipelines and stays the same", async () => {
    const numbers = await Promise.all(
      ["orders", "orders", "refunds"].map(async (name) => (await keyOf("id decimal(38,0)", name))["id"]?.N),
    );
    expect(numbers[0]).toBe(numbers[1]);
    expect(new Set(numbers).size).toBe(2);
  });

  it("A row with the key of the record is refused before anything is written", async () => {
    const ddl = "id string NOT NULL";
    async function* rows() {
      yield recordBatchOf(parseDdl(ddl), [{ id: "a" }, { id: "millrace#orders" }]);
    }
    await expect((await writerOf(ddl)).write(rows(), task)).rejects.toMatchObject({
      code: "ROW_MISMATCH",
      message: expect.stringContaining('row 2, field "id"') as string,
    });
  });
});

describe("a role that lacks a right", () => {
  it("A role that may not read the record is told which right it lacks, and who needs it", async () => {
    const spy = vi.spyOn(DynamoDBClient.prototype, "send");
    const denied = Object.assign(new Error("no"), { name: "AccessDeniedException" });
    spy.mockRejectedValue(denied as never);
    onTestFinished(() => spy.mockRestore());
    await expect((await writerOf("id string")).newestBatch(task)).rejects.toMatchObject({
      code: "DYNAMODB_FAILED",
      message: "reading the record of the last batch of Orders failed: AccessDeniedException",
      retryable: false,
      hint: expect.stringContaining('`table.grant(pipeline.planFunction, "dynamodb:GetItem")`') as string,
    });
  });
});

describe("numbers of a DynamoDB item", () => {
  const itemOf = async (ratio: number) => {
    const schema = parseDdl("id bigint, ratio double");
    const maker = new ItemMaker(schema, await parseOptions(DynamoDb, { table: "t", partitionKey: "id" }));
    return [...maker.itemsOf(recordBatchOf(schema, [{ id: 1, ratio }]), 1)][0];
  };

  it.each([0, -0.1, 9.99e125, 1e-130])("The number %d is stored", async (ratio) => {
    expect(await itemOf(ratio)).toMatchObject({ ratio: { N: String(ratio) } });
  });

  it.each([1e126, -1e300, 9e-131, Number.NaN, Number.NEGATIVE_INFINITY])(
    "The number %d is refused with its row before the commit",
    async (ratio) => {
      await expect(itemOf(ratio)).rejects.toMatchObject({
        code: "ROW_MISMATCH",
        where: { row: 1, field: "ratio" },
      });
    },
  );
});
