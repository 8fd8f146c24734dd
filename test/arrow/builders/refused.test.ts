import {
  type DataType,
  DateMillisecond,
  Decimal,
  DurationMillisecond,
  Field,
  FixedSizeBinary,
  Float16,
  Int32,
  IntervalYearMonth,
  Map_,
  Schema,
  Struct,
  TimeMicrosecond,
  TimestampSecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from "apache-arrow";
import fc from "fast-check";
import { Temporal } from "temporal-polyfill";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";

const schemaOf = (type: string | DataType): Schema =>
  typeof type === "string" ? parseDdl(`v ${type}`) : new Schema([new Field("v", type, true)]);

/** What a column `v` of this type holds after these values, as JSON would have it. */
function stored(type: string | DataType, values: readonly unknown[]): unknown[] {
  const batch = recordBatchOf(
    schemaOf(type),
    values.map((v) => ({ v })),
  );
  return [...rowsOf(batch)].map((row) => row["v"]);
}

/** The 64-bit words of such a column, without any conversion. */
function words(type: string, values: readonly unknown[]): bigint[] {
  const batch = recordBatchOf(
    schemaOf(type),
    values.map((v) => ({ v })),
  );
  return Array.from(batch.getChildAt(0)?.data[0]?.values as BigInt64Array);
}

/** The error for `value` in row 2, after a null. */
function refusal(type: string | DataType, value: unknown): MillraceError {
  try {
    stored(type, [null, value]);
  } catch (error) {
    if (MillraceError.is(error)) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

class Point {
  readonly x = 1;
  get y(): string {
    return "p";
  }
}
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe("values that a column takes", () => {
  it.each<[string, unknown[], unknown[]]>([
    ["boolean", [true, false], [true, false]],
    ["tinyint", [-128, 127, 5n, -0], [-128, 127, 5, 0]],
    ["smallint", [-32768, 32767], [-32768, 32767]],
    ["int", [-(2 ** 31), 2 ** 31 - 1, 7n], [-(2 ** 31), 2 ** 31 - 1, 7]],
    ["bigint", [0, -5, 2 ** 53 - 1, 9007199254740993n], [0, -5, 2 ** 53 - 1, "9007199254740993"]],
    ["bigint", [-(2n ** 63n), 2n ** 63n - 1n], ["-9223372036854775808", "9223372036854775807"]],
    ["float", [0.5, 1e-50, Number.NEGATIVE_INFINITY], [0.5, 0, Number.NEGATIVE_INFINITY]],
    ["float", [0.1, Number.NaN, 3.4e38], [Math.fround(0.1), Number.NaN, Math.fround(3.4e38)]],
    ["double", [0.1, 2 ** 60, -0, Number.MAX_VALUE], [0.1, 2 ** 60, -0, Number.MAX_VALUE]],
    ["double", [Number.NaN, Number.POSITIVE_INFINITY], [Number.NaN, Number.POSITIVE_INFINITY]],
    ["string", ["", "aé€😀\u0000", "x".repeat(5000)], ["", "aé€😀\u0000", "x".repeat(5000)]],
    ["binary", [bytes(), bytes(0, 255), Buffer.from("hi")], ["", "AP8=", "aGk="]],
    ["date", ["2026-11-21", "0001-01-01", "2024-02-29"], ["2026-11-21", "0001-01-01", "2024-02-29"]],
    ["date", [new Date("1969-12-31"), new Date(0)], ["1969-12-31", "1970-01-01"]],
    [
      "date",
      [Temporal.PlainDate.from("2026-11-21"), Temporal.PlainDate.from("2026-11-21").withCalendar("gregory")],
      ["2026-11-21", "2026-11-21"],
    ],
    ["varchar(3)", ["", "abc", "a😀b"], ["", "abc", "a😀b"]],
    ["char(2)", ["a", "ab"], ["a", "ab"]],
    ["time", ["03:04", "23:59:59.999999", "00:00:00,5"], ["03:04:00.000", "23:59:59.999999", "00:00:00.500"]],
    ["time(6)", [Temporal.PlainTime.from("03:04:05.000001"), 1n], ["03:04:05.000001", "00:00:00.000001"]],
    [
      "interval day to second",
      ["P1DT2H3M4.5S", "-PT0.000001S", "P2W", "PT1M", "P0Y0M1D", 90_000_000n, 0n],
      ["P1DT2H3M4.5S", "-PT0.000001S", "P14D", "PT1M", "P1D", "PT1M30S", "PT0S"],
    ],
    [
      "interval day to second",
      [Temporal.Duration.from({ days: -1, hours: -30, microseconds: -1 })],
      ["-P2DT6H0.000001S"],
    ],
    ["void", [null], [null]],
    ["array<float>", [Float32Array.of(1, 0.5), new Int8Array()], [[1, 0.5], []]],
    ["array<bigint>", [BigInt64Array.of(2n ** 60n)], [["1152921504606846976"]]],
    ["decimal(5,2)", ["999.99", "-0.01", "+7", ".5", "5."], ["999.99", "-0.01", "7.00", "0.50", "5.00"]],
    ["decimal(5,2)", [1.25, 12n, "1.5000", -0.1, -0], ["1.25", "12.00", "1.50", "-0.10", "0.00"]],
    [
      "decimal(26,10)",
      [1e-7, -1.5e-9, 2 ** 53 - 1],
      ["0.0000001000", "-0.0000000015", "9007199254740991.0000000000"],
    ],
    ["decimal(38,0)", ["9".repeat(38), -(10n ** 38n - 1n)], ["9".repeat(38), `-${"9".repeat(38)}`]],
    [
      "decimal(38,38)",
      ["-0.00000000000000000000000000000000000001"],
      ["-0.00000000000000000000000000000000000001"],
    ],
    ["array<int>", [[], [1, null, 3]], [[], [1, null, 3]]],
    ["array<array<string>>", [[["a"], [], null], []], [[["a"], [], null], []]],
    ["map<string,int>", [{ a: 1, b: null }, new Map([["c", 3]]), {}], [{ a: 1, b: null }, { c: 3 }, {}]],
    ["map<int,string>", [new Map([[1, "x"]])], [{ 1: "x" }]],
    [
      "struct<x:int,y:string>",
      [{ x: 1, y: null }, { y: "b", x: null, z: 0 }, [2, "c"], new Point()],
      [
        { x: 1, y: null },
        { x: null, y: "b" },
        { x: 2, y: "c" },
        { x: 1, y: "p" },
      ],
    ],
    [
      "struct<a:array<struct<m:map<string,date>>>>",
      [{ a: [{ m: { d: "2026-01-01" } }, null] }],
      [{ a: [{ m: { d: "2026-01-01" } }, null] }],
    ],
  ])("%s takes %o", (type, values, expected) => {
    expect(stored(type, values)).toEqual(expected);
    expect(stored(type, [null, ...values, null])).toEqual([null, ...expected, null]);
  });

  it.each<[DataType, number | bigint, unknown]>([
    [new Uint8(), 255, 255],
    [new Uint16(), 65535, 65535],
    [new Uint32(), 2 ** 32 - 1, 2 ** 32 - 1],
    [new Uint64(), 2n ** 64n - 1n, "18446744073709551615"],
  ])("the unsigned %s takes its greatest value, and none below 0 or above", (type, greatest, expected) => {
    expect(stored(type, [0, greatest, null])).toEqual([0, expected, null]);
    expect(refusal(type, -1).message).toContain("found a number outside it");
    expect(refusal(type, BigInt(greatest) + 1n).message).toContain("found a number outside it");
  });

  it.each<[string, unknown, bigint]>([
    ["timestamp", new Date("2026-11-21T03:00:00.123Z"), 1795230000123000n],
    ["timestamp", new Date(-1), -1000n],
    ["timestamp", "2026-11-21T03:00:00.123456Z", 1795230000123456n],
    ["timestamp", "2026-11-21t03:00:00,5z", 1795230000500000n],
    ["timestamp", "2026-11-21 03:00Z", 1795230000000000n],
    ["timestamp", "2026-11-21T03:00:00.000001+05:30", 1795210200000001n],
    ["timestamp", "2026-11-21T03:00:00-0800", 1795258800000000n],
    ["timestamp", "2026-11-21T03:00:00+02", 1795222800000000n],
    ["timestamp", "2026-11-21T03:00:00.123456000Z", 1795230000123456n],
    ["timestamp", "1969-12-31T23:59:59.999999Z", -1n],
    ["timestamp", "0001-01-01T00:00:00.000001Z", -62135596799999999n],
    ["timestamp", "9999-12-31T23:59:59.999999Z", 253402300799999999n],
    ["timestamp", 1795230000123456n, 1795230000123456n],
    ["timestamp", -(2n ** 63n), -(2n ** 63n)],
    ["timestamp", "2026-11-21T03:00:00.1234560000000000Z", 1795230000123456n],
    ["timestamp", "+012026-11-21T03:00:00Z", 317364750000000000n],
    ["timestamp", "-000001-12-31T00:00:00Z", -62167305600000000n],
    ["timestamp", new Date(8.64e15), 8640000000000000000n],
    ["timestamp", new Date(-8.64e15), -8640000000000000000n],
    ["timestamp", new Date("2255-06-05T23:47:34Z"), 9007199254000000n],
    ["timestamp", Temporal.Instant.from("2026-11-21T03:00:00.000001Z"), 1795230000000001n],
    ["timestamp", Temporal.Instant.from("1969-12-31T23:59:59.999999Z"), -1n],
    [
      "timestamp",
      Temporal.ZonedDateTime.from("2026-11-21T03:00:00.5+01:00[Europe/Paris]"),
      1795226400500000n,
    ],
    ["timestamp_ntz", "2026-11-21T03:00:00.123456", 1795230000123456n],
    ["timestamp_ntz", "2026-11-21 03:00", 1795230000000000n],
    ["timestamp_ntz", 2n ** 63n - 1n, 2n ** 63n - 1n],
    ["timestamp_ntz", Temporal.PlainDateTime.from("2026-11-21T03:00:00.5"), 1795230000500000n],
    ["timestamp_ntz", Temporal.PlainDateTime.from("-271821-04-20T00:00"), -8640000000000000000n + 0n],
  ])("%s keeps %o to the microsecond", (type, value, micros) => {
    expect(words(type, [value])).toEqual([micros]);
  });

  it("keeps strings apart that are encoded together, whatever their characters", () => {
    const units = ["x", "é", "€", "😀", ""];
    const values = Array.from({ length: 400 }, (_, i) =>
      i % 9 === 0 ? null : (units[i % 5] ?? "").repeat((i * 37) % 3000),
    );
    const all = [...values, "y".repeat(600_000), ...values, "é".repeat(600_000), null, ...values];
    expect(stored("string", all)).toEqual(all);
  });

  it("grows beyond the values of 10,000 rows, also with nulls in it", () => {
    for (const [type, value] of [
      ["boolean", true],
      ["smallint", 7],
      ["bigint", -1],
      ["decimal(9,1)", "1.5"],
      ["string", "é"],
      ["array<int>", [1]],
      ["struct<x:date>", { x: "2026-01-01" }],
      ["map<string,int>", { k: 1 }],
      ["timestamp", "2026-01-01T00:00:00.000Z"],
      ["time", "00:00:01.000"],
      ["binary", bytes(1)],
    ] as const) {
      const long = Array.from({ length: 25_000 }, (_, i) => (i % 3 === 1 || i === 24_999 ? null : value));
      const shown = long.map((item) => (item instanceof Uint8Array ? "AQ==" : item));
      expect(stored(`array<${type}>`, [long, [], long])).toEqual([shown, [], shown]);
    }
  });
});

describe("values that a column refuses", () => {
  const cases: readonly (readonly [type: string, value: unknown, problem: string, found: string])[] = [
    ["boolean", 1, "expected boolean, found an integer", "1"],
    ["boolean", "true", "expected boolean, found a string of 4 characters", '"true"'],
    ["tinyint", 128, "expected tinyint (-128 to 127), found a number outside it", "128"],
    ["tinyint", -129, "expected tinyint (-128 to 127), found a number outside it", "-129"],
    ["smallint", 32768, "expected smallint (-32768 to 32767), found a number outside it", "32768"],
    ["int", 2 ** 31, "expected int (-2147483648 to 2147483647), found a number outside it", "2147483648"],
    [
      "int",
      -(2n ** 70n),
      "expected int (-2147483648 to 2147483647), found a number outside it",
      `${-(2n ** 70n)}n`,
    ],
    ["int", 1.5, "expected int, found a number with a fraction", "1.5"],
    ["int", "1", "expected int, found a string of 1 character", '"1"'],
    [
      "bigint",
      2 ** 53,
      "expected bigint (beyond 2^53 a JavaScript bigint), found a number beyond 2^53",
      "9007199254740992",
    ],
    ["bigint", 2n ** 63n, "expected bigint (64 bits), found a number outside it", "9223372036854775808n"],
    [
      "bigint",
      -(2n ** 63n) - 1n,
      "expected bigint (64 bits), found a number outside it",
      "-9223372036854775809n",
    ],
    ["bigint", 0.5, "expected bigint, found a number with a fraction", "0.5"],
    ["bigint", "1", "expected bigint, found a string of 1 character", '"1"'],
    ["float", 3.5e38, "expected float, found a number outside it", "3.5e+38"],
    ["float", "1", "expected float, found a string of 1 character", '"1"'],
    ["double", "1.5", "expected double, found a string of 3 characters", '"1.5"'],
    ["string", 1, "expected string, found an integer", "1"],
    ["string", "a\ud800", "expected string, found a string with a lone surrogate", '"a\\ud800"'],
    ["string", "\udc00a", "expected string, found a string with a lone surrogate", '"\\udc00a"'],
    ["binary", "ab", "expected binary (a Uint8Array), found a string of 2 characters", '"ab"'],
    ["binary", [1, 2], "expected binary (a Uint8Array), found an array of 2", "[1,2]"],
    ["date", "2026-02-29", "expected date, found a date that does not exist", '"2026-02-29"'],
    [
      "date",
      "2026-2-9",
      'expected date (such as "2026-11-21"), found a string of 8 characters',
      '"2026-2-9"',
    ],
    [
      "date",
      new Date(1),
      "expected date, found a Date that is not midnight UTC",
      '"1970-01-01T00:00:00.001Z"',
    ],
    ["date", new Date(Number.NaN), "expected date, found an invalid Date", "null"],
    ["date", 20000, 'expected date (such as "2026-11-21"), found an integer', "20000"],
    [
      "timestamp",
      "2026-01-01T00:00:00",
      "expected timestamp (with a zone, such as …Z), found a time without zone",
      '"2026-01-01T00:00:00"',
    ],
    [
      "timestamp",
      "2026-02-30T00:00:00Z",
      "expected timestamp, found a date that does not exist",
      '"2026-02-30T00:00:00Z"',
    ],
    [
      "timestamp",
      "2026-01-01T24:00:00Z",
      "expected timestamp, found a date that does not exist",
      '"2026-01-01T24:00:00Z"',
    ],
    [
      "timestamp",
      "2026-01-01T00:00:00.0000001Z",
      "expected timestamp (microseconds), found a time with nanoseconds",
      '"2026-01-01T00:00:00.0000001Z"',
    ],
    [
      "timestamp",
      "2026-01-01",
      "expected timestamp (an ISO string with zone, a Date, or bigint microseconds), found a string of 10 characters",
      '"2026-01-01"',
    ],
    [
      "timestamp",
      1795230000000,
      "expected timestamp (an ISO string with zone, a Date, or bigint microseconds), found an integer",
      "1795230000000",
    ],
    ["timestamp", new Date(Number.NaN), "expected timestamp, found an invalid Date", "null"],
    [
      "timestamp",
      2n ** 63n,
      "expected timestamp (64 bits of microseconds), found a time outside it",
      "9223372036854775808n",
    ],
    [
      "timestamp",
      "+999999-01-01T00:00:00Z",
      "expected timestamp (64 bits of microseconds), found a time outside it",
      '"+999999-01-01T00:00:00Z"',
    ],
    [
      "timestamp",
      Temporal.Instant.from("2026-01-01T00:00:00.0000001Z"),
      "expected timestamp (microseconds), found a time with nanoseconds",
      '"2026-01-01T00:00:00.0000001Z"',
    ],
    [
      "timestamp",
      Temporal.PlainDateTime.from("2026-01-01T00:00"),
      "expected timestamp (an ISO string with zone, a Date, or bigint microseconds), found an instance of PlainDateTime",
      '"2026-01-01T00:00:00"',
    ],
    [
      "timestamp",
      Number.NaN,
      "expected timestamp (an ISO string with zone, a Date, or bigint microseconds), found NaN",
      "NaN",
    ],
    [
      "timestamp_ntz",
      "2026-01-01T00:00:00Z",
      "expected timestamp_ntz (without a zone), found a time with a zone",
      '"2026-01-01T00:00:00Z"',
    ],
    [
      "timestamp_ntz",
      "2026-01-01T00:00:00+01:00",
      "expected timestamp_ntz (without a zone), found a time with a zone",
      '"2026-01-01T00:00:00+01:00"',
    ],
    [
      "timestamp_ntz",
      new Date(0),
      "expected timestamp_ntz (an ISO string without zone, or bigint microseconds), found an instance of Date",
      '"1970-01-01T00:00:00.000Z"',
    ],
    ["decimal(5,2)", "1000", "expected decimal(5,2), found a number with too many digits", '"1000"'],
    ["decimal(5,2)", -1000n, "expected decimal(5,2), found a number with too many digits", "-1000n"],
    ["decimal(5,2)", 1.005, "expected decimal(5,2), found 3 digits after the point", "1.005"],
    ["decimal(5,2)", "1e2", "expected decimal(5,2), found a string of 3 characters", '"1e2"'],
    ["decimal(5,2)", "", "expected decimal(5,2), found a string of 0 characters", '""'],
    ["decimal(5,2)", ".", "expected decimal(5,2), found a string of 1 character", '"."'],
    ["decimal(5,2)", true, "expected decimal(5,2), found a boolean", "true"],
    ["decimal(5,2)", Number.NaN, "expected decimal(5,2), found NaN", "NaN"],
    ["decimal(5,2)", Number.NEGATIVE_INFINITY, "expected decimal(5,2), found -Infinity", "-Infinity"],
    ["decimal(5,2)", 1e-7, "expected decimal(5,2), found 7 digits after the point", "1e-7"],
    [
      "decimal(38,0)",
      2 ** 53,
      "expected decimal(38,0) (beyond 2^53 a string or a bigint), found a number beyond 2^53",
      "9007199254740992",
    ],
    [
      "decimal(38,0)",
      "1".repeat(39),
      "expected decimal(38,0), found a number with too many digits",
      `"${"1".repeat(39)}"`,
    ],
    ["int", Number.NaN, "expected int, found NaN", "NaN"],
    ["int", Number.POSITIVE_INFINITY, "expected int, found Infinity", "Infinity"],
    ["bigint", Number.NaN, "expected bigint, found NaN", "NaN"],
    ["double", 1n, "expected double, found a bigint", "1n"],
    ["varchar(3)", "abcd", "expected varchar(3), found a string of 4 characters", '"abcd"'],
    ["char(1)", "😀a", "expected char(1), found a string of 3 characters", '"😀a"'],
    ["char(1)", 1, "expected char(1), found an integer", "1"],
    ["void", 0, "expected void (null), found an integer", "0"],
    ["time", "24:00", "expected time, found a time that does not exist", '"24:00"'],
    [
      "time",
      "03:04:05Z",
      'expected time (such as "03:04:05.678901"), found a string of 9 characters',
      '"03:04:05Z"',
    ],
    [
      "time",
      "03:04:05.0000001",
      "expected time (microseconds), found a time with nanoseconds",
      '"03:04:05.0000001"',
    ],
    [
      "time",
      86_400_000_000n,
      "expected time (microseconds of one day), found a bigint outside it",
      "86400000000n",
    ],
    ["time", -1n, "expected time (microseconds of one day), found a bigint outside it", "-1n"],
    [
      "interval day to second",
      "P1M",
      "expected interval day to second, found a duration with years or months",
      '"P1M"',
    ],
    [
      "interval day to second",
      "P",
      'expected interval day to second (such as "P1DT2H3M4.5S"), found a string of 1 character',
      '"P"',
    ],
    [
      "interval day to second",
      "P1DT",
      'expected interval day to second (such as "P1DT2H3M4.5S"), found a string of 4 characters',
      '"P1DT"',
    ],
    [
      "interval day to second",
      "PT0.0000001S",
      "expected interval day to second (microseconds), found a duration with nanoseconds",
      '"PT0.0000001S"',
    ],
    [
      "interval day to second",
      "P106751992D",
      "expected interval day to second (64 bits of microseconds), found a duration outside it",
      '"P106751992D"',
    ],
    ["array<int>", { 0: 1 }, "expected array, found an object", '{"0":1}'],
    ["map<string,int>", [["a", 1]], "expected map (a Map or an object), found an array of 1", '[["a",1]]'],
    ["struct<x:int>", [1, 2], "expected 1 value (x), found 2", "[1,2]"],
    ["struct<x:int,y:int>", [1], "expected 2 values (x, y), found 1", "[1]"],
    ["struct<x:int>", 1, "expected struct (an object or an array), found an integer", "1"],
    [
      "struct<x:int>",
      new Date(0),
      "expected struct (an object or an array), found an instance of Date",
      '"1970-01-01T00:00:00.000Z"',
    ],
    [
      "struct<size:int>",
      new Map(),
      "expected struct (an object or an array), found an instance of Map",
      "{}",
    ],
    [
      "struct<length:int>",
      bytes(1),
      "expected struct (an object or an array), found an instance of Uint8Array",
      '{"0":1}',
    ],
    ["int NOT NULL", null, "expected a value (NOT NULL), found null", "null"],
  ];

  const hintFor = (type: string, value: unknown): string => {
    if (value === null) return 'Give "v" a value, leave the row out, or drop NOT NULL from the schema.';
    const convert = type === "bigint" ? "BigInt" : "Number";
    if (value === "1" && /int$/.test(type))
      return `Yield ${convert}(value) for "v", or make it a string in the schema.`;
    return 'Convert "v" in read(), or change its type in the schema.';
  };

  it.each(cases)("%s refuses %o", (type, value, problem, found) => {
    const row = type.endsWith("NOT NULL") ? 1 : 2;
    expect(refusal(type, value)).toMatchObject({
      code: "ROW_MISMATCH",
      message: `row ${row}, field "v": ${problem}`,
      where: { row, field: "v" },
      hint: hintFor(type, value),
      found,
      retryable: false,
    });
  });

  it.each<[string, unknown, string, string]>([
    ["array<int>", [1, "2"], "v[1]", "expected int, found a string of 1 character"],
    ["array<int>", [1, undefined], "v[1]", "expected int, found nothing"],
    ["array<varchar(1)>", ["a", "ab"], "v[1]", "expected varchar(1), found a string of 2 characters"],
    ["map<varchar(1),int>", { ab: 1 }, "v.key", "expected varchar(1), found a string of 2 characters"],
    ["struct<x:int,y:array<int>>", [1, [2, "3"]], "v.y[1]", "expected int, found a string of 1 character"],
    [
      "array<tinyint>",
      Int16Array.of(1, 128),
      "v[1]",
      "expected tinyint (-128 to 127), found a number outside it",
    ],
    ["map<string,int>", { a: 1, b: "x" }, "v.value", "expected int, found a string of 1 character"],
    ["map<string,int>", new Map([[null, 1]]), "v.key", "expected a value (NOT NULL), found null"],
    ["map<int,int>", { 1: 1 }, "v.key", "expected int, found a string of 1 character"],
    ["struct<x:int,y:int>", { x: 1 }, "v.y", "expected int, found nothing"],
    [
      "struct<x:int,zipCode:int>",
      { x: 1, zip_code: 2 },
      "v.zipCode",
      'expected int, found nothing (the struct has "zip_code")',
    ],
    ["struct<x:int NOT NULL>", { x: null }, "v.x", "expected a value (NOT NULL), found null"],
    [
      "array<struct<t:map<string,array<date>>>>",
      [{ t: {} }, { t: { k: ["2026-01-01", 1] } }],
      "v[1].t.value[1]",
      'expected date (such as "2026-11-21"), found an integer',
    ],
  ])("%s names the place inside %o", (type, value, field, problem) => {
    expect(refusal(type, value)).toMatchObject({
      code: "ROW_MISMATCH",
      message: `row 2, field "${field}": ${problem}`,
      where: { row: 2, field },
    });
  });

  it("refuses an array with holes instead of shifting the values of the rows after it", () => {
    const holes: unknown[] = [1, 2, 3];
    delete holes[1];
    expect(refusal("array<int>", holes)).toMatchObject({
      code: "ROW_MISMATCH",
      where: { row: 2, field: "v[1]" },
    });
  });

  it.each(["+99:99", "+24:00", "-05:60"])("refuses the zone %s, which does not exist", (zone) => {
    expect(refusal("timestamp", `2026-01-01T00:00:00${zone}`).code).toBe("ROW_MISMATCH");
  });

  it("never shows the refused value in the message", () => {
    for (const [type, value] of cases) {
      if (typeof value !== "string" || value.length < 6) continue;
      expect(refusal(type, value).message).not.toContain(value);
    }
  });
});

describe("types that rows cannot become", () => {
  it.each([
    new DateMillisecond(),
    new TimestampSecond(),
    new TimeMicrosecond(),
    new DurationMillisecond(),
    new IntervalYearMonth(),
    new Float16(),
    new FixedSizeBinary(4),
    new Decimal(2, 5, 256),
    new Decimal(-2, 5, 128),
    new Decimal(0, 39, 128),
  ])("%s is refused before any row", (type) => {
    expect(() => stored(type, [])).toThrow(expect.objectContaining({ code: "TYPE_NOT_SUPPORTED" }));
  });

  it("are those of a field __proto__, which every JavaScript object seems to have", () => {
    for (const ddl of ["__proto__ map<string,int>", "v struct<__proto__:map<string,int>>"]) {
      expect(() => recordBatchOf(parseDdl(ddl), [])).toThrow(
        expect.objectContaining({ code: "TYPE_NOT_SUPPORTED" }),
      );
    }
  });
});

it("maps are written also where their Arrow type calls key and value something else", () => {
  const entries = new Struct<{ keys: Utf8; values: Int32 }>([
    new Field("keys", new Utf8(), false),
    new Field("values", new Int32(), true),
  ]);
  const type = new Map_(new Field("entries", entries as never, false));
  expect(stored(type, [{ a: 1 }])).toEqual([{ a: 1 }]);
});

describe("whatever the value,", () => {
  const micros = fc.bigInt({ min: -62135596800000000n, max: 253402300799999999n });
  const instant = (value: bigint) => Temporal.Instant.fromEpochNanoseconds(value * 1000n);

  it("a timestamp is the same from text, in any zone, from Temporal and from microseconds", () => {
    const zone = fc.integer({ min: -18 * 60, max: 18 * 60 }).map((minutes) => {
      const text = String(Math.abs(minutes) % 60).padStart(2, "0");
      return `${minutes < 0 ? "-" : "+"}${String(Math.floor(Math.abs(minutes) / 60)).padStart(2, "0")}:${text}`;
    });
    fc.assert(
      fc.property(micros, zone, (value, at) => {
        const time = instant(value);
        const forms = [
          value,
          time,
          time.toString(),
          time.toString({ timeZone: at }),
          time.toZonedDateTimeISO(at),
        ];
        expect(words("timestamp", forms)).toEqual(forms.map(() => value));
        const local = time.toZonedDateTimeISO("UTC").toPlainDateTime();
        expect(words("timestamp_ntz", [value, local, local.toString()])).toEqual([value, value, value]);
      }),
    );
  });

  it("a timestamp is the same from a Date and from its text", () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true }), (date) => {
        const value = BigInt(date.getTime()) * 1000n;
        expect(words("timestamp", [date, date.toISOString()])).toEqual([value, value]);
      }),
    );
  });

  it("a timestamp with nanoseconds is refused, in each form", () => {
    fc.assert(
      fc.property(micros, fc.integer({ min: 1, max: 999 }), (value, nanos) => {
        const time = Temporal.Instant.fromEpochNanoseconds(value * 1000n + BigInt(nanos));
        for (const form of [time, time.toString(), time.toZonedDateTimeISO("UTC")])
          expect(refusal("timestamp", form).message).toContain("found a time with nanoseconds");
      }),
    );
  });

  it("a date that text names is there exactly where the calendar has it", () => {
    const part = (max: number) => fc.integer({ min: 0, max });
    fc.assert(
      fc.property(part(9999), part(13), part(32), (year, month, day) => {
        const pad = (number: number, digits: number) => String(number).padStart(digits, "0");
        const text = `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
        let date: Temporal.PlainDate | undefined;
        try {
          date = Temporal.PlainDate.from({ year, month, day }, { overflow: "reject" });
        } catch {
          expect(refusal("date", text).message).toContain("found a date that does not exist");
          return;
        }
        expect(stored("date", [text, date])).toEqual([text, text]);
      }),
      { numRuns: 1000 },
    );
  });

  it("a decimal keeps each digit, and one digit too many is refused", () => {
    const type = fc
      .integer({ min: 1, max: 38 })
      .chain((precision) => fc.tuple(fc.constant(precision), fc.integer({ min: 0, max: precision })));
    const value = type.chain(([precision, scale]) => {
      const limit = 10n ** BigInt(precision);
      return fc.tuple(
        fc.constant(precision),
        fc.constant(scale),
        fc.bigInt({ min: 1n - limit, max: limit - 1n }),
      );
    });
    const textOf = (unscaled: bigint, scale: number) => {
      const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
      const sign = unscaled < 0n ? "-" : "";
      return scale === 0 ? `${sign}${digits}` : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
    };
    fc.assert(
      fc.property(value, ([precision, scale, unscaled]) => {
        const ddl = `decimal(${precision},${scale})`;
        const text = textOf(unscaled, scale);
        expect(stored(ddl, [text])).toEqual([text]);
        const whole = unscaled / 10n ** BigInt(scale);
        expect(stored(ddl, [whole])).toEqual([textOf(whole * 10n ** BigInt(scale), scale)]);
        expect(refusal(ddl, textOf(unscaled * 10n + 1n, scale + 1)).message).toContain(
          "digits after the point",
        );
        const above = 10n ** BigInt(precision);
        for (const outside of [above, -above])
          expect(refusal(ddl, textOf(outside, scale)).message).toContain("too many digits");
      }),
    );
  });

  it("a number is the decimal of its shortest text, or refused", () => {
    fc.assert(
      fc.property(fc.double({ min: -1e15, max: 1e15, noNaN: true }), (number) => {
        const digits = Math.max(0, 1 - Math.floor(Math.log10(Math.abs(number) || 1))) + 17;
        if (digits > 22) return;
        const [shown] = stored(
          "decimal(38,22)",
          [number].filter((n) => Number(n.toFixed(22)) === n),
        );
        if (shown !== undefined) expect(Number(shown)).toBe(number === 0 ? 0 : number);
      }),
    );
  });

  it("an integer is stored as it is where it fits, and refused where it does not", () => {
    const number = fc.oneof(
      fc.double(),
      fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
      fc.maxSafeInteger(),
      fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }),
      fc.bigInt({ min: -200n, max: 200n }),
    );
    const types = [
      ["tinyint", 7n],
      ["smallint", 15n],
      ["int", 31n],
      ["bigint", 63n],
    ] as const;
    fc.assert(
      fc.property(number, (value) => {
        const isWhole = typeof value === "bigint" || Number.isSafeInteger(value);
        for (const [type, bits] of types) {
          const fits = isWhole && BigInt(value) >= -(1n << bits) && BigInt(value) < 1n << bits;
          if (fits) expect(String(stored(type, [value])[0])).toBe(String(BigInt(value)));
          else expect(refusal(type, value).code).toBe("ROW_MISMATCH");
        }
      }),
    );
  });

  it("strings keep every character, alone and among others", () => {
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme", maxLength: 300 }));
    fc.assert(
      fc.property(fc.array(fc.option(text), { maxLength: 20 }), (values) => {
        expect(stored("string", values)).toEqual(values);
        expect(stored("array<string>", [values, values])).toEqual([values, values]);
      }),
    );
  });

  it("an interval comes back as the text of itself", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        const [text] = stored("interval day to second", [value]);
        expect(words("interval day to second", [text])).toEqual([value]);
      }),
    );
  });
});
