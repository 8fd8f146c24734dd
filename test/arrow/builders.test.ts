import {
  type DataType,
  DateMillisecond,
  Field,
  FixedSizeBinary,
  Float16,
  Int32,
  Map_,
  Schema,
  Struct,
  TimestampSecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { parseDdl } from "../../shared/contract/schema.ts";

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
}
/** What a Temporal object looks like, whoever made it. */
const temporal = (tag: string, text: string): object => ({
  [Symbol.toStringTag]: `Temporal.${tag}`,
  toString: () => text,
});
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
    ["date", [temporal("PlainDate", "2026-11-21")], ["2026-11-21"]],
    ["decimal(5,2)", ["999.99", "-0.01", "+7", ".5", "5."], ["999.99", "-0.01", "7.00", "0.50", "5.00"]],
    ["decimal(5,2)", [1.25, 12n, "1.5000", -0.1], ["1.25", "12.00", "1.50", "-0.10"]],
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
      [
        { x: 1, y: null },
        { y: "b", x: null, z: 0 },
      ],
      [
        { x: 1, y: null },
        { x: null, y: "b" },
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
    ["timestamp", temporal("Instant", "2026-11-21T03:00:00Z"), 1795230000000000n],
    ["timestamp_ntz", "2026-11-21T03:00:00.123456", 1795230000123456n],
    ["timestamp_ntz", "2026-11-21 03:00", 1795230000000000n],
    ["timestamp_ntz", 2n ** 63n - 1n, 2n ** 63n - 1n],
    ["timestamp_ntz", temporal("PlainDateTime", "2026-11-21T03:00:00.5"), 1795230000500000n],
  ])("%s keeps %o to the microsecond", (type, value, micros) => {
    expect(words(type, [value])).toEqual([micros]);
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
    ] as const) {
      const long = Array.from({ length: 25_000 }, (_, i) => (i % 3 === 1 || i === 24_999 ? null : value));
      expect(stored(`array<${type}>`, [long, [], long])).toEqual([long, [], long]);
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
    ["int", "1", "expected int, found a string of 1 characters", '"1"'],
    ["bigint", 2 ** 53, "expected bigint (use a bigint), found a number beyond 2^53", "9007199254740992"],
    ["bigint", 2n ** 63n, "expected bigint (64 bits), found a number outside it", "9223372036854775808n"],
    [
      "bigint",
      -(2n ** 63n) - 1n,
      "expected bigint (64 bits), found a number outside it",
      "-9223372036854775809n",
    ],
    ["bigint", 0.5, "expected bigint, found a number with a fraction", "0.5"],
    ["bigint", "1", "expected bigint, found a string of 1 characters", '"1"'],
    ["float", 3.5e38, "expected float, found a number outside it", "3.5e+38"],
    ["float", "1", "expected float, found a string of 1 characters", '"1"'],
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
    ["date", new Date(Number.NaN), "expected date, found a Date that is not midnight UTC", "null"],
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
    ["timestamp", 2n ** 63n, "expected bigint (64 bits), found a number outside it", "9223372036854775808n"],
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
    ["decimal(5,2)", ".", "expected decimal(5,2), found a string of 1 characters", '"."'],
    ["decimal(5,2)", true, "expected decimal(5,2), found a boolean", "true"],
    ["array<int>", { 0: 1 }, "expected array, found an object", '{"0":1}'],
    ["map<string,int>", [["a", 1]], "expected map (a Map or an object), found an array of 1", '[["a",1]]'],
    ["struct<x:int>", [1], "expected struct (an object), found an array of 1", "[1]"],
    ["struct<x:int>", new Point(), "expected struct (an object), found an instance of Point", '{"x":1}'],
    ["int NOT NULL", null, "expected a value (NOT NULL), found null", "null"],
  ];

  it.each(cases)("%s refuses %o", (type, value, problem, found) => {
    const row = type.endsWith("NOT NULL") ? 1 : 2;
    expect(refusal(type, value)).toMatchObject({
      code: "ROW_MISMATCH",
      message: `row ${row}, field "v": ${problem}`,
      where: { row, field: "v" },
      hint: 'Convert "v" in read(), or change its type in the schema.',
      found,
      retryable: false,
    });
  });

  it.each<[string, unknown, string, string]>([
    ["array<int>", [1, "2"], "v[1]", "expected int, found a string of 1 characters"],
    ["array<int>", [1, undefined], "v[1]", "expected a value or null, found nothing"],
    ["map<string,int>", { a: 1, b: "x" }, "v.value", "expected int, found a string of 1 characters"],
    ["map<string,int>", new Map([[null, 1]]), "v.key", "expected a value (NOT NULL), found null"],
    ["map<int,int>", { 1: 1 }, "v.key", "expected int, found a string of 1 characters"],
    ["struct<x:int,y:int>", { x: 1 }, "v.y", "expected a value or null, found nothing"],
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
  it.each([new DateMillisecond(), new TimestampSecond(), new Float16(), new FixedSizeBinary(4)])(
    "%s is refused before any row",
    (type) => {
      expect(() => stored(type, [])).toThrow(expect.objectContaining({ code: "TYPE_NOT_SUPPORTED" }));
    },
  );
});

it("maps are written also where their Arrow type calls key and value something else", () => {
  const entries = new Struct<{ keys: Utf8; values: Int32 }>([
    new Field("keys", new Utf8(), false),
    new Field("values", new Int32(), true),
  ]);
  const type = new Map_(new Field("entries", entries as never, false));
  expect(stored(type, [{ a: 1 }])).toEqual([{ a: 1 }]);
});
