import { Field, Int32, Schema } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { encodeSchema } from "../../shared/arrow/ipc-file.ts";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import {
  misfitsPrefix,
  type PlannedPartitions,
  parseBatchKey,
  planName,
  planNameOf,
  readPartitionsFile,
  readPlannedTask,
  rowsKey,
  writePartitionsFile,
} from "../../shared/engine/partitions-file.ts";
import { MemoryStore, memoryObjects } from "../../shared/platform/memory/memory-store.ts";

const schema = new Schema([new Field("n", new Int32(), true)]);
const NAME = planName(7, 3, "0f");

/** A store that counts its requests and the bytes that they return. */
class CountingStore extends MemoryStore {
  requests = 0;
  bytes = 0;

  constructor() {
    super(memoryObjects(() => 0));
  }

  override async get(key: string): Promise<Uint8Array | undefined> {
    return this.#count(await super.get(key));
  }

  override async getRange(key: string, start: number, end: number): Promise<Uint8Array | undefined> {
    return this.#count(await super.getRange(key, start, end));
  }

  #count(bytes: Uint8Array | undefined): Uint8Array | undefined {
    this.requests++;
    this.bytes += bytes?.length ?? 0;
    return bytes;
  }
}

function many(count: number): PlannedPartitions {
  const partitions = Array.from({ length: count }, (_, n) => ({ n, path: `bucket/ü/part-${n}.parquet` }));
  return { schema, partitions, start: { n: 0 }, end: { n: count }, rowsKey: "rows" };
}

/** Replaces an object of a store, and returns a store that has no open file. */
async function changed(
  store: ObjectStore,
  key: string,
  change: (text: string) => string,
): Promise<ObjectStore> {
  const bytes = (await store.get(key)) ?? new Uint8Array();
  const other = new CountingStore();
  await other.put(key, Buffer.from(change(Buffer.from(bytes).toString("latin1")), "latin1"));
  return other;
}

describe("a partitions file", () => {
  it.each([0, 1, 3, 5000])("A partitions file of %i partitions is read as it was written", async (count) => {
    const store = new CountingStore();
    const key = await writePartitionsFile(store, NAME, many(count));
    const { schema: read, ...planned } = await readPartitionsFile(store, key);
    expect(encodeSchema(read)).toBe(encodeSchema(schema));
    const { schema: _schema, ...written } = many(count);
    expect(planned).toEqual(written);
    for (const task of [0, count - 1].filter((each) => each >= 0))
      expect(await readPlannedTask(store, key, task)).toMatchObject({
        count,
        partition: written.partitions[task],
        start: { n: 0 },
        end: { n: count },
        rowsKey: "rows",
      });
  });

  it("Each line of a partitions file is JSON", async () => {
    const store = new CountingStore();
    const key = await writePartitionsFile(store, NAME, many(3));
    const lines = Buffer.from((await store.get(key)) ?? [])
      .toString()
      .trimEnd()
      .split("\n");
    expect(lines.map((line) => typeof JSON.parse(line))).toEqual([
      ...["object", "object", "object", "object"],
      ...["number", "number", "number", "number"],
    ]);
  });

  it("A task of a small file makes one request, and a later task of the process makes none", async () => {
    const store = new CountingStore();
    const key = await writePartitionsFile(store, NAME, many(10));
    await Promise.all([readPlannedTask(store, key, 0), readPlannedTask(store, key, 1)]);
    await readPlannedTask(store, key, 9);
    expect(store.requests).toBe(1);
  });

  it("All tasks of a large file together read less than twice the file, from each process its header", async () => {
    const store = new CountingStore();
    const count = 5000;
    const key = await writePartitionsFile(store, NAME, many(count));
    const size = (await store.get(key))?.length ?? 0;
    store.bytes = 0;
    store.requests = 0;
    for (let task = 0; task < count; task++) await readPlannedTask(store, key, task);
    expect(store.requests).toBe(1 + 2 * count);
    expect(store.bytes).toBeLessThan(2 * size);
  });

  it("A process keeps the headers of two files at most", async () => {
    const store = new CountingStore();
    const keys: string[] = [];
    for (const id of ["a", "b", "c"])
      keys.push(await writePartitionsFile(store, planName(7, 3, id), many(10)));
    for (const key of [...keys, ...keys.slice(1)]) await readPlannedTask(store, key, 0);
    expect(store.requests).toBe(3);
    await readPlannedTask(store, keys[0] ?? "", 0);
    expect(store.requests).toBe(4);
  });

  it("Vacuum finds batch, epoch and rows of a plan by the key of its file, also of an older version", async () => {
    const key = await writePartitionsFile(new CountingStore(), NAME, many(1));
    expect(parseBatchKey(key)).toEqual({ batchId: 7, epoch: 3 });
    expect(planNameOf(key)).toBe(NAME);
    expect(planNameOf(`${NAME}.json`)).toBe(NAME);
    expect(planNameOf(rowsKey(NAME))).toBe(NAME);
    expect(planNameOf(`${misfitsPrefix(NAME)}-12.jsonl`)).toBe(NAME);
  });
});

