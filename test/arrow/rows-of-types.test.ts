import {
  BinaryView,
  type Data,
  type DataType,
  DateMillisecond,
  Decimal,
  Dictionary,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float16,
  Int8,
  Int32,
  IntervalDayTime,
  IntervalMonthDayNano,
  IntervalYearMonth,
  LargeList,
  LargeUtf8,
  Map_,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  TimeMillisecond,
  TimeSecond,
  Timestamp,
  TimestampMillisecond,
  Uint64,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toRecordBatches } from "../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";

function batchOf(...columns: readonly Data[]): RecordBatch {
  const schema = new Schema(columns.map(({ type }, i) => new Field(`c${i}`, type, true)));
  const length = columns[0]?.length ?? 0;
  return new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length, nullCount: 0, children: [...columns] }),
  );
}

/** A column of fixed width with these values, and a null after each. */
function withNulls(
  type: DataType,
  make: (length: number) => ArrayBufferView,
  values: readonly unknown[],
  width = 1,
): Data {
  const data = make(values.length * 2 * width) as Uint8Array;
  for (const [i, value] of values.entries())
    for (const [j, word] of [value].flat().entries()) data[2 * i * width + j] = word as number;
  const nullBitmap = new Uint8Array(Math.ceil((values.length * 2) / 8)).fill(0b01010101);
  return makeData({ type, length: values.length * 2, nullBitmap, data } as never);
}

/** Returns the values of the only column, also from slices, without the nulls after each. */
function shown(data: Data): unknown[] {
  const batch = batchOf(data);
  const whole = [...rowsOf(batch)].map((row) => row["c0"]);
  const cut = Math.floor(data.length / 3);
  const slices = [batch.slice(0, cut), batch.slice(cut, data.length)];
  expect(slices.flatMap((slice) => [...rowsOf(slice)].map((row) => row["c0"]))).toEqual(whole);
  expect(whole.filter((_, i) => i % 2 === 1).every((value) => value === null)).toBe(true);
  return whole.filter((_, i) => i % 2 === 0);
}

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const many = <T>(value: fc.Arbitrary<T>) => fc.array(value, { minLength: 1, maxLength: 30 });

