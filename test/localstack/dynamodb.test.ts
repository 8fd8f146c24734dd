import { randomUUID } from "node:crypto";
import {
  CreateTableCommand,
  DeleteTableCommand,
  DynamoDBClient,
  paginateScan,
  type ScalarAttributeType,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import { describe, expect, it } from "vitest";
import { DynamoDb, type DynamoDbOptions } from "../../shared/connectors/dynamodb/index.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { DataSourceStreamReader, type Row } from "../../shared/contract/stream-reader.ts";
import { vacuum } from "../../shared/engine/vacuum.ts";
import { DynamoDbLedger } from "../../shared/platform/aws/dynamodb-ledger.ts";
import { checkSink } from "../../shared/testing/index.ts";
import { batchFields } from "../support/batch-context.ts";
import { EngineWorld } from "../support/engine.ts";
import { dynamodb, newLedger } from "./clients.ts";

async function createTable(
  name = `sink-${randomUUID()}`,
  keys: Record<string, ScalarAttributeType> = { id: "N" },
): Promise<string> {
  const [hash, range] = Object.keys(keys);
  await dynamodb.send(
    new CreateTableCommand({
      TableName: name,
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: Object.entries(keys).map(([AttributeName, AttributeType]) => ({
        AttributeName,
        AttributeType,
      })),
      KeySchema: [
        { AttributeName: hash, KeyType: "HASH" },
        ...(range === undefined ? [] : [{ AttributeName: range, KeyType: "RANGE" as const }]),
      ],
    }),
  );
  await waitUntilTableExists({ client: dynamodb, maxWaitTime: 30 }, { TableName: name });
  return name;
}

async function itemsOf(table: string): Promise<Record<string, unknown>[]> {
  const items: Record<string, unknown>[] = [];
  for await (const { Items = [] } of paginateScan(
    { client: dynamodb },
    { TableName: table, ConsistentRead: true },
  ))
    items.push(...Items.map((item) => unmarshall(item, { wrapNumbers: false })));
  return items.filter((item) => !isMarker(item)).sort((a, b) => Number(a["id"]) - Number(b["id"]));
}

/** True for the item in which the sink records the last batch of a pipeline. */
function isMarker({ _millrace }: Record<string, unknown>): boolean {
  return typeof _millrace === "object" && _millrace !== null && "format" in _millrace;
}

/** Returns a pipeline whose source has these batches. Each batch is a list of partitions. */
function pipelineOf(
  batches: readonly (readonly (readonly Row[])[])[],
  options: DynamoDbOptions,
  schema = "id bigint NOT NULL, name string",
): Pipeline {
  class Reader extends DataSourceStreamReader<{ n: number }, { n: number; partition: number }> {
    override initialOffset() {
      return { n: 0 };
    }
    override latestOffset({ n }: { n: number }) {
      return { n: Math.min(n + 1, batches.length) };
    }
    override partitions({ n }: { n: number }) {
      return (batches[n] ?? []).map((_, partition) => ({ n, partition }));
    }
    override read({ n, partition }: { n: number; partition: number }) {
      return batches[n]?.[partition] ?? [];
    }
  }
  class Source extends DataSource {
    override schema() {
      return schema;
    }
    override streamReader() {
      return new Reader();
    }
  }
  return pipeline("items")
    .readStream.format(Source)
    .writeStream.format(DynamoDb)
    .options(options) as unknown as Pipeline;
}

const rows = (from: number, count: number, name = "row") =>
  Array.from({ length: count }, (_, i) => ({ id: from + i, name: `${name} ${from + i}` }));

/** Creates a ledger in DynamoDB and counts its requests. */
async function countedLedger() {
  const { tableName } = await newLedger();
  const client = new DynamoDBClient({});
  const commands: string[] = [];
  client.middlewareStack.add(
    (next, context) => async (args) => {
      commands.push((context as { commandName?: string }).commandName ?? "");
      return await next(args);
    },
    { step: "initialize" },
  );
  const world = new EngineWorld();
  const runtime = { ...world.ports().runtime, newId: randomUUID };
  return { world, commands, ledger: new DynamoDbLedger({ client, tableName, runtime }) };
}

/** Returns the ledger with another `finish`. */
function failing(ledger: DynamoDbLedger, finish: DynamoDbLedger["finish"]): DynamoDbLedger {
  return new Proxy(ledger, {
    get: (target, key) => {
      if (key === "finish") return finish;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

describe("the DynamoDB sink", () => {
  it("The DynamoDB sink puts few rows in the same transaction that moves the offset", async () => {
    const table = await createTable();
    const { world, commands, ledger } = await countedLedger();
    const definition = pipelineOf([[rows(1, 40), rows(41, 49)]], { table, partitionKey: "id" });
    const run = await world.run(definition, "a", { ledger });
    const ended = await run.batch();
    expect(ended?.batch.state).toBe("committed");
    const items = await itemsOf(table);
    expect(items).toHaveLength(89);
    expect(items[88]).toMatchObject({
      id: 89,
      name: "row 89",
      _millrace: { pipeline: "items", sequence: 1, version: "000000000000-000001-000000000049" },
    });
    // Plan, decide and finish each make a transaction. The transaction of finish also writes the
    // rows.
    expect(commands.filter((name) => name.startsWith("TransactWrite"))).toHaveLength(3);
    expect((await ledger.head("items"))?.offset).toEqual({ n: 1 });
  });

  it("The DynamoDB sink has few rows once if the finalizer dies before the transaction or misses its answer", async () => {
    const table = await createTable();
    const { world, ledger } = await countedLedger();
    const definition = pipelineOf([[rows(1, 5)], [rows(6, 5)]], { table, partitionKey: "id" });
    const first = await world.run(definition, "a", { ledger });
    const planned = await first.plan();
    await first.write(planned, 0);
    const dead = failing(ledger, () => Promise.reject(new Error("the function died")));
    await expect((await world.run(definition, "a", { ledger: dead })).finalize(planned)).rejects.toThrow();
    expect(await itemsOf(table)).toEqual([]);
    const second = await world.run(definition, "b", { ledger });
    expect(await second.finalize(await second.plan({ ended: true }))).toMatchObject({
      batch: { state: "committed", batchId: 0, attempt: 1 },
    });
    expect(await itemsOf(table)).toHaveLength(5);
    const deaf = failing(ledger, async (...args) => {
      await ledger.finish(...args);
      throw new Error("the connection broke off");
    });
    const third = await world.run(definition, "b", { ledger: deaf });
    expect((await third.batch())?.batch).toMatchObject({ state: "committed", batchId: 1 });
    expect(await itemsOf(table)).toHaveLength(10);
    expect((await ledger.head("items"))?.offset).toEqual({ n: 2 });
  });

  it("The DynamoDB sink puts many rows one by one, and again without harm if the finalizer died meanwhile", async () => {
    const table = await createTable();
    const { world, ledger } = await countedLedger();
    const definition = pipelineOf([[rows(1, 60), rows(61, 60)]], { table, partitionKey: "id" });
    const first = await world.run(definition, "a", { ledger });
    const planned = await first.plan();
    for (const partition of [0, 1]) await first.write(planned, partition);
    const dies = failing(ledger, () => Promise.reject(new Error("the function died")));
    const dying = await world.run(definition, "a", { ledger: dies });
    await expect(dying.finalize(planned)).rejects.toThrow("the function died");
    expect(await itemsOf(table)).toHaveLength(120);
    const second = await world.run(definition, "b", { ledger });
    const resumed = await second.plan({ ended: true });
    await expect(second.finalize(resumed)).resolves.toMatchObject({ batch: { state: "committed" } });
    expect(await itemsOf(table)).toHaveLength(120);
  });

  it("The DynamoDB sink keeps a newer item when an older batch comes late, and the last row of a key", async () => {
    const table = await createTable();
    const { world, ledger } = await countedLedger();
    const batches = [
      [rows(1, 100, "old")],
      [[...rows(1, 99, "new"), { id: 100, name: "first" }], [{ id: 100, name: "last" }]],
    ];
    const definition = pipelineOf(batches, { table, partitionKey: "id" });
    const run = await world.run(definition, "a", { ledger });
    const planned = await run.plan();
    await run.write(planned, 0);
    const writer = await run.sessions.sink.newAsked(await run.sessions.source.schema());
    const { incarnation } = (await ledger.head("items")) ?? { incarnation: "" };
    const late = {
      ...run.sessions.sink.context(incarnation),
      ...batchFields({ incarnation }),
      attempt: 1,
      commitTried: true,
      plannedAt: world.now,
    };
    const staged = await ledger.tasks({ pipeline: "items", incarnation, batchId: 0, attempt: 1 });
    await run.finalize(planned);
    await run.batch();
    expect((await itemsOf(table))[0]).toMatchObject({ name: "new 1" });
    expect((await itemsOf(table))[99]).toMatchObject({ name: "last" });
    await expect(
      (writer as { commit(...args: unknown[]): Promise<unknown> }).commit(
        staged.map(({ message }) => message),
        0,
        late,
      ),
    ).rejects.toMatchObject({ code: "LEDGER_BEHIND_SINK" });
    expect((await itemsOf(table)).map(({ name }) => String(name).split(" ")[0])).toEqual([
      ...Array(99).fill("new"),
      "last",
    ]);
  });

  it("The DynamoDB sink aborts a batch that its table refuses, writes nothing and replays it later", async () => {
    const table = `sink-${randomUUID()}`;
    const { world, ledger } = await countedLedger();
    const definition = pipelineOf([[rows(1, 3)]], { table, partitionKey: "id" });
    await createTable(table);
    const first = await world.run(definition, "a", { ledger });
    const planned = await first.plan();
    await first.write(planned, 0);
    await dynamodb.send(new DeleteTableCommand({ TableName: table }));
    expect(await first.finalize(planned)).toMatchObject({
      batch: { state: "aborted" },
      failure: { code: "DYNAMODB_FAILED", message: expect.stringContaining("ResourceNotFound") as string },
    });
    await createTable(table, { id: "S" });
    await expect((await world.run(definition, "a", { ledger })).batch()).rejects.toMatchObject({
      code: "DYNAMODB_FAILED",
      message: expect.stringContaining("Validation") as string,
    });
    await dynamodb.send(new DeleteTableCommand({ TableName: table }));
    await createTable(table);
    expect(await (await world.run(definition, "a", { ledger })).batch()).toMatchObject({
      batch: { state: "committed", batchId: 0, attempt: 2 },
    });
    expect(await itemsOf(table)).toHaveLength(3);
  });

  it("The DynamoDB sink keeps every type, with all digits", async () => {
    const table = await createTable(undefined, { id: "N", at: "S" });
    const schema =
      "id bigint NOT NULL, at timestamp NOT NULL, amount decimal(38,4), ratio double, ok boolean, raw binary, day date, tags array<string>, place struct<lat: double, name: string>, counts map<string,bigint>, nothing string";
    const row = {
      id: 9_007_199_254_740_993n,
      at: "2026-11-21T03:04:05.123456Z",
      amount: "1234567890123456789012345678901234.5678",
      ratio: 0.1,
      ok: true,
      raw: new Uint8Array([1, 2]),
      day: "2026-11-21",
      tags: ["a", null],
      place: { lat: 1.5, name: "x" },
      counts: new Map([["a", 1n]]),
      nothing: null,
    };
    const { world, ledger } = await countedLedger();
    const run = await world.run(
      pipelineOf([[[row]]], { table, partitionKey: "id", sortKey: "at" }, schema),
      "a",
      { ledger },
    );
    await run.batch();
    for await (const { Items = [] } of paginateScan({ client: dynamodb }, { TableName: table })) {
      expect(Items).toHaveLength(2);
      const { _millrace, ...item } = Items.find((one) => !("format" in (one["_millrace"]?.M ?? {}))) ?? {};
      expect(item).toEqual({
        id: { N: "9007199254740993" },
        at: { S: "2026-11-21T03:04:05.123456Z" },
        amount: { N: "1234567890123456789012345678901234.5678" },
        ratio: { N: "0.1" },
        ok: { BOOL: true },
        raw: { B: new Uint8Array([1, 2]) },
        day: { S: "2026-11-21" },
        tags: { L: [{ S: "a" }, { NULL: true }] },
        place: { M: { lat: { N: "1.5" }, name: { S: "x" } } },
        counts: { M: { a: { N: "1" } } },
        nothing: { NULL: true },
      });
    }
  });

  it("The DynamoDB sink names null keys, numbers that DynamoDB cannot hold, and keys that rows lack", async () => {
    const table = await createTable();
    const { world, ledger } = await countedLedger();
    const bad = pipelineOf(
      [[[{ id: 1, ratio: Number.NaN }]]],
      { table, partitionKey: "id" },
      "id bigint, ratio double",
    );
    const run = await world.run(bad, "a", { ledger });
    await expect(run.write(await run.plan(), 0)).rejects.toMatchObject({
      code: "ROW_MISMATCH",
      message: 'row 1, field "ratio": expected a number of DynamoDB, found NaN',
    });
    const noKey = await world.run(pipelineOf([], { table, partitionKey: "ID" }), "b", { ledger });
    await expect(noKey.sessions.sink.newAsked(await noKey.sessions.source.schema())).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
      message: expect.stringContaining("did you mean id?") as string,
    });
  });

  it("The DynamoDB sink has none of the known traps", async () => {
    const table = await createTable();
    await checkSink(DynamoDb, {
      options: { table, partitionKey: "id" },
      readBack: () => itemsOf(table),
    });
  });

  it("The DynamoDB sink has its staged files vacuumed once no batch needs them", async () => {
    const table = await createTable();
    const { world, ledger } = await countedLedger();
    const run = await world.run(pipelineOf([[rows(1, 2)]], { table, partitionKey: "id" }), "a", { ledger });
    await run.batch();
    const staging = run.ports.store.at("staging");
    expect(await Array.fromAsync(staging.list(""))).toHaveLength(1);
    // The files have the time of the machine, so the clock of the test moves beyond it.
    world.now = Date.now() + 60_000;
    await vacuum(run.sessions, run.ports, { olderThan: 0, dryRun: false });
    expect(await Array.fromAsync(staging.list(""))).toHaveLength(0);
  });
});
