import { randomUUID } from "node:crypto";
import {
  type AttributeValue,
  CreateTableCommand,
  DeleteItemCommand,
  DynamoDBClient,
  PutItemCommand,
  paginateScan,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { runtime } from "../../local/home.ts";
import { DynamoDb } from "../../shared/connectors/dynamodb/index.ts";
import type { Ledger } from "../../shared/engine/ports/ledger.ts";
import { DynamoDbLedger } from "../../shared/platform/aws/dynamodb-ledger.ts";
import { DirectoryStore } from "../../shared/platform/embedded/directory-store.ts";
import { type Home, LocalHome, Numbers, type Target } from "../connectors/restored/numbers.ts";
import { restored } from "../connectors/restored/restored.suite.ts";
import { temporaryFolder } from "../support/folder.ts";
import { dynamodb, newLedger } from "./clients.ts";

type Item = Record<string, AttributeValue>;

async function allItems(TableName: string): Promise<Item[]> {
  const items: Item[] = [];
  for await (const page of paginateScan({ client: dynamodb }, { TableName, ConsistentRead: true }))
    items.push(...(page.Items ?? []));
  return items;
}

const isMarker = (item: Item) => item["_millrace"]?.M?.["format"] !== undefined;

async function put(TableName: string, items: readonly Item[]): Promise<void> {
  for (const Item of items) await dynamodb.send(new PutItemCommand({ TableName, Item }));
}

/** A table of items by `id`. */
async function newTarget(): Promise<Target & { readonly table: string }> {
  const table = `sink-${randomUUID()}`;
  await dynamodb.send(
    new CreateTableCommand({
      TableName: table,
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "N" }],
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
    }),
  );
  await waitUntilTableExists({ client: dynamodb, maxWaitTime: 30 }, { TableName: table });
  return {
    table,
    sink: { dataSource: DynamoDb, options: { table, partitionKey: "id" } },
    env: {},
    ids: async () =>
      (await allItems(table))
        .filter((item) => !isMarker(item))
        .map(({ id }) => Number(id?.N))
        .sort((a, b) => a - b),
    backUp: async () => {
      const saved = await allItems(table);
      return async () => {
        for (const { id = { N: "" } } of await allItems(table))
          await dynamodb.send(new DeleteItemCommand({ TableName: table, Key: { id } }));
        await put(table, saved);
      };
    },
  };
}

/** A home with a ledger in DynamoDB. Its store is not restored with it. */
class DeployedHome implements Home {
  readonly ledger: Ledger;
  readonly store: DirectoryStore;
  readonly #tableName: string;

  constructor(tableName: string, store: DirectoryStore) {
    this.#tableName = tableName;
    this.store = store;
    this.ledger = new DynamoDbLedger({ client: dynamodb, tableName, runtime });
  }

  static async create(): Promise<DeployedHome> {
    return new DeployedHome((await newLedger()).tableName, new DirectoryStore(temporaryFolder()));
  }

