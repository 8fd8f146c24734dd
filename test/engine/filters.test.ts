import { RecordBatch, type Schema } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import {
  EqualNullSafe,
  EqualTo,
  type Filter,
  GreaterThan,
  GreaterThanOrEqual,
  In,
  IsNotNull,
  IsNull,
  LessThan,
  LessThanOrEqual,
  Not,
  StringContains,
  StringEndsWith,
  StringStartsWith,
} from "../../shared/contract/filters.ts";
import type { Row, RowSource } from "../../shared/contract/stream-reader.ts";
import { checkFilters, filterRows } from "../../shared/engine/filters.ts";

async function batchesOf(
  schema: Schema,
  rows: RowSource,
  filters: readonly Filter[],
): Promise<RecordBatch[]> {
  return await Array.fromAsync(filterRows(schema, rows, filters, { pipeline: "numbers" }));
}

/** Returns the rows that pass the filters, as JSON. */
async function left(ddl: string, rows: RowSource, ...filters: Filter[]): Promise<Record<string, unknown>[]> {
  return (await batchesOf(parseDdl(ddl), rows, filters)).flatMap((batch) => [...rowsOf(batch)]);
}

/** Returns the indexes of the values in a column `v` that pass the filters. */
async function indexesOf(type: string, values: readonly unknown[], ...filters: Filter[]): Promise<number[]> {
  const rows = await left(
    `i int, v ${type}`,
    values.map((value, i): Row => [i, value]),
    ...filters,
  );
  return rows.map((row) => Number(row["i"]));
}

const range = (from: number, to: number) =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

/** Values of each type in ascending order. Each test adds a null at the end. */
const ORDERED: readonly (readonly [type: string, values: readonly unknown[]])[] = [
  ["tinyint", [-128, -1, 0, 127]],
  ["smallint", [-32768, 0, 5, 32767]],
  ["int", [-(2 ** 31), -1, 0, 7, 2 ** 31 - 1]],
  [
    "bigint",
    [-(2n ** 63n), -(2n ** 53n) - 1n, -(2n ** 53n), 0, 5, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n],
  ],
  ["float", [Number.NEGATIVE_INFINITY, -1.5, 0, 0.5, 1e30, Number.POSITIVE_INFINITY, Number.NaN]],
  [
    "double",
    [Number.NEGATIVE_INFINITY, -1e300, -1.5, 0, 5e-324, 0.1, 1e300, Number.POSITIVE_INFINITY, Number.NaN],
  ],
  ["decimal(10,2)", ["-99999999.99", "-10.00", "-9.99", "-0.01", "0", "0.01", "9.99", "10", "99999999.99"]],
  [
    "decimal(38,0)",
    [`-${"9".repeat(38)}`, "-18446744073709551616", "-1", "0", "18446744073709551616", "9".repeat(38)],
  ],
  ["boolean", [false, true]],
  ["date", ["0001-01-01", "1969-12-31", "1970-01-01", "1970-01-02", "2026-11-21", "9999-12-31"]],
  [
    "timestamp",
    [
      "0001-01-01T00:00:00Z",
      "1969-12-31T23:59:58.000001Z",
      "1969-12-31T23:59:59Z",
      "1969-12-31T23:59:59.999Z",
      "1969-12-31T23:59:59.999999Z",
      "1970-01-01T00:00:00Z",
      "2026-11-21T03:04:05Z",
      "2026-11-21T03:04:05.000001Z",
      "2026-11-21T03:04:05.5Z",
      "2026-11-21T03:04:05.500001Z",
      "2026-11-21T03:04:06Z",
      "9999-12-31T23:59:59.999999Z",
    ],
  ],
  [
    "timestamp_ntz",
    ["1969-12-31T23:59:59.999", "1970-01-01T00:00:00", "1970-01-01T00:00:00.000001", "2026-11-21T03:04:05"],
  ],
  // Spark orders strings by their UTF-8 bytes, so a character beyond the first 65,536 comes last.
  // In the order of UTF-16 units it would come earlier.
  [
    "string",
    [
      "",
      "\u0000",
      "A",
      "Z",
      "a",
      "a\u0000",
      "aa",
      "ab",
      "b",
      "é",
      "ÿ",
      "一",
      "\uffee",
      "\u{1f600}",
      "\u{10ffff}",
    ],
  ],
  ["binary", [[], [0], [0, 255], [1], [127], [128], [255], [255, 0]].map((bytes) => Uint8Array.from(bytes))],
];