describe("rows of types beyond the DDL", () => {
  it("Unsigned integers of 64 bits are numbers up to 2^53, and strings of digits beyond", () => {
    const value = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }),
    );
    fc.assert(
      fc.property(many(value), (values) => {
        const found = shown(withNulls(new Uint64(), (n) => new BigUint64Array(n), values));
        expect(found).toEqual(values.map((one) => (one < 2n ** 53n ? Number(one) : String(one))));
      }),
    );
  });

  it("Decimals of all widths have all their digits", () => {
    for (const bits of [32, 64, 128, 256]) {
      const value = fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: 2n ** BigInt(bits - 1) - 1n });
      const words = (one: bigint) =>
        Array.from({ length: bits / 32 }, (_, i) => Number(BigInt.asUintN(32, one >> BigInt(32 * i))));
      fc.assert(
        fc.property(many(value), fc.integer({ min: -3, max: 9 }), (values, scale) => {
          const type = new Decimal(scale, 9, bits);
          const found = shown(withNulls(type, (n) => new Uint32Array(n), values.map(words), bits / 32));
          const back = found.map((text) => {
            expect(text).toMatch(scale > 0 ? new RegExp(`^-?\\d+\\.\\d{${scale}}$`) : /^-?\d+$/);
            const digits = BigInt(String(text).replace(".", ""));
            return scale < 0 ? digits / 10n ** BigInt(-scale) : digits;
          });
          expect(back).toEqual(values);
        }),
        { numRuns: 40 },
      );
    }
  });

  it("Timestamps of each unit are ISO 8601 with all digits", () => {
    for (const [unit, digits] of [0, 3, 6, 9].entries()) {
      fc.assert(
        fc.property(many(int64), (values) => {
          const type = new Timestamp(unit, "Europe/Berlin");
          const found = shown(withNulls(type, (n) => new BigInt64Array(n), values)) as string[];
          for (const [i, text] of found.entries()) {
            const value = values[i] as bigint;
            const iso = /^(.*T..:..:..)(?:\.(\d+))?Z$/.exec(text);
            const back =
              iso === null
                ? BigInt(text.split(" ")[0] as string)
                : BigInt(Date.parse(`${iso[1]}Z`) / 1000) * 10n ** BigInt(digits) +
                  BigInt((iso[2] ?? "").padEnd(digits, "0") || "0");
            expect(back).toBe(value);
          }
        }),
        { numRuns: 40 },
      );
    }
  });

  it("Floats of 16 bits are the numbers that they stand for", () => {
    const bits = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);
    const data = makeData({ type: new Float16(), length: bits.length, nullCount: 0, data: bits });
    const expected = Array.from(new Float16Array(bits.buffer));
    expect([...rowsOf(batchOf(data))].map((row) => row["c0"])).toEqual(expected);
  });

  const of = <T>(type: DataType, values: readonly T[]) =>
    vectorFromArray(values as never, type as never).data[0] as Data;
  const entries = (key: DataType) =>
    new Map_(
      new Field(
        "entries",
        new Struct<never>([new Field("key", key, false), new Field("value", new Int32(), true)] as never),
        false,
      ) as never,
    );
  const item = new Field("item", new Int32(), true);

  it.each<[string, Data, unknown[]]>([
    ["LargeUtf8", of(new LargeUtf8(), ["ü", null]), ["ü"]],
    ["LargeList", of(new LargeList(item), [[1, null], null]), [[1, null]]],
    ["FixedSizeList", of(new FixedSizeList(2, item), [[1, 2], null]), [[1, 2]]],
    ["FixedSizeBinary", of(new FixedSizeBinary(2), [Uint8Array.of(1, 255), null]), ["Af8="]],
    ["BinaryView", of(new BinaryView(), [Uint8Array.of(1, 255), null]), ["Af8="]],
    ["date64", withNulls(new DateMillisecond(), (n) => new BigInt64Array(n), [-86400000n]), ["1969-12-31"]],
    [
      "date64 with a time",
      withNulls(new DateMillisecond(), (n) => new BigInt64Array(n), [-1n]),
      ["1969-12-31T23:59:59.999"],
    ],
    [
      "milliseconds",
      withNulls(new TimestampMillisecond(), (n) => new BigInt64Array(n), [-1n]),
      ["1969-12-31T23:59:59.999"],
    ],
    ["time32", withNulls(new TimeMillisecond(), (n) => new Int32Array(n), [86_399_999]), ["23:59:59.999"]],
    [
      "a time outside the day",
      withNulls(new TimeSecond(), (n) => new Int32Array(n), [86_400, -1]),
      ["86400 seconds since midnight", "-1 seconds since midnight"],
    ],
    [
      "interval of months",
      withNulls(new IntervalYearMonth(), (n) => new Int32Array(n), [14, -1, 0]),
      ["P14M", "P-1M", "PT0S"],
    ],
    [
      "interval of days",
      withNulls(
        new IntervalDayTime(),
        (n) => new Int32Array(n),
        [
          [-1, 1500],
          [0, -5],
        ],
        2,
      ),
      ["P-1DT1.5S", "PT-0.005S"],
    ],
    [
      "interval of all",
      withNulls(new IntervalMonthDayNano(), (n) => new Int32Array(n), [[1, -2, 1, 0]], 4),
      ["P1M-2DT0.000000001S"],
    ],
    [
      "a map by numbers",
      of(entries(new Int32()), [
        new Map([
          [10, 1],
          [9, 2],
        ]),
        null,
      ]),
      [{ "10": 1, "9": 2 }],
    ],
    [
      "a dictionary of dates",
      of(new Dictionary(new DateMillisecond(), new Int8()), [new Date(0), null]),
      ["1970-01-01"],
    ],
  ])("A value of %s is shown as JSON", (_, data, expected) => {
    expect(shown(data)).toEqual(expected);
  });

  it("A map with lists or structs as keys is an array of pairs, and one with a key twice is an error", () => {
    const byList = of(entries(new FixedSizeList(1, item)), [null, null]);
    const list = vectorFromArray([[1], [2]], new FixedSizeList(1, item)).data[0] as Data;
    const values = vectorFromArray([3, null], new Int32()).data[0] as Data;
    const mapOf = (type: DataType, keys: Data): Data => {
      const child = makeData({
        type: (type.children as Field[])[0]?.type as Struct,
        length: 2,
        nullCount: 0,
        children: [keys, values],
      });
      return makeData({
        type: type as Map_,
        length: 1,
        nullCount: 0,
        valueOffsets: Int32Array.of(0, 2),
        child,
      } as never);
    };
    expect([...rowsOf(batchOf(mapOf(byList.type, list)))]).toEqual([
      {
        c0: [
          { key: [1], value: 3 },
          { key: [2], value: null },
        ],
      },
    ]);
    const twice = vectorFromArray(["a", "a"], new Utf8()).data[0] as Data;
    expect(() => [...rowsOf(batchOf(mapOf(entries(new Utf8()), twice)))]).toThrow(
      expect.objectContaining({ code: "ROW_MISMATCH", where: { field: "c0" } }),
    );
  });
});

