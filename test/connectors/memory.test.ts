import { describe, expect, it, vi } from "vitest";
import {
  Memory,
  type MemoryOptions,
  MemoryStream,
  memoryTable,
} from "../../shared/connectors/memory/index.ts";
import type { SupportsExists } from "../../shared/contract/batch-writer.ts";
import type { BatchContext, TaskContext } from "../../shared/contract/context.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { parseOptions } from "../../shared/contract/options/parse.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { ReadAllAvailable, ReadMaxRows } from "../../shared/contract/read-limit.ts";
import type {
  DataSourceStreamReader,
  NamedRow,
  SupportsTriggerAvailableNow,
} from "../../shared/contract/stream-reader.ts";
import type { SupportsCommitLookup } from "../../shared/contract/stream-writer.ts";
import type { BatchWrite } from "../../shared/contract/write/batch-write.ts";
import type { AnyDataWriter, DataWriter } from "../../shared/contract/write/data-writer.ts";
import type { SupportsTruncate } from "../../shared/contract/write/write-builder.ts";
import { checkSink, checkSource } from "../../shared/testing/index.ts";
import { batchFields } from "../support/batch-context.ts";
import { EngineWorld } from "../support/engine.ts";
import { withStores } from "../support/runtime.ts";

type Reader = DataSourceStreamReader<{ rows: number }, object> & Required<SupportsTriggerAvailableNow>;
type StagedRows = object;

/** The write of a table, and the writers of its tasks by the rows that they have staged. */
interface MemoryWriter {
  readonly table: SupportsCommitLookup & SupportsExists;
  readonly write: BatchWrite<unknown>;
  readonly tasks: Map<StagedRows, AnyDataWriter<unknown>>;
  commit(messages: readonly (StagedRows | null)[], batch: BatchContext): unknown;
}

const SCHEMA = parseDdl("id int");
const task = {} as TaskContext;
const ids = (...numbers: number[]): NamedRow[] => numbers.map((id) => ({ id }));

const runtime = withStores({
  now: () => 0,
  monotonic: () => 0,
  random: () => 0.5,
  newId: () => crypto.randomUUID(),
  sleep: async () => undefined,
  env: {},
});

/** Creates the data source. With `elsewhere`, loads the module again, as another thread does. */
async function memory(options: MemoryOptions, elsewhere = false): Promise<Memory> {
  if (elsewhere) vi.resetModules();
  const module = elsewhere ? await import("../../shared/connectors/memory/index.ts") : { Memory };
  return new module.Memory(await parseOptions(Memory, { ...options }), runtime);
}
const readerOf = async (options: MemoryOptions, elsewhere?: boolean): Promise<Reader> =>
  (await memory(options, elsewhere)).streamReader(SCHEMA) as Reader;
async function writerOf(name: string, overwrite = false, elsewhere?: boolean): Promise<MemoryWriter> {
  const table = (await memory({ table: name }, elsewhere)).table(SCHEMA);
  const info = { queryId: "plan", schema: SCHEMA, options: {}, plannedAt: 0, saveMode: "append" } as const;
  const builder = table.newWriteBuilder(info) as SupportsTruncate;
  const built = await (overwrite ? builder.truncate() : builder).build();
  const write = (await built?.toBatch()) as BatchWrite<unknown>;
  const commit = (messages: readonly unknown[], batch: BatchContext) =>
    write.commit(messages, undefined, batch);
  return { table: table as unknown as MemoryWriter["table"], write, tasks: new Map(), commit };
}

let attempts = 0;
async function stage({ write, tasks }: MemoryWriter, ...numbers: number[]): Promise<StagedRows> {
  const factory = await write.createBatchWriterFactory({ numPartitions: 1, inputPartitions: 1 });
  const writer = (await factory.createWriter(0, attempts++, task)) as DataWriter<NamedRow, StagedRows>;
  for (const row of ids(...numbers)) await writer.write(row);
  const message = (await writer.commit()) ?? {};
  tasks.set(message, writer as AnyDataWriter<unknown>);
  return message;
}

const batch = (batchId: number, more: Partial<BatchContext> = {}): BatchContext =>
  ({
    pipeline: "p",
    ...batchFields({ batchId, ...more }),
    commitTried: false,
    ...more,
  }) as BatchContext;

const failure = (body: () => unknown): unknown => {
  try {
    return body();
  } catch (error) {
    return error;
  }
};
const NOT_HERE = expect.objectContaining({
  code: "MEMORY_NOT_HERE",
  hint: expect.stringContaining("millrace/testing"),
});

