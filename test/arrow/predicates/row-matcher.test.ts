import { Dictionary, Field, Int32, RecordBatch, Schema, Utf8, vectorFromArray } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { matcherOf, type RowMatcher } from "../../../shared/arrow/predicates/row-matcher.ts";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import {
  ALWAYS_FALSE,
  ALWAYS_TRUE,
  type Expression,
  literal,
  type Predicate,
  type PredicateName,
  predicate,
  reference,
  scalar,
} from "../../../shared/contract/write/predicates.ts";

const NULL = literal(null);
const column = reference;

/** Returns the result of a predicate on the only row of a table, asked in both ways. */
function resultOf(ddl: string, row: readonly unknown[], ...predicates: Predicate[]): boolean | null {
  const schema = parseDdl(ddl);
  const matcher = matcherOf(schema, predicates);
  const result = matcher.holds(row);
  // The row is not the first one of its record batch, and the record batch is part of a larger one.
  const batch = recordBatchOf(schema, [row, row, row]).slice(1, 3);
  expect(matcher.on(batch)(1)).toBe(result);
  expect(matcher.split(batch).matching).toEqual(result === true ? [0, 1] : []);
  expect(matcher.split(batch).others).toEqual(result === true ? [] : [0, 1]);
  return result;
}

const asPredicate = (value: boolean | null): Predicate =>
  value === null ? predicate("=", column("a"), NULL) : value ? ALWAYS_TRUE : ALWAYS_FALSE;

describe("three-valued logic", () => {
  const logic = (name: "AND" | "OR" | "NOT", ...values: (boolean | null)[]) =>
    resultOf("a int", [1], predicate(name, ...values.map(asPredicate)));

  it.each<readonly [boolean | null, boolean | null, boolean | null, boolean | null]>([
    [true, true, true, true],
    [true, false, false, true],
    [true, null, null, true],
    [false, true, false, true],
    [false, false, false, false],
    [false, null, false, null],
    [null, true, null, true],
    [null, false, false, null],
    [null, null, null, null],
  ])("Of %s and %s, AND is %s and OR is %s", (a, b, and, or) => {
    expect(logic("AND", a, b)).toBe(and);
    expect(logic("OR", a, b)).toBe(or);
    expect(resultOf("a int", [1], asPredicate(a), asPredicate(b))).toBe(and);
  });

  it("NOT of unknown is unknown", () => {
    expect([true, false, null].map((value) => logic("NOT", value))).toEqual([false, true, null]);
  });

  it("A row matches no predicates at all, as it does in Spark", () => {
    expect(resultOf("a int", [1])).toBe(true);
  });
});

describe("comparisons", () => {
  const NAMES: readonly PredicateName[] = ["=", "<>", "<=>", "<", "<=", ">", ">="];
  const compared = (ddl: string, row: readonly unknown[], a: Expression, b: Expression) =>
    NAMES.map((name) => resultOf(ddl, row, predicate(name, a, b)));

  const EQUAL = [true, false, true, false, true, false, true];
  const LESS = [false, true, false, true, true, false, false];
  const GREATER = [false, true, false, false, false, true, true];
  const ONE_NULL = [null, null, false, null, null, null, null];
  const BOTH_NULL = [null, null, true, null, null, null, null];

  it.each<readonly [string, unknown, unknown, readonly (boolean | null)[]]>([
    ["a int, b int", 1, 1, EQUAL],
    ["a int, b bigint", 7, 7n, EQUAL],
    ["a bigint, b tinyint", -(2n ** 63n), -128, LESS],
    ["a bigint, b bigint", 2n ** 53n + 1n, 2n ** 53n, GREATER],
    ["a int, b double", 1, 1.5, LESS],
    ["a double, b double", Number.NaN, Number.NaN, EQUAL],
    ["a double, b float", Number.NaN, Number.POSITIVE_INFINITY, GREATER],
    ["a double, b double", 0, -0, EQUAL],
    ["a decimal(10,2), b decimal(10,3)", "1.10", "1.101", LESS],
    ["a decimal(38,0), b bigint", "9223372036854775808", 2n ** 63n - 1n, GREATER],
    ["a decimal(5,1), b int", "2.0", 2, EQUAL],
    ["a string, b string", "\u{1f600}", "\uffee", GREATER],
    ["a binary, b binary", Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0), LESS],
    ["a boolean, b boolean", false, true, LESS],
    ["a date, b date", "2026-11-28", "2026-11-27", GREATER],
    ["a timestamp, b timestamp", "2026-11-28T00:00:00.000001Z", "2026-11-28T00:00:00.000002Z", LESS],
    ["a int, b int", null, 1, ONE_NULL],
    ["a int, b bigint", 1, null, ONE_NULL],
    ["a int, b double", null, null, BOTH_NULL],
  ])("The columns %s of the values %s and %s are compared in their common type", (ddl, a, b, expected) => {
    expect(compared(ddl, [a, b], column("a"), column("b"))).toEqual(expected);
  });

  it("A literal is compared in the type of the column, on both sides", () => {
    expect(compared("a decimal(5,2)", ["1.50"], column("a"), literal("1.5"))).toEqual(EQUAL);
    expect(compared("a date", ["2026-11-28"], literal("2026-11-27"), column("a"))).toEqual(LESS);
    expect(compared("a int", [null], column("a"), literal(3))).toEqual(ONE_NULL);
    expect(compared("a int", [3], column("a"), NULL)).toEqual(ONE_NULL);
    expect(compared("a int", [null], column("a"), NULL)).toEqual(BOTH_NULL);
  });

  it("Literals are compared with each other if they are of one kind", () => {
    expect(compared("a int", [0], literal(1), literal(2n))).toEqual(LESS);
    expect(compared("a int", [0], literal(2.5), literal(2))).toEqual(GREATER);
    expect(compared("a int", [0], literal("a"), literal("a"))).toEqual(EQUAL);
    expect(compared("a int", [0], literal(true), literal(true))).toEqual(EQUAL);
    expect(compared("a int", [0], literal(Uint8Array.of(1)), literal(Uint8Array.of(2)))).toEqual(LESS);
    expect(compared("a int", [0], NULL, NULL)).toEqual(BOTH_NULL);
    expect(() => compared("a int", [0], literal("1"), literal(1))).toThrow(
      "= compares literals whose type is not known: a string of 1 character and an integer",
    );
  });

  it("A column of nulls is compared like a null", () => {
    expect(compared("a void, b int", [null, 1], column("a"), column("b"))).toEqual(ONE_NULL);
  });
});