describe.each(ORDERED)("a column of type %s", (type, ordered) => {
  const values = [...ordered, null];
  const none = ordered.length;

  it("A column is compared in the order of its values, and comparisons with null are unknown", async () => {
    for (const [i, value] of ordered.entries()) {
      const indexes = async (filter: Filter) => await indexesOf(type, values, filter);
      expect(await indexes(new EqualTo("v", value)), `= ${i}`).toEqual([i]);
      expect(await indexes(new EqualNullSafe("v", value)), `<=> ${i}`).toEqual([i]);
      expect(await indexes(new GreaterThan("v", value)), `> ${i}`).toEqual(range(i + 1, none));
      expect(await indexes(new GreaterThanOrEqual("v", value)), `>= ${i}`).toEqual(range(i, none));
      expect(await indexes(new LessThan("v", value)), `< ${i}`).toEqual(range(0, i));
      expect(await indexes(new LessThanOrEqual("v", value)), `<= ${i}`).toEqual(range(0, i + 1));
      expect(await indexes(new In("v", [value, ordered[0]])), `in ${i}`).toEqual(i === 0 ? [0] : [0, i]);
      const others = range(0, none).filter((other) => other !== i);
      expect(await indexes(new Not(new EqualTo("v", value))), `not = ${i}`).toEqual(others);
      expect(await indexes(new Not(new In("v", [value]))), `not in ${i}`).toEqual(others);
      expect(await indexes(new Not(new EqualNullSafe("v", value))), `not <=> ${i}`).toEqual([
        ...others,
        none,
      ]);
      expect(await indexes(new Not(new LessThan("v", value))), `not < ${i}`).toEqual(range(i, none));
    }
  });

  it("A column can be tested for null, and null equals null only in EqualNullSafe", async () => {
    const indexes = async (filter: Filter) => await indexesOf(type, values, filter);
    expect(await indexes(new IsNull("v"))).toEqual([none]);
    expect(await indexes(new IsNotNull("v"))).toEqual(range(0, none));
    expect(await indexes(new Not(new IsNull("v")))).toEqual(range(0, none));
    expect(await indexes(new EqualNullSafe("v", null))).toEqual([none]);
    expect(await indexes(new Not(new EqualNullSafe("v", null)))).toEqual(range(0, none));
    for (const Comparison of [EqualTo, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual]) {
      expect(await indexes(new Comparison("v", null))).toEqual([]);
      expect(await indexes(new Not(new Comparison("v", null)))).toEqual([]);
    }
  });

  it("A filter leaves rows as they are, whatever they hold", async () => {
    const schema = parseDdl(`i int, v ${type}`);
    const rows = values.map((value, i): Row => [i, value]);
    const all = [...rowsOf(recordBatchOf(schema, rows))];
    const some = await left(`i int, v ${type}`, rows, new In("i", [0, none]));
    expect(some).toEqual([all[0], all[none]]);
    expect(await left(`i int, v ${type}`, [recordBatchOf(schema, rows)], new In("i", [0, none]))).toEqual(
      some,
    );
  });
});

describe("numbers", () => {
  it("Numbers have one zero and one NaN, and NaN is the greatest, as in Spark", async () => {
    for (const type of ["float", "double"]) {
      const values = [0, -0, Number.NaN, Number.POSITIVE_INFINITY, null];
      const indexes = async (filter: Filter) => await indexesOf(type, values, filter);
      for (const zero of [0, -0]) {
        expect(await indexes(new EqualTo("v", zero))).toEqual([0, 1]);
        expect(await indexes(new In("v", [zero]))).toEqual([0, 1]);
        expect(await indexes(new LessThan("v", zero))).toEqual([]);
        expect(await indexes(new GreaterThanOrEqual("v", zero))).toEqual([0, 1, 2, 3]);
      }
      expect(await indexes(new In("v", [Number.NaN]))).toEqual([2]);
      expect(await indexes(new GreaterThan("v", Number.POSITIVE_INFINITY))).toEqual([2]);
      expect(await indexes(new LessThan("v", Number.NaN))).toEqual([0, 1, 3]);
      expect(await indexes(new LessThanOrEqual("v", Number.NaN))).toEqual([0, 1, 2, 3]);
    }
  });

  it("Numbers in filters may be numbers, whole bigints, or text for decimals", async () => {
    expect(await indexesOf("bigint", [1, 2n, 3n], new In("v", [2, 3n]))).toEqual([1, 2]);
    expect(await indexesOf("int", [1, 2], new EqualTo("v", 2n))).toEqual([1]);
    expect(await indexesOf("decimal(5,2)", ["1", "2.50"], new In("v", ["2.5", 1]))).toEqual([0, 1]);
  });
});

