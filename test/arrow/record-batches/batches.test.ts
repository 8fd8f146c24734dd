import { Decimal, Field, makeData, RecordBatch, Schema, Struct, Table, tableFromArrays } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { batchesOf, place, refusal, row, rowsIn, schema, sizes, upTo } from "./batches-of.ts";

describe("record batches", () => {
  it("Record batches pass through whole, in order with the rows around them", async () => {
    const passing = recordBatchOf(schema, upTo(3));
    const batches = await batchesOf([row(7), row(8), passing, passing, row(9)]);
    expect(sizes(batches)).toEqual([2, 3, 3, 1]);
    expect(rowsIn(batches)).toEqual([row(7), row(8), ...upTo(3), ...upTo(3), row(9)]);
  });

  it.each([
    ["id int", "id int"],
    ["name string, id int", "name string, id int"],
    ["id bigint, name string", "id bigint, name string"],
    ["id int, Name string", "id int, Name string"],
    ["id int, name string, more int", "id int, name string, more int"],
  ])("Record batches of (%s) are refused for a schema of other fields or types", async (ddl, found) => {
    expect(await refusal([recordBatchOf(parseDdl(ddl), [])])).toMatchObject({
      code: "BATCH_SCHEMA_MISMATCH",
      message: `record batch 1: expected (id int, name string), found (${found})`,
      where: place,
    });
  });

  it("Record batches with a null are refused if the schema says NOT NULL", async () => {
    const nullable = recordBatchOf(parseDdl("id int, name string"), [
      { id: 1, name: "a" },
      { id: null, name: "b" },
    ]);
    expect(await refusal([row(1), nullable])).toMatchObject({
      code: "BATCH_SCHEMA_MISMATCH",
      message: 'record batch 1, field "id": expected no null (NOT NULL), found one',
      where: { ...place, field: "id" },
      hint: "Leave such rows out, or let the field be null in the schema.",
    });
  });

  it("Record batches with a forbidden null in a struct are refused unless the struct itself is null", async () => {
    const strict = parseDdl("s struct<x:struct<y:int NOT NULL>>");
    const loose = parseDdl("s struct<x:struct<y:int>>");
    const fine = [{ s: null }, { s: { x: null } }, { s: { x: { y: 1 } } }];
    const error = await refusal([recordBatchOf(loose, [...fine, { s: { x: { y: null } } }])], strict);
    expect(error).toMatchObject({ code: "BATCH_SCHEMA_MISMATCH", where: { field: "s.x.y" } });
    expect(rowsIn(await batchesOf([recordBatchOf(loose, fine), ...fine], strict))).toEqual([
      ...fine,
      ...fine,
    ]);
  });

  it("Record batches whose decimals have another width are refused", async () => {
    const type = new Decimal(2, 5, 256);
    const wide = new Schema([new Field("v", type, true)]);
    const child = makeData({ type, length: 1, nullCount: 0, data: new Uint32Array(8).fill(1, 0, 1) });
    const data = makeData({ type: new Struct(wide.fields), length: 1, nullCount: 0, children: [child] });
    const error = await refusal([new RecordBatch(wide, data)], parseDdl("v decimal(5,2)"));
    expect(error.message).toBe("record batch 1: expected (v decimal(5,2)), found (v decimal256(5,2))");
  });

  it.each<[string, RecordBatch, string]>([
    ["lacks columns", recordBatchOf(parseDdl("id int"), []), '"name" is missing.'],
    [
      "has many more",
      recordBatchOf(parseDdl("id int, name string, a int, b int, c int, d int, e int, f int"), []),
      '"a", "b", "c", "d", "e" and 1 more are not in the schema: add it there, or yield batch.select(["id", "name"]).',
    ],
    [
      "has dictionaries, as Arrow makes them",
      tableFromArrays({ id: Int32Array.of(1), name: ["a"] }).batches[0] as RecordBatch,
      '"name" must be string, not Dictionary<Int32, Utf8>: Arrow makes dictionaries of strings where it is not told the type, as in vectorFromArray(values, new Utf8()).',
    ],
  ])("The error of a refused record batch has a hint if one %s", async (_, batch, hint) => {
    expect((await refusal([batch])).hint).toBe(hint);
  });

  it("Record batches may come in a table, alone or among rows, and from read()", async () => {
    const table = new Table([recordBatchOf(schema, upTo(3)), recordBatchOf(schema, upTo(1))]);
    const batches = await batchesOf([row(7), table, row(8)]);
    expect(sizes(batches)).toEqual([1, 3, 1, 1]);
    expect(rowsIn(batches)).toEqual([row(7), ...upTo(3), ...upTo(1), row(8)]);
    expect(sizes(await batchesOf(table))).toEqual([3, 1]);
    expect(rowsIn(await batchesOf(recordBatchOf(schema, upTo(3))))).toEqual(upTo(3));
  });

  it("Record batches of a table keep their microseconds, which Arrow's own rows lose", async () => {
    const times = parseDdl("t timestamp");
    const rows = [{ t: "2026-11-21T03:00:00.000001Z" }];
    expect(rowsIn(await batchesOf(new Table([recordBatchOf(times, rows)]), times))).toEqual(rows);
  });

  it.each([
    ["without rows", new Table(parseDdl("id bigint"))],
    ["with rows", new Table([recordBatchOf(parseDdl("id bigint"), [{ id: 1 }])])],
  ])("Record batches in a table of another schema are refused, %s", async (_, table) => {
    expect(await refusal([row(1), table])).toMatchObject({
      code: "BATCH_SCHEMA_MISMATCH",
      message: "table 1: expected (id int, name string), found (id bigint)",
    });
  });

  it("Record batches without a null may call a NOT NULL column nullable", async () => {
    const nullable = recordBatchOf(parseDdl("id int, name string"), upTo(2));
    expect(rowsIn(await batchesOf([nullable]))).toEqual(upTo(2));
  });
});

describe("recordBatchOf", () => {
  it("recordBatchOf returns one record batch of any number of rows", () => {
    expect([0, 3, 20_000].map((count) => recordBatchOf(schema, upTo(count)).numRows)).toEqual([0, 3, 20_000]);
    expect(rowsIn([recordBatchOf(schema, upTo(20_000))])).toEqual(upTo(20_000));
  });
});