describe("a memory stream", () => {
  it("A memory stream is read by the numbers of its rows, in the requested number of partitions", async () => {
    const stream = new MemoryStream("numbers", "id int");
    const reader = await readerOf({ stream: "numbers", numPartitions: 2 });
    expect(reader.initialOffset()).toEqual({ rows: 0 });
    stream.addData(ids(0, 1, 2));
    expect(reader.latestOffset({ rows: 0 }, new ReadAllAvailable())).toEqual({ rows: 3 });
    const partitions = await reader.partitions({ rows: 0 }, { rows: 3 });
    expect(partitions.map((partition) => reader.read(partition, task))).toEqual([ids(0, 1), ids(2)]);
    stream.addData([[3]]);
    expect(await reader.partitions({ rows: 3 }, { rows: 3 })).toEqual([]);
    const [again = {}] = JSON.parse(JSON.stringify(partitions)) as object[];
    expect(reader.read(again, task)).toEqual(ids(0, 1));
    expect(reader.reportLatestOffset()).toEqual({ rows: 4 });
    expect(reader.compareOffsets?.({ rows: 3 }, { rows: 4 })).toBeLessThan(0);
  });

  it("A memory stream takes more rows at once than a call has arguments", () => {
    const stream = new MemoryStream("large", "id int");
    stream.addData(Array.from({ length: 300_000 }, (_, id) => [id]));
    expect(stream.size).toBe(300_000);
  });

  it("A memory stream has as many rows in a batch as its limit says", async () => {
    new MemoryStream("limited", "id int").addData(ids(0, 1, 2, 3, 4));
    const reader = await readerOf({ stream: "limited", maxRowsPerBatch: 2 });
    const limit = await reader.getDefaultReadLimit();
    expect(limit).toEqual(new ReadMaxRows(2));
    expect(reader.latestOffset({ rows: 0 }, limit)).toEqual({ rows: 2 });
    expect(reader.latestOffset({ rows: 4 }, limit)).toEqual({ rows: 5 });
    expect(await (await readerOf({ stream: "limited" })).getDefaultReadLimit()).toEqual(
      new ReadAllAvailable(),
    );
  });

  it("A memory stream fixes what is available when a run of availableNow begins", async () => {
    const stream = new MemoryStream("bounded", "id int");
    stream.addData(ids(0, 1));
    const reader = await readerOf({ stream: "bounded" });
    reader.prepareForTriggerAvailableNow();
    stream.addData(ids(2));
    expect(reader.latestOffset({ rows: 0 }, new ReadAllAvailable())).toEqual({ rows: 2 });
    const elsewhere = await readerOf({ stream: "bounded" });
    elsewhere.restoreAvailableNow((await reader.availableNowTarget()) ?? null);
    expect(elsewhere.latestOffset({ rows: 0 }, new ReadAllAvailable())).toEqual({ rows: 2 });
    expect(elsewhere.latestOffset({ rows: 3 }, new ReadAllAvailable())).toEqual({ rows: 3 });
  });

  it("A memory stream has the schema that it was made with, and is a batch of its present rows", async () => {
    new MemoryStream("typed", "id int NOT NULL").addData(ids(0, 1, 2));
    const source = await memory({ stream: "typed", numPartitions: 2 });
    expect(source.schema().fields[0]).toMatchObject({ name: "id", nullable: false });
    const reader = source.reader(SCHEMA);
    const partitions = await reader.partitions();
    expect(partitions.map((partition) => reader.read(partition, task))).toEqual([ids(0, 1), ids(2)]);
  });

  it("The error of a memory stream that this thread never made says that it is not here", async () => {
    const reader = await readerOf({ stream: "nobody's" });
    expect(failure(() => reader.latestOffset({ rows: 0 }, new ReadAllAvailable()))).toEqual(NOT_HERE);
    new MemoryStream("here", "id int").addData(ids(0));
    const [partition = {}] = await (await readerOf({ stream: "here" })).partitions({ rows: 0 }, { rows: 1 });
    const elsewhere = await readerOf({ stream: "here" }, true);
    expect(failure(() => elsewhere.read(partition, task))).toEqual(NOT_HERE);
  });

  it("The error of a memory stream that replaced the planned one says that the planned one is not here", async () => {
    new MemoryStream("twice", "id int").addData(ids(0));
    const reader = await readerOf({ stream: "twice" });
    const [partition = {}] = await reader.partitions({ rows: 0 }, { rows: 1 });
    new MemoryStream("twice", "id int").addData(ids(7));
    expect(failure(() => reader.read(partition, task))).toEqual(NOT_HERE);
    const [beyond = {}] = await reader.partitions({ rows: 0 }, { rows: 5 });
    expect(failure(() => reader.read(beyond, task))).toEqual(
      expect.objectContaining({
        message: expect.stringMatching(/^row 4 of memory stream "twice", which has 1 rows/),
      }),
    );
  });
});

