import {
  DataType,
  Date_,
  DateUnit,
  type Duration,
  DurationMillisecond,
  DurationNanosecond,
  DurationSecond,
  Field,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  type Time,
  TimeMillisecond,
  TimeNanosecond,
  TimeSecond,
  Timestamp,
  TimeUnit,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";

const shown = (type: string, value: unknown): unknown =>
  [...rowsOf(recordBatchOf(parseDdl(`v ${type}`), [[value]]))][0]?.["v"];

describe("rowsOf", () => {
  it("rowsOf returns the rows of a record batch by field name, with null for a missing value", () => {
    const batch = recordBatchOf(parseDdl("a int, b string"), [
      [1, null],
      [null, "x"],
    ]);
    expect([...rowsOf(batch)]).toEqual([
      { a: 1, b: null },
      { a: null, b: "x" },
    ]);
  });

  it("rowsOf returns only values that JSON carries", () => {
    const schema = parseDdl(
      "i bigint, big bigint, d date, t timestamp, x decimal(4,1), b binary, m map<date,array<bigint>>",
    );
    const row = [
      5n,
      2n ** 60n,
      "2026-11-21",
      0n,
      "-0.5",
      Uint8Array.of(1, 2, 3),
      new Map([["2026-11-21", [1n, 2n ** 60n]]]),
    ];
    const json = {
      i: 5,
      big: "1152921504606846976",
      d: "2026-11-21",
      t: "1970-01-01T00:00:00.000Z",
      x: "-0.5",
      b: "AQID",
      m: { "2026-11-21": [1, "1152921504606846976"] },
    };
    const [found] = rowsOf(recordBatchOf(schema, [row]));
    expect(found).toEqual(json);
    expect(JSON.parse(JSON.stringify(found))).toEqual(json);
  });

  it.each([
    "1970-01-01T00:00:00.000Z",
    "1969-12-31T23:59:59.999999Z",
    "2026-11-21T03:00:00.000001Z",
    "2026-11-21T03:00:00.100Z",
    "2254-01-01T00:00:00.000001Z",
    "1583-01-01T00:00:00.000001Z",
    "0001-01-01T00:00:00.000001Z",
    "9999-12-31T23:59:59.999999Z",
  ])("rowsOf returns the time %s as it was written", (time) => {
    expect(shown("timestamp", time)).toBe(time);
    expect(shown("timestamp_ntz", time.slice(0, -1))).toBe(time.slice(0, -1));
  });

  it.each(["2026-11-21", "0001-01-01", "+012026-11-21", "-000044-03-15"])(
    "rowsOf returns the day %s as it was written",
    (day) => {
      expect(shown("date", day)).toBe(day);
    },
  );

  it.each(["00:00:00.000", "23:59:59.999999", "03:04:05.678"])(
    "rowsOf returns the time of day %s as it was written",
    (time) => {
      expect(shown("time", time)).toBe(time);
    },
  );

  it.each([2n ** 63n - 1n, -(2n ** 63n), 10n ** 17n * 86n])(
    "rowsOf returns a value for a time far outside any calendar: %s",
    (micros) => {
      expect(typeof shown("timestamp", micros)).toBe("string");
    },
  );

  it.each<[TimeUnit, bigint, string]>([
    [TimeUnit.SECOND, 1n, "1970-01-01T00:00:01Z"],
    [TimeUnit.MILLISECOND, 1n, "1970-01-01T00:00:00.001Z"],
    [TimeUnit.NANOSECOND, 1_000_001_000n, "1970-01-01T00:00:01.000001Z"],
  ])("rowsOf reads times of other units, which other programs write: %s", (unit, value, text) => {
    const type = new Timestamp(unit, "UTC");
    const schema = new Schema([new Field("v", type, true)]);
    const child = makeData({ type, length: 1, nullCount: 0, data: BigInt64Array.of(value) });
    const data = makeData({ type: new Struct(schema.fields), length: 1, nullCount: 0, children: [child] });
    expect([...rowsOf(new RecordBatch(schema, data))]).toEqual([{ v: text }]);
  });

  it.each<[Time | Duration, bigint, string]>([
    [new TimeMillisecond(), 1001n, "00:00:01.001"],
    [new TimeSecond(), 86_399n, "23:59:59"],
    [new TimeNanosecond(), 1n, "00:00:00.000000001"],
    [new DurationSecond(), -90_061n, "-P1DT1H1M1S"],
    [new DurationNanosecond(), 1n, "PT0.000000001S"],
    [new DurationMillisecond(), 86_400_000n, "P1D"],
  ])("rowsOf reads %s, which other programs write", (type, value, text) => {
    const schema = new Schema([new Field("v", type, true)]);
    const isShort = DataType.isTime(type) && type.bitWidth === 32;
    const values = isShort ? Int32Array.of(Number(value)) : BigInt64Array.of(value);
    const child = makeData({ type, length: 1, nullCount: 0, data: values } as never);
    const data = makeData({ type: new Struct(schema.fields), length: 1, nullCount: 0, children: [child] });
    expect([...rowsOf(new RecordBatch(schema, data))]).toEqual([{ v: text }]);
  });

  it("rowsOf tells dates from the day count", () => {
    const type = new Date_(DateUnit.DAY);
    const schema = new Schema([new Field("v", type, true)]);
    const child = makeData({ type, length: 3, nullCount: 0, data: Int32Array.of(-1, 20_000, 2e9) });
    const data = makeData({ type: new Struct(schema.fields), length: 3, nullCount: 0, children: [child] });
    expect([...rowsOf(new RecordBatch(schema, data))]).toEqual([
      { v: "1969-12-31" },
      { v: "2024-10-04" },
      { v: "2000000000 days since 1970-01-01" },
    ]);
  });
});
