import { expect, it } from "vitest";
import { Memory, MemoryStream, memoryTable } from "../../../shared/connectors/memory/index.ts";
import { EqualTo } from "../../../shared/contract/filters.ts";
import { type BatchPipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import type { Row } from "../../../shared/contract/stream-reader.ts";
import { reference } from "../../../shared/contract/write/predicates.ts";
import { runPipeline } from "../../../shared/testing/index.ts";

const LARGE = 9_007_199_254_740_993n;
const DDL =
  "id bigint, bytes binary, list array<bigint>, place struct<x: bigint>, of map<string, bigint>, v int";
const ROW = {
  id: LARGE,
  bytes: Buffer.from("a"),
  list: [LARGE],
  place: { x: LARGE },
  of: { a: LARGE },
  v: 1,
};
let names = 0;

function writing(table: string, ddl: string, rows: readonly Row[], partitionBy?: readonly string[]) {
  const stream = `stored-${names++}`;
  new MemoryStream(stream, ddl).addData(rows);
  const options = { table, ...(partitionBy === undefined ? {} : { partitionBy }) };
  return pipeline(stream)
    .read.format(Memory)
    .options({ stream })
    .write.format(Memory)
    .options(options) as unknown as BatchPipeline<never>;
}

it.each(["delta", "group"] as const)(
  "A command in the form %s keeps large integers and bytes, also within lists, structs and maps",
  async (rowLevel) => {
    const table = `stored-${names++}`;
    await runPipeline(writing(table, DDL, [ROW]).mode("append"));
    const before = memoryTable(table).rows();
    const target = pipeline(`p-${names++}`).table(Memory, { table, rowLevel });
    await runPipeline(target.update({ set: { v: 2 }, where: new EqualTo("id", LARGE) }));
    expect(memoryTable(table).rows()).toEqual([{ ...before[0], v: 2 }]);
    const other = pipeline(`p-${names++}`).table(Memory, { table, rowLevel });
    await runPipeline(other.update({ set: { v: reference("v") } }));
    expect(memoryTable(table).rows()).toEqual([{ ...before[0], v: 2 }]);
  },
);

it("An overwrite by condition and a delete find rows by large integers", async () => {
  const table = `stored-${names++}`;
  await runPipeline(writing(table, DDL, [ROW, { ...ROW, id: 1 }]).mode("append"));
  await runPipeline(writing(table, DDL, [{ ...ROW, id: 2 }]).overwrite(new EqualTo("id", LARGE)));
  expect(memoryTable(table).rows()).toMatchObject([{ id: 1 }, { id: 2 }]);
  await runPipeline(pipeline(`p-${names++}`).table(Memory, { table }).deleteWhere(new EqualTo("id", 1n)));
  expect(memoryTable(table).rows()).toMatchObject([{ id: 2 }]);
});

it("An overwrite of partitions tells NaN, infinity and null apart", async () => {
  const table = `stored-${names++}`;
  const ddl = "d double, v int";
  const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, null];
  const rows = values.map((d) => ({ d, v: 1 }));
  await runPipeline(writing(table, ddl, rows).mode("append"));
  await runPipeline(writing(table, ddl, [{ d: Number.NaN, v: 2 }], ["d"]).overwritePartitions());
  expect(memoryTable(table).rows()).toEqual([...rows.slice(1), { d: Number.NaN, v: 2 }]);
});
