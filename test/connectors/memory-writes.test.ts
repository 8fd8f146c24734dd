import { describe, expect, it } from "vitest";
import {
  Memory,
  type MemoryOptions,
  MemoryStream,
  memoryTable,
} from "../../shared/connectors/memory/index.ts";
import type { BatchContext, TaskContext } from "../../shared/contract/context.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { EqualTo, type Filter, GreaterThan, Not } from "../../shared/contract/filters.ts";
import { parseOptions } from "../../shared/contract/options/parse.ts";
import { type BatchPipeline, type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import type { NamedRow } from "../../shared/contract/stream-reader.ts";
import type { BatchWrite } from "../../shared/contract/write/batch-write.ts";
import type { DataWriter } from "../../shared/contract/write/data-writer.ts";
import {
  literal,
  type Predicate,
  predicate,
  reference,
  scalar,
} from "../../shared/contract/write/predicates.ts";
import type { SupportsDeleteV2, SupportsWrite, TruncatableTable } from "../../shared/contract/write/table.ts";
import type { Write } from "../../shared/contract/write/write.ts";
import type { SupportsTruncate } from "../../shared/contract/write/write-builder.ts";
import type { LogicalWriteInfo } from "../../shared/contract/write/write-info.ts";
import { checkSink, runPipeline } from "../../shared/testing/index.ts";
import { batchFields } from "../support/batch-context.ts";
import { withStores } from "../support/runtime.ts";

const DDL = "id int NOT NULL, p string";
let names = 0;

/** A table with the rows 1 a, 2 b, 3 null, and a pipeline that writes to it. */
class Scene {
  readonly name = `writes-${names++}`;
  readonly #options: MemoryOptions;

  constructor(options: MemoryOptions = {}) {
    this.#options = options;
  }

  /** Runs a batch pipeline whose rows are in two partitions. */
  async run(change: (definition: BatchPipeline<never>) => Pipeline, ...rows: NamedRow[]): Promise<void> {
    new MemoryStream(this.name, DDL).addData(rows);
    const definition = pipeline(`p-${names++}`)
      .read.format(Memory)
      .options({ stream: this.name, numPartitions: 2 })
      .write.format(Memory)
      .options({ ...this.#options, table: this.name });
    await runPipeline(change(definition as unknown as BatchPipeline<never>));
  }

  async append(...rows: NamedRow[]): Promise<void> {
    await this.run((definition) => definition.mode("append"), ...rows);
  }

  async fill(): Promise<void> {
    await this.append({ id: 1, p: "a" }, { id: 2, p: "b" }, { id: 3, p: null });
  }

  get ids(): unknown[] {
    return memoryTable(this.name)
      .rows()
      .map(({ id }) => id);
  }

  async table(): Promise<SupportsWrite> {
    const options = await parseOptions(Memory, { ...this.#options, table: this.name });
    return new Memory(options, withStores({} as never)).table(parseDdl(DDL));
  }
}

const NEW = { id: 9, p: "a" };

describe("the verbs of a pipeline to a memory table", () => {
  it("An append adds rows and tells the commit how many", async () => {
    const scene = new Scene();
    await scene.fill();
    await scene.append(NEW);
    expect(scene.ids).toEqual([1, 2, 3, 9]);
    expect(
      memoryTable(scene.name)
        .batches()
        .map(({ summary }) => summary),
    ).toEqual([
      { kind: "InsertSummary", numInsertedRows: 3 },
      { kind: "InsertSummary", numInsertedRows: 1 },
    ]);
  });

  it("A truncate replaces all rows, and its commit has no summary", async () => {
    const scene = new Scene();
    await scene.fill();
    await scene.run((definition) => definition.truncate(), NEW);
    expect(scene.ids).toEqual([9]);
    expect(
      memoryTable(scene.name)
        .batches()
        .map(({ summary }) => summary),
    ).toEqual([undefined]);
  });

  it.each(["predicates", "filters"] as const)(
    "An overwrite of a table that takes %s replaces the rows for which the condition is true",
    async (filterForm) => {
      const scene = new Scene({ filterForm });
      await scene.fill();
      await scene.run((definition) => definition.overwrite(new Not(new EqualTo("p", "a"))), NEW);
      // For the row with null the condition is unknown.
      expect(scene.ids).toEqual([1, 3, 9]);
    },
  );

  it("A condition that computes is for a table that takes predicates only", async () => {
    const computed = predicate("=", scalar("+", reference("id"), literal(1)), literal(3));
    const scene = new Scene();
    await scene.fill();
    await scene.run((definition) => definition.overwrite(computed), NEW);
    expect(scene.ids).toEqual([1, 3, 9]);
    const older = new Scene({ filterForm: "filters" });
    await older.fill();
    await expect(older.run((definition) => definition.overwrite(computed), NEW)).rejects.toMatchObject({
      code: "WRITE_NOT_SUPPORTED",
    });
    expect(older.ids).toEqual([1, 2, 3]);
  });

  it("An overwrite of partitions replaces those of its rows, also that of null", async () => {
    const scene = new Scene({ partitionBy: ["p"] });
    await scene.fill();
    await scene.run((definition) => definition.overwritePartitions(), NEW, { id: 10, p: null });
    expect(scene.ids).toEqual([2, 9, 10]);
    await scene.run((definition) => definition.overwritePartitions());
    expect(scene.ids).toEqual([2, 9, 10]);
  });

  it("An overwrite of partitions needs partition columns, and the error says which option has them", async () => {
    const scene = new Scene();
    await scene.fill();
    await expect(scene.run((definition) => definition.overwritePartitions(), NEW)).rejects.toMatchObject({
      code: "WRITE_NOT_SUPPORTED",
      hint: expect.stringContaining('partitionBy: ["column"]') as string,
    });
    expect(scene.ids).toEqual([1, 2, 3]);
  });

  it("Tasks may receive record batches", async () => {
    const scene = new Scene({ form: "arrow" });
    await scene.fill();
    expect(scene.ids).toEqual([1, 2, 3]);
  });

  it("A V1Write inserts all rows in one call, replaces what its builder was told, and refuses partitions", async () => {
    const scene = new Scene({ v1Write: true, partitionBy: ["p"] });
    await scene.fill();
    await scene.run((definition) => definition.overwrite(new GreaterThan("id", 1)), NEW);
    expect(scene.ids).toEqual([1, 9]);
    await expect(scene.run((definition) => definition.overwritePartitions(), NEW)).rejects.toMatchObject({
      code: "WRITE_NOT_SUPPORTED",
    });
  });

  it.each([
    ["append", [1, 2, 3]],
    ["complete", [3]],
  ] as const)("A stream in the output mode %s writes to the table", async (mode, expected) => {
    const name = `stream-${mode}`;
    const stream = new MemoryStream(name, DDL);
    const definition = pipeline(name)
      .readStream.format(Memory)
      .options({ stream: name, maxRowsPerBatch: 2 })
      .writeStream.format(Memory)
      .options({ table: name })
      .outputMode(mode);
    stream.addData([1, 2, 3].map((id) => ({ id, p: "a" })));
    await runPipeline(definition as unknown as Pipeline);
    expect(
      memoryTable(name)
        .rows()
        .map(({ id }) => id),
    ).toEqual(expected);
  });
});

const INFO: LogicalWriteInfo = {
  queryId: "plan-0",
  schema: parseDdl(DDL),
  options: {},
  plannedAt: 0,
  saveMode: "append",
};

const context = (overrides: Partial<BatchContext> = {}): BatchContext =>
  ({
    pipeline: "p",
    ...batchFields(overrides),
    attempt: 1,
    commitTried: false,
    ...overrides,
  }) as BatchContext;

type Message = Parameters<BatchWrite<unknown>["commit"]>[0][number];

/** Builds a write that appends or, if `truncates`, replaces all rows. */
async function built(table: SupportsWrite, truncates = false): Promise<Write> {
  const builder = table.newWriteBuilder(INFO);
  const write = await (truncates ? (builder as SupportsTruncate).truncate() : builder).build();
  if (write === undefined) throw new Error("there is no write");
  return write;
}

/** The calls of the engine by hand. */
class Calls {
  readonly write: BatchWrite<unknown>;

  constructor(write: BatchWrite<unknown>) {
    this.write = write;
  }

  static async of(table: SupportsWrite): Promise<Calls> {
    return new Calls(await (await built(table)).toBatch());
  }

  async writer(taskId: number): Promise<DataWriter<NamedRow, unknown>> {
    const factory = await this.write.createBatchWriterFactory({ numPartitions: 1, inputPartitions: 1 });
    const fields = JSON.parse(JSON.stringify(factory)) as object;
    const travelled = Object.assign(
      await this.write.createBatchWriterFactory({ numPartitions: 1, inputPartitions: 1 }),
      fields,
    );
    return (await travelled.createWriter(0, taskId, {
      ...context(),
      attempt: 1,
    } as unknown as TaskContext)) as DataWriter<NamedRow, unknown>;
  }

  async stage(taskId: number, ...ids: number[]): Promise<Message> {
    const writer = await this.writer(taskId);
    for (const id of ids) await writer.write({ id, p: "a" });
    return await writer.commit();
  }
}

describe("the interfaces of a memory table", () => {
  it.each<MemoryOptions>([
    { partitionBy: ["id"] },
    { form: "arrow" },
    { filterForm: "filters" },
    { v1Write: true },
  ])("A memory table with the options %j has none of the known traps of a sink", async (options) => {
    const { name } = new Scene();
    const readBack = () => memoryTable(name).rows();
    await checkSink(Memory, { options: { ...options, table: name }, readBack });
  });

  it("A commit that is called again with equal messages changes nothing and reports the same metric", async () => {
    const scene = new Scene();
    await scene.fill();
    const write = await built(await scene.table());
    const calls = new Calls(await write.toBatch());
    const message = await calls.stage(0, 9);
    for (let call = 0; call < 2; call++) await calls.write.commit([message, null], undefined, context());
    expect(scene.ids).toEqual([1, 2, 3, 9]);
    expect(await write.reportDriverMetrics()).toEqual([{ name: "rowsReplaced", value: 0 }]);
  });

  it("An overwrite that is committed again by another process keeps its rows and its metric", async () => {
    const scene = new Scene();
    await scene.fill();
    const table = await scene.table();
    let message: Message = null;
    for (let call = 0; call < 2; call++) {
      const write = await built(table, true);
      const calls = new Calls(await write.toBatch());
      if (call === 0) message = await calls.stage(0, 9);
      await calls.write.commit([message], undefined, context());
      expect(await write.reportDriverMetrics()).toEqual([{ name: "rowsReplaced", value: 3 }]);
    }
    expect(scene.ids).toEqual([9]);
  });

  it("An attempt that is aborted leaves no rows, and the other attempt of its task keeps its own", async () => {
    const scene = new Scene();
    const calls = await Calls.of(await scene.table());
    const [first, second] = [await calls.writer(1), await calls.writer(2)];
    await first.write({ id: 1, p: "a" });
    await second.write({ id: 2, p: "a" });
    const lost = await first.commit();
    const kept = await second.commit();
    await first.abort();
    await expect(async () => calls.write.commit([lost], undefined, context())).rejects.toMatchObject({
      code: "MEMORY_NOT_HERE",
    });
    await calls.write.commit([kept], undefined, context());
    expect(scene.ids).toEqual([2]);
  });

  it("A batch that is aborted after its commit was tried keeps the staged rows for another try", async () => {
    const scene = new Scene();
    const calls = await Calls.of(await scene.table());
    const message = await calls.stage(0, 1);
    await calls.write.abort([message], context({ commitTried: true }));
    await calls.write.commit([message], undefined, context());
    expect(scene.ids).toEqual([1]);
  });

  it("A writer copies rows, whose objects the engine may use again, and counts them", async () => {
    const scene = new Scene();
    const calls = await Calls.of(await scene.table());
    const writer = await calls.writer(0);
    const row = { id: 1, p: "a" };
    await writer.write(row);
    row.id = 2;
    await writer.write(row);
    expect(writer.currentMetricsValues()).toEqual([{ name: "rowsWritten", value: 2 }]);
    await calls.write.commit([await writer.commit()], undefined, context());
    expect(scene.ids).toEqual([1, 2]);
  });

  it.each<[string, Filter | Predicate, "predicates" | "filters"]>([
    ["predicates", predicate("=", reference("p"), literal("a")), "predicates"],
    ["filters", new EqualTo("p", "a"), "filters"],
  ])("A table deletes the rows that match %s, and those of all", async (_what, condition, filterForm) => {
    const scene = new Scene({ filterForm });
    await scene.fill();
    const table = (await scene.table()) as unknown as SupportsDeleteV2 & TruncatableTable;
    await table.deleteWhere([condition as Predicate]);
    expect(scene.ids).toEqual([2, 3]);
    expect(await table.reportDriverMetrics?.()).toEqual([{ name: "rowsReplaced", value: 1 }]);
    expect(await table.truncateTable()).toBe(true);
    expect(scene.ids).toEqual([]);
  });
});
