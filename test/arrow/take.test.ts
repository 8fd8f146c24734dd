import {
  Binary,
  Bool,
  type Data,
  DataType,
  DateDay,
  DateMillisecond,
  Decimal,
  DenseUnion,
  Dictionary,
  DurationMicrosecond,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float16,
  Float32,
  Float64,
  Int8,
  Int32,
  Int64,
  IntervalMonthDayNano,
  LargeBinary,
  LargeList,
  LargeUtf8,
  List,
  Map_,
  makeData,
  Null,
  RecordBatch,
  Schema,
  SparseUnion,
  Struct,
  TimeNanosecond,
  TimestampMicrosecond,
  TimestampNanosecond,
  Uint64,
  Utf8,
  Utf8View,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { decodeFile, encodeFile } from "../../shared/arrow/ipc-file.ts";
import { takeRows } from "../../shared/arrow/take.ts";

const field = (type: DataType, name = "item") => new Field(name, type, true);
const point = new Struct<{ x: Float64; name: Utf8 }>([
  new Field("x", new Float64(), true),
  new Field("name", new Utf8(), true),
]);
const entries = new Struct<{ key: Utf8; value: Int32 }>([
  new Field("key", new Utf8(), false),
  new Field("value", new Int32(), true),
]);
const decimal = (...unscaled: bigint[]) =>
  makeData({
    type: new Decimal(2, 38, 128),
    length: unscaled.length,
    nullCount: -1,
    nullBitmap: Uint8Array.of(0b11011),
    data: new Uint32Array(BigInt64Array.from(unscaled.flatMap((n) => [n, n < 0n ? -1n : 0n])).buffer),
  });

/** Five values of each type. Most columns contain a null. */
const COLUMNS: Readonly<Record<string, Data>> = Object.fromEntries(
  (
    [
      [new Bool(), [true, false, null, false, true]],
      [new Int8(), [1, -2, null, 4, 5]],
      [new Int64(), [2n ** 62n, -1n, null, 0n, 9n]],
      [new Uint64(), [2n ** 63n, 1n, 2n, 3n, 4n]],
      [new Float16(), [0.5, 1, 2, null, -4]],
      [new Float32(), [0.5, Number.NaN, null, -0, 1e30]],
      [new Float64(), [0.1, null, 1e300, -0, 2]],
      [new Utf8(), ["", "ü", null, "𝕩 and more", "end"]],
      [new LargeUtf8(), ["a", null, "", "𝕩", "end"]],
      [new Utf8View(), ["short", null, "longer than twelve bytes", "x", ""]],
      [new Binary(), [Uint8Array.of(1), null, Uint8Array.of(), Uint8Array.of(255, 0), Uint8Array.of(7)]],
      [new LargeBinary(), [Uint8Array.of(1), null, Uint8Array.of(), Uint8Array.of(255, 0), Uint8Array.of(7)]],
      [new FixedSizeBinary(2), [[1, 2], null, [3, 4], [5, 6], [7, 8]].map((b) => b && Uint8Array.from(b))],
      [new DateDay(), [new Date(0), null, new Date(864e5), new Date(-864e5), new Date(0)]],
      [new DateMillisecond(), [new Date(0), null, new Date(1), new Date(-1), new Date(5)]],
      [new TimestampMicrosecond("UTC"), [0, 1.5, null, -3, 4]],
      [new TimestampNanosecond(), [0, 1, null, -3, 4]],
      [new TimeNanosecond(), [1n, null, 2n, 3n, 4n]],
      [new DurationMicrosecond(), [1n, null, 2n, 3n, 4n]],
      [new IntervalMonthDayNano(), [0, 1, 2, 3, 4].map((n) => Int32Array.of(n, n + 1, n + 2, n + 3))],
      [new Null(), [null, null, null, null, null]],
      [new Dictionary(new Utf8(), new Int8()), ["a", null, "b", "a", "c"]],
      [new List(field(new Int32())), [[1, 2], [], null, [3, null], [4]]],
      [new LargeList(field(new Utf8())), [["a", "b"], [], null, ["c", null], ["d"]]],
      [new FixedSizeList(2, field(new Int32())), [[1, 2], null, [3, null], [5, 6], [7, 8]]],
      [
        new Map_(new Field("entries", entries, false)),
        [new Map([["a", 1]]), null, new Map(), { b: 2 }, { c: null }],
      ],
      [point, [{ x: 1, name: "a" }, null, { x: null, name: "b" }, { x: 3, name: null }, { x: 4, name: "" }]],
      [new List(field(new List(field(point)))), [[[{ x: 1, name: "a" }]], [], null, [null, []], [[null]]]],
    ] as readonly (readonly [DataType, readonly unknown[]])[]
  ).map(([type, values]) => [String(type), dataOf(vectorFromArray(values, type))]),
);

const unionOf = (type: DenseUnion | SparseUnion, offsets?: Int32Array) =>
  makeData({
    type: type as SparseUnion,
    length: 5,
    typeIds: Int8Array.of(0, 1, 0, 1, 0),
    ...(offsets === undefined ? {} : { valueOffsets: offsets }),
    children: [
      dataOf(vectorFromArray([1, 2, 3, 4, 5], new Int32())),
      dataOf(vectorFromArray(["a", "b", "c", "d", "e"], new Utf8())),
    ],
  } as never) as Data;
const unionFields = [field(new Int32(), "n"), field(new Utf8(), "s")];
Object.assign(COLUMNS, {
  Decimal: decimal(1n, -2n, 3n, -40_000_000_000n, 5n),
  SparseUnion: unionOf(new SparseUnion([0, 1], unionFields)),
  DenseUnion: unionOf(new DenseUnion([0, 1], unionFields), Int32Array.of(0, 0, 1, 1, 2)),
});

function dataOf(vector: Vector): Data {
  const [data] = vector.data;
  if (data === undefined) throw new Error("there is no data");
  return data;
}

function batchOf(data: Data): RecordBatch {
  const schema = new Schema([new Field("c", data.type, true)]);
  return new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length: data.length, nullCount: 0, children: [data] }),
  );
}

