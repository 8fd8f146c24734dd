import {
  Binary,
  Data,
  type DataType,
  DateMillisecond,
  Decimal,
  Dictionary,
  DurationMicrosecond,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float16,
  Int8,
  Int32,
  IntervalYearMonth,
  LargeUtf8,
  List,
  makeData,
  Null,
  RecordBatch,
  Schema,
  Struct,
  TimeMillisecond,
  TimeNanosecond,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
  Utf8View,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { canonicalRows } from "../../../shared/connectors/iceberg/files/canonical.ts";
import { arrowSchemaOf, FIELD_ID_KEY } from "../../../shared/connectors/iceberg/format/arrow-schema.ts";
import {
  childrenOf,
  icebergSchemaOf,
  nameOf,
  pathByName,
  pathOf,
} from "../../../shared/connectors/iceberg/format/schema.ts";
import type { IcebergSchema, IcebergType } from "../../../shared/connectors/iceberg/format/types.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { typeName } from "../../../shared/contract/ddl/print.ts";

const field = (type: DataType, nullable = true) => new Field("v", type, nullable);
const only = (type: DataType, nullable = true) => new Schema([field(type, nullable)]);
const icebergType = (type: DataType) => icebergSchemaOf(only(type)).schema.fields[0]?.type;

/** Returns the values of a column of a type after they were brought into canonical form. */
function canonical(type: DataType, data: Data, target?: IcebergType): unknown[] {
  const source = only(type);
  const schema: IcebergSchema =
    target === undefined
      ? icebergSchemaOf(source).schema
      : { type: "struct", "schema-id": 0, fields: [{ id: 1, name: "v", required: false, type: target }] };
  const { apply, schema: wanted } = canonicalRows(source, schema, {}, "refuse");
  const struct = new Struct(source.fields);
  const batch = new RecordBatch(
    source,
    makeData({ type: struct, length: data.length, nullCount: 0, children: [data] }),
  );
  const result = apply(batch, 100);
  expect(String(result.schema)).toBe(String(wanted));
  return [...rowsOf(result)].map((row) => row["v"]);
}

/** A column of integers, or of what they stand for in a type. */
const longs = (type: DataType, values: readonly bigint[]) =>
  new Data(type, 0, values.length, 0, { 1: new type.ArrayType(values as never) } as never);

/** The Iceberg schema as text: `name:id type`, with `!` for required fields. */
function shown(type: IcebergType): string {
  if (typeof type === "string") return type;
  return `${type.type}<${childrenOf(type)
    .map(({ id, name, required, type: inner }) => `${name}${required ? "!" : ""}:${id} ${shown(inner)}`)
    .join(", ")}>`;
}

describe("Iceberg schemas of rows", () => {
  it("Ids are assigned level by level, as Java's fresh ids are", () => {
    const ddl =
      "a struct<b:int,c:struct<d:string NOT NULL>> NOT NULL, e map<string,array<int>>, f array<struct<g:date>>, h bigint";
    const { schema, lastColumnId } = icebergSchemaOf(parseDdl(ddl));
    expect(shown(schema)).toBe(
      "struct<a!:1 struct<b:5 int, c:6 struct<d!:7 string>>, e:2 map<key!:8 string, value:9 list<element:10 int>>, f:3 list<element:11 struct<g:12 date>>, h:4 long>",
    );
    expect(lastColumnId).toBe(12);
  });

  it("Every field of the Arrow schema has its id, also inside lists and maps", () => {
    const { schema } = icebergSchemaOf(parseDdl("a array<struct<b:int>> NOT NULL, m map<string,array<int>>"));
    const ids = (fields: readonly Field[]): unknown[] =>
      fields.flatMap((one) => [
        [one.name, one.metadata.get(FIELD_ID_KEY), one.nullable],
        ...ids(one.type.children ?? []),
      ]);
    expect(ids(arrowSchemaOf(schema).fields)).toEqual([
      ["a", "1", false],
      ["element", "3", true],
      ["b", "4", true],
      ["m", "2", true],
      ["entries", undefined, false],
      ["key", "5", false],
      ["value", "6", true],
      ["element", "7", true],
    ]);
  });

  it.each([
    [new Int8(), "int"],
    [new Uint8(), "int"],
    [new Uint16(), "int"],
    [new Uint32(), "long"],
    [new Uint64(), "decimal(20, 0)"],
    [new Float16(), "float"],
    [new LargeUtf8(), "string"],
    [new Utf8View(), "string"],
    [new Dictionary(new Utf8(), new Int32()), "string"],
    [new DateMillisecond(), "date"],
    [new TimeNanosecond(), "time"],
    [new TimeMillisecond(), "time"],
    [new TimestampSecond("Europe/Warsaw"), "timestamptz"],
    [new TimestampNanosecond(), "timestamp"],
    [new FixedSizeBinary(16), "fixed[16]"],
    [new Decimal(2, 9, 128), "decimal(9, 2)"],
  ])("%s is stored as %s", (type, expected) => {
    expect(icebergType(type)).toBe(expected);
  });

  it("A column of a varchar is text, and a fixed-size list is a list", () => {
    expect(icebergSchemaOf(parseDdl("v varchar(5)")).schema.fields[0]?.type).toBe("string");
    expect(
      shown(icebergType(new FixedSizeList(2, new Field("item", new Int32(), false))) as IcebergType),
    ).toBe("list<element!:2 int>");
  });

  it("All columns that Iceberg has no type for are named in one error", () => {
    const rows = new Schema([
      new Field("a", new DurationMicrosecond()),
      new Field(
        "b",
        new List(new Field("item", new Struct([new Field("x", new Null()), new Field("y", new Int32())]))),
      ),
      new Field("c", new IntervalYearMonth()),
      new Field("d", new Decimal(-2, 9, 128)),
      new Field("e", new Int32()),
    ]);
    expect(() => icebergSchemaOf(rows)).toThrow(
      expect.objectContaining({
        code: "COLUMN_TYPE_NOT_SUPPORTED",
        message: expect.stringMatching(
          /"a" is interval day to second; "b"\.item\.x is void; "c" is .*; "d" is decimal\(9,-2\)$/,
        ),
      }),
    );
  });

  it("Fields are found by id and by full name", () => {
    const { schema } = icebergSchemaOf(parseDdl("a struct<b:int>, `a.b` int, m map<string,struct<x:int>>"));
    expect(nameOf(pathOf(schema, 7) ?? [])).toBe("m.value.x");
    expect(pathOf(schema, 99)).toBeUndefined();
    expect(pathByName(schema, "m.value.x")?.at(-1)?.id).toBe(7);
    expect(pathByName(schema, "m.value.y")).toBeUndefined();
  });

  it("A table's type that version 2 does not have is refused", () => {
    const schema: IcebergSchema = {
      type: "struct",
      "schema-id": 0,
      fields: [{ id: 1, name: "v", required: false, type: "timestamp_ns" }],
    };
    expect(() => arrowSchemaOf(schema)).toThrow(
      expect.objectContaining({ code: "TABLE_TYPE_NOT_SUPPORTED" }),
    );
  });
});

describe("Canonical rows", () => {
  it("Times of every unit and zone are the same times in microseconds and UTC", () => {
    expect(canonical(new TimestampSecond("Europe/Warsaw"), longs(new TimestampSecond(), [1n, -1n]))).toEqual(
      ["1970-01-01T00:00:01.000000Z", "1969-12-31T23:59:59.000000Z"].map((text) =>
        expect.stringContaining(text.slice(0, 19)),
      ),
    );
    expect(canonical(new TimestampMillisecond(), longs(new TimestampMillisecond(), [-1n]))).toEqual([
      expect.stringContaining("1969-12-31T23:59:59.999"),
    ]);
    expect(
      canonical(new TimestampNanosecond("UTC"), longs(new TimestampNanosecond("UTC"), [-1000n])),
    ).toEqual([expect.stringContaining("1969-12-31T23:59:59.999999")]);
    expect(
      canonical(new TimestampMicrosecond("+02:00"), longs(new TimestampMicrosecond("+02:00"), [1n])),
    ).toEqual([expect.stringContaining("1970-01-01T00:00:00.000001")]);
  });

  it.each([
    [new TimestampNanosecond(), [0n, 1001n], "a time with more digits"],
    [new TimestampSecond(), [0n, 2n ** 62n], "a time outside it"],
    [new TimeNanosecond(), [0n, 1n], "a time with more digits"],
    [new DateMillisecond(), [0n, 1n], "a time with more digits"],
  ])("%s: a value that would change is refused with its row and column", (type, values, problem) => {
    expect(() => canonical(type, longs(type, values))).toThrow(
      expect.objectContaining({
        code: "ROW_MISMATCH",
        where: { row: 102, field: "v" },
        message: expect.stringContaining(problem),
      }),
    );
  });

  it("Unsigned and small integers, half floats and other text are widened", () => {
    const of = (type: DataType, values: readonly unknown[]) =>
      canonical(type, vectorFromArray(values as never[], type).data[0] as Data);
    expect(of(new Int8(), [-128, null])).toEqual([-128, null]);
    expect(of(new Uint16(), [65_535])).toEqual([65_535]);
    expect(of(new Uint32(), [2 ** 32 - 1])).toEqual([expect.anything()]);
    expect(of(new Uint64(), [2n ** 64n - 1n, null, 0n]).map((value) => value && String(value))).toEqual([
      String(2n ** 64n - 1n),
      null,
      "0",
    ]);
    expect(of(new Float16(), [1.5, null])).toEqual([1.5, null]);
    expect(of(new LargeUtf8(), ["ż", null])).toEqual(["ż", null]);
    expect(of(new Dictionary(new Utf8(), new Int32()), ["a", "b", "a", null])).toEqual(["a", "b", "a", null]);
  });

  it("Values inside lists and structs are converted too", () => {
    const list = new List(new Field("item", new Uint64(), true));
    expect(
      canonical(list, vectorFromArray([[2n ** 64n - 1n, null], null], list).data[0] as Data).map(
        (v) => v && String(v),
      ),
    ).toEqual([`${2n ** 64n - 1n},`, null]);
    const struct = new Struct([new Field("at", new TimestampMillisecond("UTC"))]);
    const data = new Data(struct, 0, 1, 0, undefined, [longs(new TimestampMillisecond("UTC"), [5n])]);
    expect(canonical(struct, data)).toEqual([{ at: expect.stringContaining("00:00:00.005") }]);
  });

  it("Sixteen bytes are stored as a uuid, and bytes of any length are not", () => {
    const bytes = new FixedSizeBinary(16);
    const data = new Data(bytes, 0, 1, 0, { 1: new Uint8Array(16).fill(7) } as never);
    expect(canonical(bytes, data, "uuid")).toEqual([Buffer.alloc(16, 7).toString("base64")]);
    expect(() =>
      canonical(new Binary(), vectorFromArray([new Uint8Array(16)], new Binary()).data[0] as Data, "uuid"),
    ).toThrow(expect.objectContaining({ code: "COLUMNS_NOT_MATCHED" }));
    expect(() => canonical(bytes, data, "fixed[15]")).toThrow(
      expect.objectContaining({ code: "COLUMNS_NOT_MATCHED" }),
    );
  });

  const target = icebergSchemaOf(parseDdl("ID bigint NOT NULL, s struct<a:int,b:string>, more date")).schema;

  it("Columns and fields that the rows lack are null, and others are refused or left out", () => {
    const rows = parseDdl("s struct<a:int,c:int>, id int, extra string");
    expect(() => canonicalRows(rows, target, {}, "refuse")).toThrow(
      expect.objectContaining({
        code: "COLUMNS_NOT_MATCHED",
        message: expect.stringMatching(/"s" is struct.*; "extra" is not in the table/),
      }),
    );
    const { apply, schema } = canonicalRows(rows, target, {}, "leave-out");
    const batch = apply(
      recordBatchOf(rows, [
        [{ a: 1, c: 2 }, 7, "x"],
        [null, 8, null],
      ]),
      0,
    );
    expect([...rowsOf(batch)]).toEqual(
      [
        { ID: 7n, s: { a: 1, b: null }, more: null },
        { ID: 8n, s: null, more: null },
      ].map((row) => ({ ...row, ID: expect.anything() })),
    );
    expect(batch.schema.fields).toEqual(schema.fields);
    expect(schema.fields.map(({ type }) => typeName(type))).toEqual([
      "bigint",
      "struct<a:int,b:string>",
      "date",
    ]);
  });

  it("A null in a required column is refused with its row", () => {
    const rows = parseDdl("id bigint");
    const { apply } = canonicalRows(rows, target, { pipeline: "p" }, "refuse");
    expect(() => apply(recordBatchOf(rows, [[1n], [null]]), 10)).toThrow(
      expect.objectContaining({ code: "ROW_MISMATCH", where: { pipeline: "p", row: 12, field: "ID" } }),
    );
  });
});