describe("a record batch that is not what it says", () => {
  const schema = parseDdl("s string");
  const taken = async (data: Data) => {
    const batch = new RecordBatch(
      schema,
      makeData({ type: new Struct(schema.fields), length: data.length, nullCount: 0, children: [data] }),
    );
    return await Array.fromAsync(toRecordBatches(schema, [batch], {}));
  };
  const text = (valueOffsets: Int32Array, data: Uint8Array) =>
    makeData({ type: new Utf8(), length: 2, nullCount: 0, valueOffsets, data });

  it.each<[string, Data, RegExp]>([
    ["offsets that go back", text(Int32Array.of(0, 2, 1), Buffer.from("ab")), /offsets that go back/],
    [
      "an offset beyond its bytes",
      text(Int32Array.of(0, 2, 9), Buffer.from("ab")),
      /offset beyond its 2 values/,
    ],
    [
      "too few offsets",
      text(Int32Array.of(0, 1), Buffer.from("ab")),
      /offsets have the length 2 instead of 3/,
    ],
    ["text that is not UTF-8", text(Int32Array.of(0, 1, 2), Uint8Array.of(0x61, 0xff)), /not UTF-8/],
    ["a character cut in two", text(Int32Array.of(0, 1, 2), Buffer.from("ü")), /not UTF-8, at value 2/],
  ])("A column with %s is an error, not other values", async (_, data, problem) => {
    await expect(taken(data)).rejects.toMatchObject({
      code: "BATCH_INVALID",
      message: expect.stringMatching(problem),
      where: { field: "s" },
    });
  });

  it("An index beyond its dictionary is an error, and so is a null under NOT NULL inside of a list or a dictionary", async () => {
    const type = new Dictionary(new Utf8(), new Int8());
    const coded = (index: number, ...values: (string | null)[]) =>
      makeData({
        type,
        length: 1,
        nullCount: 0,
        data: Int8Array.of(index),
        dictionary: vectorFromArray(values, new Utf8()),
      });
    const given = async (field: Field, data: Data) => {
      const own = new Schema([field]);
      const batch = new RecordBatch(
        own,
        makeData({ type: new Struct(own.fields), length: data.length, nullCount: 0, children: [data] }),
      );
      return await Array.fromAsync(toRecordBatches(own, [batch], {}));
    };
    await expect(given(new Field("d", type, true), coded(2, "a", "b"))).rejects.toMatchObject({
      code: "BATCH_INVALID",
    });
    await expect(given(new Field("d", type, false), coded(1, "a", null))).rejects.toMatchObject({
      code: "BATCH_SCHEMA_MISMATCH",
      message: expect.stringContaining('field "d": expected no null'),
    });
    const items = new LargeList(new Field("item", new Int32(), false));
    const list = vectorFromArray([[1], [null]], new LargeList(new Field("item", new Int32(), true)))
      .data[0] as Data;
    const child = list.children[0] as Data;
    const data = makeData({
      type: items,
      length: 2,
      nullCount: 0,
      valueOffsets: list.valueOffsets as BigInt64Array,
      child,
    } as never) as Data;
    await expect(given(new Field("l", items, true), data)).rejects.toMatchObject({
      code: "BATCH_SCHEMA_MISMATCH",
      message: expect.stringContaining('field "l.item": expected no null'),
    });
  });
});