  async copy(): Promise<Home> {
    const { tableName } = await newLedger();
    await put(tableName, await allItems(this.#tableName));
    return new DeployedHome(tableName, this.store);
  }
}

describe("a DynamoDB table and a ledger in SQLite", () => {
  restored(newTarget, async () => new LocalHome());
});

describe("a DynamoDB table and a ledger in DynamoDB", () => {
  restored(newTarget, () => DeployedHome.create());
});

/** Ten keys, so that later batches replace the items of earlier ones. */
const tenKeys = (n: number) => ({ id: n % 10, word: `word ${n}` });

describe("a batch whose items are put one by one", () => {
  const wordsOf = async (table: string) =>
    (await allItems(table))
      .filter((item) => !isMarker(item))
      .sort((a, b) => Number(a["id"]?.N) - Number(b["id"]?.N))
      .map(({ word }) => word?.S);
  const words = (from: number) => Array.from({ length: 10 }, (_, n) => `word ${from + n}`);

  /** Holds the first put of the row with this word until `release` is called. */
  function holdPutOf(word: string): { readonly held: Promise<void>; release(): void } {
    const held = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    let isHeld = false;
    spyOnSend(async (command) => {
      if (isHeld || command.input.Item?.["word"]?.S !== word) return;
      isHeld = true;
      held.resolve();
      await released.promise;
    });
    return { held: held.promise, release: released.resolve };
  }

  /** Makes all puts of rows fail after some of them, until the returned function is called. */
  function failPutsAfter(count: number): () => void {
    let puts = 0;
    return spyOnSend(async (command) => {
      if (!isMarker(command.input.Item ?? {}) && ++puts > count) throw new Error("the process died");
    });
  }

  /** Calls `before` before each put of the sink. Returns a function that ends that. */
  function spyOnSend(before: (put: PutItemCommand) => Promise<void>): () => void {
    const send = DynamoDBClient.prototype.send as (...args: unknown[]) => Promise<unknown>;
    const spy = vi.spyOn(DynamoDBClient.prototype, "send");
    spy.mockImplementation(async function (this: DynamoDBClient, ...args: unknown[]) {
      if (args[0] instanceof PutItemCommand) await before(args[0]);
      return await send.apply(this, args);
    } as never);
    onTestFinished(() => spy.mockRestore());
    return () => spy.mockRestore();
  }

  it("An incomplete batch of another plan counts as not written, and later batches replace its items", async () => {
    const target = await newTarget();
    const numbers = new Numbers(target, tenKeys);
    const home = new LocalHome();
    await numbers.batch(home, 10);
    const copy = await home.copy();
    // One home begins batch 1 and dies in the middle of its puts.
    const { run, planned } = await numbers.staged(home, 120);
    const restore = failPutsAfter(5);
    expect((await run.finalize(planned)).batch.state).toBe("aborted");
    restore();
    const [marker] = (await allItems(target.table)).filter(isMarker);
    expect(marker?.["_millrace"]?.M).toMatchObject({ last: { M: { batchId: { N: "0" } } } });
    expect(marker?.["_millrace"]?.M?.["next"]).toBeDefined();
    // The other home takes over, with another range under the same id.
    await numbers.batch(copy, 110);
    expect(await wordsOf(target.table)).toEqual(words(100));
    await numbers.batch(copy, 130);
    expect(await wordsOf(target.table)).toEqual(words(120));
    await expect(numbers.batch(home, 140)).rejects.toMatchObject({ code: "LEDGER_BEHIND_SINK" });
    expect(await wordsOf(target.table)).toEqual(words(120));
  });

  it("A batch is put once more after its process died, and a put of that process that lands late changes nothing", async () => {
    const target = await newTarget();
    const numbers = new Numbers(target, tenKeys);
    const home = new LocalHome();
    const { run, planned } = await numbers.staged(home, 100);
    const late = holdPutOf("word 95");
    const zombie = run.finalize(planned).then(
      () => undefined,
      (error: unknown) => error,
    );
    await late.held;
    await numbers.batch(home, 100);
    await numbers.batch(home, 200);
    late.release();
    expect(await zombie).toMatchObject({ code: "FENCED" });
    expect(await wordsOf(target.table)).toEqual(words(190));
    expect((await home.ledger.head("numbers"))?.offset).toEqual({ n: 200 });
  });

  it("Items above the sequence of a marker that somebody deleted are replaced", async () => {
    const target = await newTarget();
    const numbers = new Numbers(target, tenKeys);
    const home = new LocalHome();
    for (const to of [100, 200, 300]) await numbers.batch(home, to);
    const [marker] = (await allItems(target.table)).filter(isMarker);
    const { id = { N: "" } } = marker ?? {};
    await dynamodb.send(new DeleteItemCommand({ TableName: target.table, Key: { id } }));
    await expect(numbers.batch(home, 400)).rejects.toMatchObject({ code: "SINK_BEHIND_LEDGER" });
    await numbers.rewind(home, 200);
    await numbers.batch(home, 400);
    expect(await wordsOf(target.table)).toEqual(words(390));
  });
});
