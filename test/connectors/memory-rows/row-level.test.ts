import { describe, expect, it } from "vitest";
import { Memory, MemoryStream, memoryTable } from "../../../shared/connectors/memory/index.ts";
import { memorySink } from "../../../shared/connectors/memory/sink.ts";
import type { BatchContext, TaskContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import type { BatchWrite } from "../../../shared/contract/write/batch-write.ts";
import { literal, predicate, reference } from "../../../shared/contract/write/predicates.ts";
import type { DeltaWriter, RowLevelOperation } from "../../../shared/contract/write/row-level.ts";
import type { SupportsDeleteV2, SupportsWrite } from "../../../shared/contract/write/table.ts";
import { runPipeline } from "../../../shared/testing/index.ts";
import { batchFields } from "../../support/batch-context.ts";

const DDL = "id int not null, v int";
let names = 0;

/** A table with the rows 1 10 and 2 20 in one file, and 3 30 in another. */
async function filled(): Promise<string> {
  const name = `rows-${names++}`;
  for (const rows of [
    [
      { id: 1, v: 10 },
      { id: 2, v: 20 },
    ],
    [{ id: 3, v: 30 }],
  ]) {
    new MemoryStream(name, DDL).addData(rows);
    const reading = pipeline(`fill-${names++}`).read.format(Memory).options({ stream: name });
    await runPipeline(reading.write.format(Memory).options({ table: name }).mode("append"));
  }
  return name;
}

type Table = SupportsWrite &
  SupportsDeleteV2 & {
    newRowLevelOperationBuilder(info: { command: string; options: object }): { build(): RowLevelOperation };
  };

const options = {
  form: "rows",
  v1Write: false,
  filterForm: "predicates",
  rowLevel: "delta",
  rowId: ["id"],
} as const;
const tableOf = (table: string, others = {}) =>
  memorySink({ ...options, ...others, table }) as unknown as Table;
const batchOf = (batchId: number) =>
  ({
    pipeline: "p",
    attempt: 1,
    ...batchFields({ batchId }),
    continuity: "independent",
  }) as unknown as BatchContext;
const taskOf = (batch: BatchContext) =>
  ({ ...batch, partitionId: 0, attemptNumber: 0 }) as unknown as TaskContext;

describe("Changes of rows in a memory table", () => {
  it("A delete that is called again for the same batch deletes nothing that came after it", async () => {
    const name = await filled();
    const remove = () =>
      tableOf(name).deleteWhere([predicate(">", reference("v"), literal(10))], {}, batchOf(0));
    await remove();
    expect(memoryTable(name).rows()).toEqual([{ id: 1, v: 10 }]);
    new MemoryStream(name, DDL).addData([{ id: 9, v: 90 }]);
    const reading = pipeline(`later-${names++}`).read.format(Memory).options({ stream: name });
    await runPipeline(reading.write.format(Memory).options({ table: name }).mode("append"));
    await remove();
    expect(memoryTable(name).rows()).toHaveLength(2);
  });

  it("A commit of changes that is called again changes nothing", async () => {
    const name = await filled();
    const { write, batch } = await operation(name);
    const writer = (await (
      await write.createBatchWriterFactory({ numPartitions: 1, inputPartitions: 1 })
    ).createWriter(0, 1, taskOf(batch))) as unknown as DeltaWriter<unknown>;
    await writer.update(null, { id: 1 }, { id: 1, v: 11 });
    await writer.delete(null, { id: 2 });
    await writer.insert({ id: 4, v: 40 });
    const message = await writer.commit();
    await write.commit([message], undefined, batch);
    const rows = [
      { id: 1, v: 11 },
      { id: 3, v: 30 },
      { id: 4, v: 40 },
    ];
    expect(memoryTable(name).rows()).toEqual(rows);
    await write.commit([message], undefined, batch);
    expect(memoryTable(name).rows()).toEqual(rows);
  });

  it("Nothing is visible before the commit, and an abort drops what tasks staged", async () => {
    const name = await filled();
    const { write, batch } = await operation(name);
    const factory = await write.createBatchWriterFactory({ numPartitions: 1, inputPartitions: 1 });
    const writer = (await factory.createWriter(0, 1, taskOf(batch))) as unknown as DeltaWriter<unknown>;
    await writer.delete(null, { id: 2 });
    const message = await writer.commit();
    expect(memoryTable(name).rows()).toHaveLength(3);
    await write.abort([message, null], { ...batch, commitTried: false });
    expect(() => write.commit([message], undefined, batch)).toThrow(/memory/);
  });

  it("A scan leaves out files without a row that matches, and numbers rows by file and position", async () => {
    const name = await filled();
    const builder = tableOf(name)
      .newRowLevelOperationBuilder({ command: "UPDATE", options: {} })
      .build()
      .newScanBuilder({}) as unknown as {
      pushPredicates(predicates: readonly object[]): void;
      pruneColumns(schema: object): void;
      build(): Promise<{ toBatch(): Promise<{ planInputPartitions(): Promise<{ file: number }[]> }> }>;
    };
    builder.pushPredicates([predicate("=", reference("id"), literal(2))]);
    builder.pruneColumns(parseDdl("_file int, _pos int, id int"));
    const scan = await builder.build();
    const partitions = await (await scan.toBatch()).planInputPartitions();
    expect(partitions.map(({ file }) => file)).toEqual([0]);
  });

  it("Row ids that several rows have are refused", async () => {
    const name = await filled();
    new MemoryStream(name, DDL).addData([{ id: 1, v: 0 }]);
    const reading = pipeline(`twice-${names++}`).read.format(Memory).options({ stream: name });
    await runPipeline(reading.write.format(Memory).options({ table: name }).mode("append"));
    const update = pipeline(`u-${names++}`)
      .table(Memory, { table: name, rowId: ["id"] })
      .update({ set: { v: 1 } });
    await expect(runPipeline(update)).rejects.toMatchObject({ code: "ROW_LEVEL_INVALID" });
    expect(memoryTable(name).rows()).toHaveLength(4);
  });
});

/** The write of an operation whose scan is planned. */
async function operation(name: string): Promise<{ write: BatchWrite<unknown>; batch: BatchContext }> {
  const made = tableOf(name).newRowLevelOperationBuilder({ command: "MERGE", options: {} }).build();
  const scan = await made.newScanBuilder({}).build();
  await (await scan.toBatch()).planInputPartitions();
  const write = await made.newWriteBuilder({} as never).build();
  return { write: (await write?.toBatch()) as BatchWrite<unknown>, batch: batchOf(0) };
}