describe("IN", () => {
  const isIn = (a: unknown, ...list: Expression[]) =>
    resultOf("a int, b int", [a, 5], predicate("IN", column("a"), ...list));

  it("IN is unknown for a null, or if it finds no equal value and one of the list is null", () => {
    expect(isIn(1, literal(1), literal(2))).toBe(true);
    expect(isIn(3, literal(1), literal(2))).toBe(false);
    expect(isIn(null, literal(1))).toBe(null);
    expect(isIn(1, literal(1), NULL)).toBe(true);
    expect(isIn(3, literal(1), NULL)).toBe(null);
    expect(isIn(3)).toBe(false);
    expect(isIn(null)).toBe(false);
  });

  it("IN takes columns in its list, and a literal as its value", () => {
    expect(isIn(5, literal(1), column("b"))).toBe(true);
    expect(isIn(6, literal(1), column("b"))).toBe(false);
    expect(isIn(6, NULL, column("b"))).toBe(null);
    expect(resultOf("a int, b int", [3, 4], predicate("IN", literal(4), column("a"), column("b")))).toBe(
      true,
    );
  });
});

describe("tests of null and of text", () => {
  it("IS_NULL and IS_NOT_NULL are never unknown", () => {
    for (const [a, isNull] of [
      [1, false],
      [null, true],
    ] as const) {
      expect(resultOf("a int", [a], predicate("IS_NULL", column("a")))).toBe(isNull);
      expect(resultOf("a int", [a], predicate("IS_NOT_NULL", column("a")))).toBe(!isNull);
    }
    expect(resultOf("a int", [1], predicate("IS_NULL", NULL))).toBe(true);
    expect(resultOf("a int", [1], predicate("IS_NULL", predicate("=", column("a"), NULL)))).toBe(true);
  });

  it("Text is searched by its bytes, also for the text of another column", () => {
    const searched = (name: PredicateName, a: unknown, b: unknown) =>
      resultOf("a string, b string", [a, b], predicate(name, column("a"), column("b")));
    expect(searched("STARTS_WITH", "straße", "stra")).toBe(true);
    expect(searched("STARTS_WITH", "straße", "traß")).toBe(false);
    expect(searched("ENDS_WITH", "straße", "ße")).toBe(true);
    expect(searched("ENDS_WITH", "e", "ße")).toBe(false);
    expect(searched("CONTAINS", "straße", "aß")).toBe(true);
    expect(searched("CONTAINS", "straße", "")).toBe(true);
    expect(searched("CONTAINS", null, "a")).toBe(null);
    expect(searched("CONTAINS", "a", null)).toBe(null);
  });
});