describe("strings", () => {
  const words = ["", "Straße", "straße", "ße", "\u{1f600}!", null];
  const indexes = async (filter: Filter) => await indexesOf("string", words, filter);

  it("Filters on strings compare characters", async () => {
    expect(await indexes(new StringStartsWith("v", "Str"))).toEqual([1]);
    expect(await indexes(new StringStartsWith("v", "\u{1f600}"))).toEqual([4]);
    expect(await indexes(new StringEndsWith("v", "ße"))).toEqual([1, 2, 3]);
    expect(await indexes(new StringContains("v", "aß"))).toEqual([1, 2]);
    expect(await indexes(new StringContains("v", "Straße and more"))).toEqual([]);
    expect(await indexes(new Not(new StringContains("v", "a")))).toEqual([0, 3, 4]);
  });

  it("All strings begin with, end with and contain the empty string, but a null does not", async () => {
    for (const Kind of [StringStartsWith, StringEndsWith, StringContains]) {
      expect(await indexes(new Kind("v", ""))).toEqual([0, 1, 2, 3, 4]);
      expect(await indexes(new Not(new Kind("v", "")))).toEqual([]);
    }
  });
});

describe("In", () => {
  const indexes = async (filter: Filter) => await indexesOf("int", [1, 2, null], filter);

  it("In is unknown if its list has a null, except for values in the list", async () => {
    expect(await indexes(new In("v", [1, null]))).toEqual([0]);
    expect(await indexes(new Not(new In("v", [1, null])))).toEqual([]);
    expect(await indexes(new In("v", [null]))).toEqual([]);
  });

  it("In is false for an empty list, also for a null", async () => {
    expect(await indexes(new In("v", []))).toEqual([]);
    expect(await indexes(new Not(new In("v", [])))).toEqual([0, 1, 2]);
  });
});

describe("Not", () => {
  it("Not of Not is the filter itself, and an unknown result stays unknown", async () => {
    const indexes = async (filter: Filter) => await indexesOf("int", [1, 2, null], filter);
    expect(await indexes(new Not(new Not(new GreaterThan("v", 1))))).toEqual([1]);
    expect(await indexes(new Not(new Not(new Not(new GreaterThan("v", 1)))))).toEqual([0]);
  });
});

describe("a field of a struct", () => {
  const ddl = "i int, place struct<x:double,at:struct<name:string>>";
  const rows: Row[] = [
    [0, { x: 1, at: { name: "a" } }],
    [1, { x: null, at: { name: null } }],
    [2, { x: 2, at: null }],
    [3, null],
  ];
  const indexes = async (filter: Filter) => (await left(ddl, rows, filter)).map((row) => row["i"]);

  it("A field of a struct is named by its path, and is null if it or its struct is", async () => {
    expect(await indexes(new GreaterThan(["place", "x"], 1))).toEqual([2]);
    expect(await indexes(new IsNull(["place", "x"]))).toEqual([1, 3]);
    expect(await indexes(new IsNull(["place", "at", "name"]))).toEqual([1, 2, 3]);
    expect(await indexes(new EqualNullSafe(["place", "at", "name"], null))).toEqual([1, 2, 3]);
    expect(await indexes(new Not(new EqualTo(["place", "at", "name"], "b")))).toEqual([0]);
  });

  it("A field of a struct, list or map type can only be tested for null", async () => {
    expect(await indexes(new IsNotNull("place"))).toEqual([0, 1, 2]);
    expect(await indexes(new IsNull(["place", "at"]))).toEqual([2, 3]);
    const lists: Row[] = [
      [[], new Map()],
      [null, null],
    ];
    expect(await left("l array<int>, m map<string,int>", lists, new IsNull("l"), new IsNull("m"))).toEqual([
      { l: null, m: null },
    ]);
  });
});