/** Returns the values of the only column as text. Different values have different texts. */
function valuesOf(batch: RecordBatch): string[] {
  const column = new Vector([batch.data.children[0] as Data]);
  return Array.from({ length: batch.numRows }, (_, i) => textOf(column.get(i)));
}

function textOf(value: unknown): string {
  if (value instanceof Vector) return `[${[...value].map(textOf).join()}]`;
  if (typeof value === "object" && value !== null && Symbol.iterator in value && !ArrayBuffer.isView(value))
    return `{${[...(value as Iterable<[unknown, unknown]>)].map(([k, v]) => `${textOf(k)}:${textOf(v)}`).join()}}`;
  return Object.is(value, -0) ? "-0" : `${typeof value} ${String(value)}`;
}

const pick = (values: readonly string[], rows: readonly number[]) => rows.map((row) => values[row]);

describe.each(Object.entries(COLUMNS))("rows taken of %s", (_, data) => {
  const batch = batchOf(data);

  it.each([[[0, 1, 2, 3, 4]], [[1, 3]], [[4, 2, 0]], [[2]], [[]]])(
    "Rows %o that are taken of a record batch have the values that they had",
    (rows) => {
      const taken = takeRows(batch, rows);
      expect(taken.numRows).toBe(rows.length);
      expect(valuesOf(taken)).toEqual(pick(valuesOf(batch), rows));
      expect(taken.data.children[0]?.nullCount).toBe(
        rows.filter((row) => DataType.isNull(data.type) || !data.getValid(row)).length,
      );
    },
  );

  it("Rows that are taken of a part of a batch are counted from the part's first row", () => {
    const part = batch.slice(1, 4);
    expect(valuesOf(takeRows(part, [0, 2]))).toEqual(pick(valuesOf(batch), [1, 3]));
    expect(valuesOf(takeRows(takeRows(part, [0, 2]), [1]))).toEqual(pick(valuesOf(batch), [3]));
  });

  it("Rows that are taken can be written to a file and read back", async () => {
    const taken = takeRows(batch, [3, 1, 4]);
    async function* one() {
      yield taken;
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of encodeFile(taken.schema, one())) chunks.push(chunk);
    const [read] = [...decodeFile(Buffer.concat(chunks))];
    expect(read && valuesOf(read)).toEqual(valuesOf(taken));
  });
});