describe("a partitions file of an older version", () => {
  const old = (entries: unknown) => Buffer.from(JSON.stringify(entries));

  it("A partitions file that is a JSON array is read", async () => {
    const store = new CountingStore();
    const first = { task: 0, partition: { n: 0 }, rows: "r", end: { n: 2 }, schema: encodeSchema(schema) };
    await store.put(`${NAME}.json`, old([first, { task: 1, partition: null }]));
    const { schema: _schema, ...planned } = await readPartitionsFile(store, `${NAME}.json`);
    expect(planned).toEqual({ partitions: [{ n: 0 }, null], rowsKey: "r", end: { n: 2 } });
    expect(await readPlannedTask(store, `${NAME}.json`, 1)).toMatchObject({ count: 2, partition: null });
  });

  it("A JSON array whose only entry has no partition is a batch without partitions", async () => {
    const store = new CountingStore();
    await store.put(`${NAME}.json`, old([{ task: 0, schema: encodeSchema(schema) }]));
    expect(await readPlannedTask(store, `${NAME}.json`, 0)).toMatchObject({ count: 0 });
  });

  it.each([
    ["[", "is not JSON"],
    ["{}", "not a list"],
    ["[1]", "not a list"],
    ['[{"task":0,"partition":1}]', "no schema"],
    ['[{"task":0,"partition":1,"schema":"AAAA"}]', "schema cannot be decoded"],
    [JSON.stringify([{ task: 0, partition: 1, schema: encodeSchema(schema) }, { task: 1 }]), "no partition"],
    [JSON.stringify([{ task: 1, partition: 1, schema: encodeSchema(schema) }]), "not in order"],
  ])("A damaged JSON array is named: %s", async (text, problem) => {
    const store = new CountingStore();
    await store.put(`${NAME}.json`, Buffer.from(text));
    for (const read of [readPartitionsFile, (...args: [ObjectStore, string]) => readPlannedTask(...args, 0)])
      await expect(read(store, `${NAME}.json`)).rejects.toMatchObject({
        code: "PARTITIONS_MISSING",
        message: expect.stringMatching(new RegExp(`${NAME}.json is damaged: .*${problem}`)) as string,
      });
  });
});

describe("a damaged partitions file", () => {
  it("A file that is gone is named, by a reader of the plan and by a task", async () => {
    const store = new CountingStore();
    const keys = [
      await writePartitionsFile(store, planName(1, 1, "a"), many(1)),
      await writePartitionsFile(store, planName(1, 1, "b"), many(5000)),
    ];
    await store.delete(keys);
    for (const key of keys)
      for (const reading of [readPartitionsFile(store, key), readPlannedTask(store, key, 0)])
        await expect(reading).rejects.toMatchObject({
          code: "PARTITIONS_MISSING",
          message: `the partitions file ${key} is gone`,
          where: { path: `memory:/${key}` },
        });
  });

  it.each([
    ["ends early", (text: string) => text.slice(0, -10)],
    ["is empty", () => ""],
    ["has a header that is not JSON", (text: string) => `[${text.slice(1)}`],
    ["has a header of another file", (text: string) => text.replace('"count":5000', '"count":4999')],
    ["has a header of another version", (text: string) => text.replace('"version":2', '"version":9')],
    ["has a schema that is none", (text: string) => text.replace('"schema":"', '"schema":"A')],
    ["has a partition that is not JSON", (text: string) => text.replace('{"task":4999,', '["task":4999,')],
    ["has its partitions in another order", (text: string) => text.replace('"task":4999', '"task":4998')],
    ["has no partition in its line", (text: string) => text.replace('4999,"partition"', '4999,"partitiom"')],
    ["has an index that is no number", (text: string) => `${text.slice(0, -2)}x\n`],
    ["has an index that leads outside", (text: string) => `${text.slice(0, -3)}99\n`],
    [
      "has an index of zeros",
      (text: string) => text.replace(/( *\d+\n)+$/, (all) => all.replace(/\d/g, "0")),
    ],
  ])("A file that %s is named, by a reader of the plan and by its last task", async (_what, change) => {
    const whole = new CountingStore();
    const key = await writePartitionsFile(whole, NAME, many(5000));
    const store = await changed(whole, key, change);
    for (const reading of [readPartitionsFile(store, key), readPlannedTask(store, key, 4999)])
      await expect(reading).rejects.toMatchObject({
        code: "PARTITIONS_MISSING",
        message: expect.stringContaining(`the partitions file ${key} is damaged: `) as string,
      });
  });
});