describe("a memory table", () => {
  it("A memory table shows the rows of a batch once it is committed, in the order of its partitions", async () => {
    const writer = await writerOf("orders");
    const table = memoryTable("orders");
    const messages = [await stage(writer, 1, 2), await stage(writer, 3)];
    expect(table.rows()).toEqual([]);
    expect(writer.table.exists(batch(0))).toBe(false);
    await writer.commit([...messages, null].reverse(), batch(0));
    expect(table.rows()).toEqual(ids(3, 1, 2));
    expect(table.batches()).toEqual([{ pipeline: "p", batchId: 0, rows: ids(3, 1, 2) }]);
    expect(writer.table.exists(batch(0))).toBe(true);
  });

  it("A memory table has a batch once, however often it is committed", async () => {
    const writer = await writerOf("once");
    const message = await stage(writer, 1);
    expect(writer.table.hasCommitted(0, batch(0))).toBe(false);
    for (let i = 0; i < 2; i++) await writer.commit([message], batch(0));
    expect(writer.table.hasCommitted(0, batch(0))).toBe(true);
    const another = await writerOf("once");
    await another.commit([await stage(another, 1)], batch(0));
    expect(memoryTable("once").rows()).toEqual(ids(1));
    await another.commit([await stage(another, 2)], batch(1));
    expect(memoryTable("once").rows()).toEqual(ids(1, 2));
    const unknown = batch(0, { incarnation: "life-2" });
    const message3 = await stage(another, 3);
    expect(failure(() => another.commit([message3], unknown))).toMatchObject({
      code: "LEDGER_BEHIND_SINK",
    });
  });

  it("A memory table drops staged rows on an abort of the task or batch, unless a commit was tried", async () => {
    const writer = await writerOf("aborted");
    const [lost, dropped, kept] = [await stage(writer, 1), await stage(writer, 2), await stage(writer, 3)];
    await writer.tasks.get(lost)?.abort();
    await writer.write.abort([dropped, null], batch(0));
    await writer.write.abort([kept], batch(0, { commitTried: true }));
    for (const message of [lost, dropped])
      expect(failure(() => writer.commit([message], batch(0)))).toEqual(NOT_HERE);
    await writer.commit([kept], batch(0));
    expect(memoryTable("aborted").rows()).toEqual(ids(3));
  });

  it("A memory table has only the rows of an overwriting batch but still knows the batches before it", async () => {
    const writer = await writerOf("replaced");
    await writer.commit([await stage(writer, 1)], batch(0));
    const overwriting = await writerOf("replaced", true);
    const message = await stage(overwriting, 2);
    for (let i = 0; i < 2; i++) await overwriting.commit([message], batch(1));
    const late = await stage(writer, 1);
    expect(failure(() => writer.commit([late], batch(0)))).toMatchObject({ code: "LEDGER_BEHIND_SINK" });
    expect(memoryTable("replaced").rows()).toEqual(ids(2));
  });

  it("A memory table refuses rows that a task of another thread staged", async () => {
    const elsewhere = await stage(await writerOf("far", false, true), 1);
    const writer = await writerOf("far");
    expect(failure(() => writer.commit([elsewhere], batch(0)))).toEqual(NOT_HERE);
    expect(memoryTable("far").rows()).toEqual([]);
  });
});

describe("memory", () => {
  it("The memory connector is source and sink of a pipeline in one thread", async () => {
    const stream = new MemoryStream("input", "id int, at timestamp, price decimal(10,2)");
    const table = memoryTable("output");
    const definition = pipeline("copy")
      .readStream.format(Memory)
      .options({ stream: "input", numPartitions: 3 })
      .writeStream.format(Memory)
      .options({ table: "output" }) as unknown as Pipeline;
    const world = new EngineWorld();
    const at = "2026-11-21T00:00:00.000001Z";
    const rows = [0, 1, 2, 3, 4, 5].map((id) => ({ id, at, price: "1.50" }));
    stream.addData(rows.slice(0, 4));
    const run = await world.run(definition, "a");
    await run.batch();
    stream.addData(rows.slice(4));
    await (await world.run(definition, "a")).batch();
    await (await world.run(definition, "a")).batch();
    expect(table.rows()).toEqual(rows);
    expect(table.batches().map((written) => [written.batchId, written.rows.length])).toEqual([
      [0, 4],
      [1, 2],
    ]);
  });

  it("The memory connector has none of the known traps of a source and of a sink", async () => {
    new MemoryStream("trapped", "id int").addData([[1], [2], [3]]);
    const source = { stream: "trapped", numPartitions: 2, maxRowsPerBatch: 2 };
    expect((await checkSource(Memory, { options: source })).notChecked).toEqual([]);
    const readBack = () => memoryTable("trapped").rows();
    const { notChecked } = await checkSink(Memory, { options: { table: "trapped" }, readBack });
    expect(notChecked).toEqual([]);
  });

  it("The memory connector needs the name of its stream or table", async () => {
    const source = await memory({});
    expect(() => source.schema()).toThrow(
      expect.objectContaining({
        code: "OPTIONS_INVALID",
        message: "memory cannot read without the option stream",
      }),
    );
    expect(() => source.table(SCHEMA)).toThrow(
      expect.objectContaining({ message: "memory cannot write without the option table" }),
    );
    await expect(memory({ stream: "", numPartitions: 0 })).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
  });
});