describe("rows that are filtered", () => {
  it("Rows that are filtered must pass all filters", async () => {
    expect(await indexesOf("int", [1, 2, 3, 4], new GreaterThan("v", 1), new LessThan("v", 4))).toEqual([
      1, 2,
    ]);
  });

  it("Rows that are filtered keep nested values and those that JSON would change", async () => {
    const ddl = "i int, l array<struct<n:bigint>>, m map<int,binary>, t timestamp, flag boolean";
    const rows: Row[] = range(0, 20).map((i) => ({
      i,
      l: [{ n: 2n ** 60n + BigInt(i) }, null],
      m: new Map([[i, Uint8Array.of(i)]]),
      t: 1_000_001n * BigInt(i),
      flag: i % 3 === 0,
    }));
    const all = [...rowsOf(recordBatchOf(parseDdl(ddl), rows))];
    expect(await left(ddl, rows, new GreaterThan("i", 12))).toEqual(all.slice(13));
    expect(await left(ddl, rows, new EqualTo("flag", true))).toEqual(
      all.filter((row) => row["flag"] === true),
    );
  });

  it("Rows that are filtered come as record batches: whole if all rows pass, none if none does", async () => {
    const schema = parseDdl("v int");
    const batches = [[1], [5, 6], [2, 7]].map((values) =>
      recordBatchOf(
        schema,
        values.map((v) => [v]),
      ),
    );
    const kept = await batchesOf(schema, batches, [new GreaterThan("v", 4)]);
    expect(kept.map((batch) => [...rowsOf(batch)].map((row) => row["v"]))).toEqual([[5, 6], [7]]);
    expect(kept.every((batch) => batch instanceof RecordBatch)).toBe(true);
  });

  it("Rows that are filtered may be parts of larger record batches", async () => {
    const schema = parseDdl("v int, s string, b boolean");
    const whole = recordBatchOf(
      schema,
      range(0, 40).map((v) => [v % 7 === 0 ? null : v, `s${v}`, v % 2 === 0]),
    );
    const part = await batchesOf(
      schema,
      [whole.slice(9, 31)],
      [new StringEndsWith("s", "3"), new IsNotNull("v")],
    );
    expect(part.flatMap((batch) => [...rowsOf(batch)])).toEqual([
      { v: 13, s: "s13", b: false },
      { v: 23, s: "s23", b: false },
    ]);
    const odd = await batchesOf(schema, [whole.slice(9, 31)], [new EqualTo("b", false), new IsNull("v")]);
    expect(odd.flatMap((batch) => [...rowsOf(batch)])).toEqual([{ v: null, s: "s21", b: false }]);
  });

  it("Rows that are filtered are checked as others, with the row's number before the filter", async () => {
    await expect(left("v int", [[1], [2], ["three"]], new EqualTo("v", 2))).rejects.toMatchObject({
      code: "ROW_MISMATCH",
      where: { pipeline: "numbers", row: 3, field: "v" },
    });
  });
});

describe("an invalid filter", () => {
  const schema = parseDdl(
    "userId bigint, name string, place struct<x:double,tags:array<string>>, raw binary",
  );
  const problemOf = (filter: Filter) => {
    try {
      checkFilters(schema, [new IsNotNull("name"), filter]);
      return "it can be";
    } catch (error) {
      expect(error).toMatchObject({
        code: "FILTER_INVALID",
        hint: expect.stringContaining('["place", "x"]'),
      });
      return (error as Error).message;
    }
  };

  it.each<readonly [Filter, string]>([
    [
      new EqualTo("userid", 1),
      'EqualTo names the column "userid", which is not there (did you mean userId?)',
    ],
    [
      new Not(new GreaterThan("age", 1)),
      'GreaterThan names the column "age", which is not there (there are name, place, raw, userId)',
    ],
    [new IsNull(["place", "y"]), 'IsNull names the column "place.y", which is not there (there are tags, x)'],
    [new IsNull("place.x"), 'IsNull names the column "place.x", which is not there (did you mean place?)'],
    [new IsNull(["name", "first"]), 'IsNull names the column "name.first", which is not there'],
    [new IsNull([]), "IsNull names no column"],
    [
      new EqualTo("place", {}),
      'EqualTo cannot compare "place", which is struct<x:double,tags:array<string>>',
    ],
    [new In(["place", "tags"], []), 'In cannot compare "place.tags", which is array<string>'],
    [new StringContains("userId", "1"), 'StringContains looks into "userId", which is no string but bigint'],
    [new StringStartsWith("raw", "1"), 'StringStartsWith looks into "raw", which is no string but binary'],
  ])("The filter %o is refused with the reason: %s", (filter, problem) => {
    expect(problemOf(filter)).toBe(problem);
  });

  it.each<readonly [Filter, RegExp]>([
    [new EqualTo("userId", "secret"), /^EqualTo compares with a value that does not fit: .*"userId".*bigint/],
    [new In("userId", [1, 1.5]), /^In compares with a value that does not fit: /],
    [new LessThan("name", undefined), /^LessThan compares with a value that does not fit: /],
    [
      new StringEndsWith("name", 5 as unknown as string),
      /^StringEndsWith compares with a value that does not fit: /,
    ],
    [new EqualTo("raw", "AQID"), /^EqualTo compares with a value that does not fit: /],
  ])("The error of the filter %o names the type of the value and hides the value", (filter, problem) => {
    expect(problemOf(filter)).toMatch(problem);
    expect(problemOf(filter)).not.toContain("secret");
  });
});