describe("scalar expressions", () => {
  const equals = (ddl: string, row: readonly unknown[], given: Expression, value: unknown) =>
    resultOf(ddl, row, predicate("=", given, literal(value)));
  const [a, b] = [column("a"), column("b")];

  it.each<readonly [string, readonly unknown[], Expression, unknown]>([
    ["a int, b int", [2, 3], scalar("+", a, b), 5],
    ["a int, b int", [2, 3], scalar("-", a, b), -1],
    ["a int, b int", [2, 3], scalar("*", a, scalar("+", b, literal(1))), 8],
    ["a int, b bigint", [2 ** 31 - 1, 2n ** 53n + 1n], scalar("+", a, b), 2n ** 53n + 2n ** 31n],
    ["a bigint", [2n ** 63n - 1n], scalar("-", scalar("+", a, literal(1)), literal(1)), 2n ** 63n - 1n],
    ["a double, b int", [0.5, 1], scalar("+", a, b), 1.5],
    ["a float", [0.5], scalar("*", a, literal(3)), 1.5],
    ["a decimal(5,2), b decimal(5,1)", ["1.25", "0.5"], scalar("*", a, b), "0.625"],
    ["a decimal(5,2), b int", ["1.25", 2], scalar("+", a, b), "3.25"],
    ["a int", [5], scalar("-", a), -5],
    ["a double", [5.5], scalar("-", a), -5.5],
    ["a decimal(5,2)", ["5.5"], scalar("-", a), "-5.50"],
    ["a int, b int", [null, 3], scalar("COALESCE", a, b, literal(9)), 3],
    ["a int, b int", [null, null], scalar("COALESCE", a, b, literal(9)), 9],
    ["a int, b int", [1, 3], scalar("CASE_WHEN", predicate("=", a, literal(1)), b, literal(0)), 3],
    ["a int, b int", [2, 3], scalar("CASE_WHEN", predicate("=", a, literal(1)), b, literal(0)), 0],
    ["a int, b int", [null, 3], scalar("CASE_WHEN", predicate("=", a, literal(1)), b, literal(0)), 0],
  ])("A value is computed from a row of the table %s (case %#)", (ddl, row, given, value) => {
    expect(equals(ddl, row, given, value)).toBe(true);
  });

  it("A computed value is null if an argument is null, or if no case applies", () => {
    expect(equals("a int, b int", [null, 3], scalar("+", a, b), 3)).toBe(null);
    expect(equals("a int", [2], scalar("CASE_WHEN", predicate("=", a, literal(1)), a), 2)).toBe(null);
    expect(equals("a int, b int", [null, null], scalar("COALESCE", a, b), 2)).toBe(null);
  });

  it("A predicate is a value too", () => {
    expect(equals("a int", [2], predicate(">", a, literal(1)), true)).toBe(true);
    expect(equals("a int", [null], predicate(">", a, literal(1)), true)).toBe(null);
  });
});

describe("columns", () => {
  it("A null struct has null fields, at each depth", () => {
    const ddl = "place struct<x:int,at:struct<name:string>>";
    const isNull = (...path: string[]) => predicate("IS_NULL", reference(path));
    const row = [{ x: null, at: { name: "a" } }];
    expect(resultOf(ddl, row, isNull("place", "x"))).toBe(true);
    expect(resultOf(ddl, row, isNull("place", "at", "name"))).toBe(false);
    expect(resultOf(ddl, [{ x: 1, at: null }], isNull("place", "at", "name"))).toBe(true);
    expect(resultOf(ddl, [null], isNull("place", "at", "name"), isNull("place", "x"))).toBe(true);
  });

  it("A column with a dictionary is compared by its values", () => {
    const type = new Dictionary(new Utf8(), new Int32());
    const schema = new Schema([new Field("word", type, true)]);
    const vector = vectorFromArray(["b", null, "a", "b"], type);
    const batch = new RecordBatch({ word: vector.data[0] as (typeof vector.data)[0] });
    const matching = (...predicates: Predicate[]) => matcherOf(schema, predicates).split(batch).matching;
    expect(matching(predicate("=", column("word"), literal("b")))).toEqual([0, 3]);
    expect(matching(predicate("<", column("word"), literal("b")))).toEqual([2]);
    expect(matching(predicate("IS_NULL", column("word")))).toEqual([1]);
  });

  it.each<readonly [string, Predicate]>([
    [
      '= names the column "c", which is not there (there are a, b, s)',
      predicate("=", column("c"), literal(1)),
    ],
    ['+ names the column "c"', predicate("=", scalar("+", column("c"), column("a")), literal(1))],
    [
      '= cannot compare "a", which is int, with "b", which is string',
      predicate("=", column("a"), column("b")),
    ],
    ['= cannot compare "s", which is struct<x:int>', predicate("=", column("s"), column("s"))],
    [
      'IN compares with a value that does not fit: field "a"',
      predicate("IN", column("a"), literal("secret")),
    ],
    ['CONTAINS looks into "a", which is no string but int', predicate("CONTAINS", column("a"), literal("1"))],
    [
      '+ cannot compute with "b", which is string',
      predicate("=", scalar("+", column("b"), column("b")), literal("x")),
    ],
    [
      '= compares with a value that does not fit: field "the computed value"',
      predicate("=", scalar("+", column("a"), literal(1)), literal(1.5)),
    ],
  ])("A predicate that does not fit the columns is refused with the reason: %s", (problem, given) => {
    let matcher: RowMatcher | undefined;
    const compile = () => {
      matcher = matcherOf(parseDdl("a int, b string, s struct<x:int>"), [given]);
    };
    expect(compile).toThrow(
      expect.objectContaining({
        code: "FILTER_INVALID",
        message: expect.stringContaining(problem),
      }),
    );
    expect(compile).not.toThrow("secret");
    expect(matcher).toBeUndefined();
  });
});
