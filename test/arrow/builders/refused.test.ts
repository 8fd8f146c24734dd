import {
  DateMillisecond,
  Decimal,
  DurationMillisecond,
  FixedSizeBinary,
  Float16,
  IntervalYearMonth,
  TimeMicrosecond,
  TimestampSecond,
} from "apache-arrow";
import { Temporal } from "temporal-polyfill";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { bytes, refusal, stored } from "./column.ts";

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

  it.each(cases)("A column of type %s refuses %o", (type, value, problem, found) => {
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
  ])("A column of type %s names the place inside %o in its error", (type, value, field, problem) => {
    expect(refusal(type, value)).toMatchObject({
      code: "ROW_MISMATCH",
      message: `row 2, field "${field}": ${problem}`,
      where: { row: 2, field },
    });
  });

  it("A list column refuses an array with holes instead of shifting the values of the rows after it", () => {
    const holes: unknown[] = [1, 2, 3];
    delete holes[1];
    expect(refusal("array<int>", holes)).toMatchObject({
      code: "ROW_MISMATCH",
      where: { row: 2, field: "v[1]" },
    });
  });

  it.each(["+99:99", "+24:00", "-05:60"])(
    "A timestamp column refuses the zone %s, which does not exist",
    (zone) => {
      expect(refusal("timestamp", `2026-01-01T00:00:00${zone}`).code).toBe("ROW_MISMATCH");
    },
  );

  it("A column never shows the refused value in the message", () => {
    for (const [type, value] of cases) {
      if (typeof value !== "string" || value.length < 6) continue;
      expect(refusal(type, value).message).not.toContain(value);
    }
  });
});

describe("unsupported types", () => {
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
  ])("The type %s is refused before any row is read", (type) => {
    expect(() => stored(type, [])).toThrow(expect.objectContaining({ code: "TYPE_NOT_SUPPORTED" }));
  });

  it("A field __proto__ has its type checked although every JavaScript object seems to have it", () => {
    for (const ddl of ["__proto__ map<string,int>", "v struct<__proto__:map<string,int>>"]) {
      expect(() => recordBatchOf(parseDdl(ddl), [])).toThrow(
        expect.objectContaining({ code: "TYPE_NOT_SUPPORTED" }),
      );
    }
  });
});
