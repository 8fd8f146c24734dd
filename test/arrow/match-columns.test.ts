import {
  Dictionary,
  Field,
  Float16,
  Int32,
  LargeUtf8,
  RecordBatch,
  Schema,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { matchColumns } from "../../shared/arrow/match-columns.ts";
import { floatText } from "../../shared/arrow/number-text.ts";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { typeName } from "../../shared/contract/ddl/print.ts";
import type { Row } from "../../shared/contract/stream-reader.ts";

const WHERE = { pipeline: "numbers", partition: 2 };

const match = (source: string, table: string, by: "name" | "position" = "name") =>
  matchColumns(parseDdl(source), parseDdl(table), by, WHERE);

const ddlOf = ({ fields }: Schema) =>
  fields
    .map(({ name, type, nullable }) => `${name} ${typeName(type)}${nullable ? "" : " NOT NULL"}`)
    .join(", ");

/** Returns the rows as the table gets them. */
function stored(source: string, table: string, rows: readonly Row[], by: "name" | "position" = "name") {
  const { schema, apply } = match(source, table, by);
  const batch = apply(recordBatchOf(parseDdl(source), rows), 100);
  expect(ddlOf(batch.schema)).toBe(ddlOf(schema));
  return [...rowsOf(batch)];
}

/** Returns what a value of one type is in a column of another. */
function cast(from: string, to: string, value: unknown): unknown {
  return stored(`v ${from}`, `v ${to}`, [[null], [value]])[1]?.["v"];
}

describe("matchColumns by name", () => {
  it("The schema has the table's order, names and types, and the source's nullability", () => {
    const { schema } = match("p string NOT NULL, ID int NOT NULL", "id bigint, x double, p string");
    expect(ddlOf(schema)).toBe("id bigint NOT NULL, x double, p string NOT NULL");
  });

  it("A column is not null if it is NOT NULL in the table, because its values are checked", () => {
    expect(ddlOf(match("id int", "id int NOT NULL").schema)).toBe("id int NOT NULL");
  });

  it("Names are found without case, and a missing column is null", () => {
    expect(stored("P int, ID bigint", "id bigint, p int, x array<int>", [[1, 10n]])).toEqual([
      { id: 10, p: 1, x: null },
    ]);
  });

  it("An equal name comes first, so that names which differ only in case stay apart", () => {
    expect(stored("A int, a int", "a int, A int", [[1, 2]])).toEqual([{ a: 2, A: 1 }]);
    expect(stored("a int", "a int, A int", [[1]])).toEqual([{ a: 1, A: null }]);
    expect(() => match("Ab int", "ab int, AB int")).toThrow(
      '"Ab" may be each of the table\'s columns "ab" and "AB"',
    );
  });

  it("All problems are named at once, with both lists of columns", () => {
    const problem = () =>
      match("p string, P string, x int, s struct<a:int>", "id bigint NOT NULL, s struct<b:int>, p int");
    expect(problem).toThrow(
      expect.objectContaining({
        code: "COLUMNS_NOT_MATCHED",
        where: WHERE,
        message: [
          'the rows do not fit the table: the rows have "p" and "P", which differ only in case',
          '"id" is missing, and is NOT NULL in the table',
          '"s" is struct<a:int>, which is not safely stored as struct<b:int>',
          '"p" is string, which is not safely stored as int',
          '"x" is not in the table',
        ].join("; "),
        hint: expect.stringContaining("(id bigint NOT NULL, s struct<b:int>, p int)"),
      }),
    );
  });

  it("A record batch that has the schema already is returned itself", () => {
    const ddl = "id bigint NOT NULL, s struct<a:int NOT NULL,b:string>, l array<int>";
    const batch = recordBatchOf(parseDdl(ddl), [[1, { a: 1, b: null }, [1]]]);
    expect(match(ddl, ddl.replace("bigint NOT NULL", "bigint")).apply(batch)).toBe(batch);
    expect(match(ddl, ddl, "position").apply(batch)).toBe(batch);
  });

  it("Columns in another order keep their buffers", () => {
    const batch = recordBatchOf(parseDdl("a int, b string"), [[1, "x"]]);
    const moved = match("a int, b string", "b string, a int").apply(batch);
    expect(moved.data.children[1]?.values.buffer).toBe(batch.data.children[0]?.values.buffer);
  });

  it("A part of a larger record batch is matched alone", () => {
    const rows = Array.from({ length: 20 }, (_, i): Row => [i % 3 === 0 ? null : i, i % 2 === 0]);
    const part = recordBatchOf(parseDdl("a int, b boolean"), rows).slice(9, 12);
    expect([...rowsOf(match("a int, b boolean", "b string, x int, a bigint").apply(part))]).toEqual([
      { b: "false", x: null, a: null },
      { b: "true", x: null, a: 10 },
      { b: "false", x: null, a: 11 },
    ]);
  });
});

describe("matchColumns by position", () => {
  it("Columns get the names of the table", () => {
    expect(stored("a int, b string", "id bigint, p string", [[1, "x"]], "position")).toEqual([
      { id: 1, p: "x" },
    ]);
  });

  it("Another number of columns is refused, with other problems", () => {
    expect(() => match("a string, b int, c int", "id int, p int", "position")).toThrow(
      'the rows have 3 columns, and the table has 2; "id" is string, which is not safely stored as int',
    );
    expect(() => match("a int", "id int, p int", "position")).toThrow("the rows have 1 columns");
  });
});

describe("nulls", () => {
  it.each<readonly [string, string, readonly Row[], string | undefined]>([
    ["v int", "v int NOT NULL", [[1], [null]], "row 102, "],
    ["v int", "v bigint NOT NULL", [[1], [null]], "row 102, "],
    ["v int", "v string NOT NULL", [[1], [null]], "row 102, "],
    ["v void", "v string NOT NULL", [[null]], "row 101, "],
  ])("A null of %s in %s is an error with row and column", (source, table, rows, row) => {
    expect(() => stored(source, table, rows)).toThrow(
      expect.objectContaining({
        code: "ROW_MISMATCH",
        message: `${row}field "v": expected a value (NOT NULL), found null`,
        where: { ...WHERE, row: 100 + rows.length, field: "v" },
      }),
    );
  });

  it("A null in a NOT NULL field of a struct is an error with the field", () => {
    const rows: Row[] = [[null], [{ a: 1 }], [{ a: null }]];
    expect(() => stored("s struct<a:int>", "s struct<a:int NOT NULL>", rows)).toThrow(
      expect.objectContaining({ code: "ROW_MISMATCH", where: { ...WHERE, field: "s.a" } }),
    );
    expect(stored("s struct<a:int>", "s struct<a:int NOT NULL>", rows.slice(0, 2))).toEqual([
      { s: null },
      { s: { a: 1 } },
    ]);
  });

  it("A column without type is null in any type", () => {
    expect(stored("v void", "v int", [[null]])).toEqual([{ v: null }]);
    expect(stored("v void", "v string", [[null]])).toEqual([{ v: null }]);
  });
});

describe("casts", () => {
  const MAX = 2n ** 63n - 1n;

  it.each<readonly [string, string, unknown, unknown]>([
    ["int", "bigint", -5, -5],
    ["bigint", "int", -(2n ** 31n), -(2 ** 31)],
    ["bigint", "tinyint", 127n, 127],
    ["int", "double", 7, 7],
    ["bigint", "double", 2n ** 53n, 2 ** 53],
    ["bigint", "float", 2n ** 24n, 2 ** 24],
    ["double", "int", -3, -3],
    ["double", "bigint", 2 ** 60, "1152921504606846976"],
    ["float", "double", 0.5, 0.5],
    ["double", "float", 0.5, 0.5],
    ["double", "float", Number.NaN, Number.NaN],
    ["double", "float", Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
    ["int", "decimal(5,2)", -3, "-3.00"],
    ["decimal(10,3)", "decimal(5,2)", "-1.250", "-1.25"],
    ["decimal(5,1)", "decimal(38,10)", "1.5", "1.5000000000"],
    ["decimal(38,2)", "bigint", "-9223372036854775808.00", "-9223372036854775808"],
    ["int", "string", -5, "-5"],
    ["bigint", "string", MAX, String(MAX)],
    ["double", "string", 1, "1.0"],
    ["float", "string", Math.fround(0.1), "0.1"],
    ["decimal(5,2)", "string", "1.5", "1.50"],
    ["boolean", "string", false, "false"],
    ["date", "string", "2026-11-28", "2026-11-28"],
    ["timestamp", "string", "2026-11-28T01:02:03.000004Z", "2026-11-28T01:02:03.000004Z"],
    ["timestamp_ntz", "string", "2026-11-28T01:02:03", "2026-11-28T01:02:03.000"],
    ["binary", "string", Buffer.from("é"), "é"],
    ["string", "varchar(3)", "\u{1f600}bc", "\u{1f600}bc"],
    ["varchar(2)", "varchar(3)", "ab", "ab"],
    ["struct<a:int,b:string>", "struct<b:string,a:bigint>", { a: 1, b: "x" }, { b: "x", a: 1 }],
    ["array<int>", "array<bigint>", [1, null], [1, null]],
  ])("A value of %s is stored as %s without a change: %s", (from, to, value, expected) => {
    expect(cast(from, to, value)).toEqual(expected);
    expect(cast(from, to, null)).toBeNull();
  });

  it.each<readonly [string, string, unknown, string]>([
    ["bigint", "int", 2n ** 31n, "expected int (-2147483648 to 2147483647), found a number outside it"],
    ["int", "tinyint", -129, "expected tinyint (-128 to 127), found a number outside it"],
    ["bigint", "double", 2n ** 53n + 1n, "expected a number that a double can hold"],
    ["int", "float", 2 ** 24 + 1, "expected a number that a 32-bit float can hold"],
    ["double", "float", 0.1, "expected a number that a 32-bit float can hold"],
    ["double", "float", 1e300, "expected a number that a 32-bit float can hold"],
    ["double", "int", 1.5, "expected a whole number, found a number with a fraction"],
    ["double", "int", Number.NaN, "expected a whole number, found NaN"],
    ["double", "int", 2 ** 31, "a number outside it"],
    ["double", "bigint", 2 ** 63, "a number outside it"],
    ["decimal(5,2)", "int", "1.50", "expected a whole number, found a number with a fraction"],
    ["decimal(38,0)", "bigint", "9223372036854775808", "a number outside it"],
    ["decimal(5,2)", "decimal(5,1)", "1.25", "2 digits after the point"],
    ["int", "decimal(3,2)", 10, "a number with too many digits"],
    ["binary", "string", Uint8Array.of(0xff), "expected text in UTF-8, found other bytes"],
    ["string", "varchar(2)", "abc", "varchar(2)"],
    ["int", "varchar(2)", 100, "varchar(2)"],
  ])("A value of %s that %s cannot hold is an error with row and column: %s", (from, to, value, problem) => {
    expect(() => cast(from, to, value)).toThrow(
      expect.objectContaining({
        code: "ROW_MISMATCH",
        message: expect.stringContaining(problem),
        where: { ...WHERE, row: 102, field: "v" },
      }),
    );
  });

  it.each<readonly [string, string]>([
    ["string", "int"],
    ["string", "date"],
    ["string", "boolean"],
    ["boolean", "int"],
    ["int", "boolean"],
    ["int", "date"],
    ["int", "binary"],
    ["double", "decimal(10,2)"],
    ["decimal(10,2)", "double"],
    ["date", "timestamp"],
    ["timestamp", "date"],
    ["timestamp", "timestamp_ntz"],
    ["array<int>", "string"],
    ["array<bigint>", "array<int>"],
    ["struct<a:int,b:int>", "struct<a:int>"],
    ["struct<a:int>", "struct<a:int,b:int>"],
    ["array<struct<a:int,b:int>>", "array<struct<a:int>>"],
    ["map<string,struct<a:int,b:int>>", "map<string,struct<a:int>>"],
  ])("The type %s is not stored as %s", (from, to) => {
    expect(() => match(`v ${from}`, `v ${to}`)).toThrow(
      expect.objectContaining({
        code: "COLUMNS_NOT_MATCHED",
        message: `the rows do not fit the table: "v" is ${from}, which is not safely stored as ${to}`,
      }),
    );
  });

  it("Other encodings of a type are stored as that type", () => {
    const dictionary = new Dictionary(new Utf8(), new Int32());
    for (const type of [dictionary, new LargeUtf8()]) {
      const column = vectorFromArray(["a", null, "b"], type).data[0];
      const source = new Schema([new Field("v", type, true)]);
      const batch = new RecordBatch({ v: column as never });
      const { apply } = matchColumns(source, parseDdl("v string"), "name", WHERE);
      expect([...rowsOf(apply(batch))]).toEqual([{ v: "a" }, { v: null }, { v: "b" }]);
    }
    const half = new Schema([new Field("v", new Float16(), true)]);
    const batch = new RecordBatch({ v: vectorFromArray([1.5, 2], new Float16()).data[0] as never });
    const numbers = matchColumns(half, parseDdl("v double"), "name", WHERE).apply(batch);
    expect([...rowsOf(numbers)]).toEqual([{ v: 1.5 }, { v: 2 }]);
  });
});

describe("floatText", () => {
  it.each<readonly [number, string]>([
    [0, "0.0"],
    [-0, "-0.0"],
    [1, "1.0"],
    [-1.5, "-1.5"],
    [100, "100.0"],
    [1234567, "1234567.0"],
    [9999999.5, "9999999.5"],
    [1e7, "1.0E7"],
    [12345678, "1.2345678E7"],
    [0.001, "0.001"],
    [0.00123, "0.00123"],
    [0.0001, "1.0E-4"],
    [1.7976931348623157e308, "1.7976931348623157E308"],
    [Number.NaN, "NaN"],
    [Number.NEGATIVE_INFINITY, "-Infinity"],
  ])("The double %d is the text %s", (value, text) => {
    expect(floatText(value, false)).toBe(text);
  });

  it("A 32-bit float has as many digits as it needs", () => {
    for (const text of ["0.1", "3.4028235E38", "1.6777216E7", "0.33333334", "-2.5"])
      expect(floatText(Math.fround(Number(text)), true)).toBe(text);
  });
});
