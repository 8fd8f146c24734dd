import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ColumnStatistics, Coverage } from "../../../shared/arrow/predicates/ranges.ts";
import { filterMatcher, matcherOf } from "../../../shared/arrow/predicates/row-matcher.ts";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { Attribute, Filter, LeafFilter } from "../../../shared/contract/filters.ts";
import { predicatesOf } from "../../../shared/contract/write/convert-filters.ts";
import {
  ALWAYS_FALSE,
  ALWAYS_TRUE,
  literal,
  type Predicate,
  type PredicateName,
  predicate,
  reference,
  scalar,
} from "../../../shared/contract/write/predicates.ts";
import { filters } from "../../contract/write/arbitrary-filters.ts";

/** Returns the coverage of rows with one column `v`. */
function coverage(
  type: string,
  statistics: ColumnStatistics | undefined,
  ...predicates: Predicate[]
): Coverage {
  return matcherOf(parseDdl(`v ${type}, w ${type}`), predicates).coverage({
    rowCount: 10,
    column: ([name]) => (name === "v" ? statistics : undefined),
  });
}

const v = reference("v");
const is = (name: PredicateName, value: unknown) => predicate(name, v, literal(value));

describe("coverage", () => {
  const from3To5 = { min: 3, max: 5, nullCount: 0 };

  it.each<readonly [PredicateName, readonly Coverage[]]>([
    // The literals are 2, 3, 4, 5 and 6.
    ["=", ["none", "some", "some", "some", "none"]],
    ["<>", ["all", "some", "some", "some", "all"]],
    ["<=>", ["none", "some", "some", "some", "none"]],
    ["<", ["none", "none", "some", "some", "all"]],
    ["<=", ["none", "some", "some", "all", "all"]],
    [">", ["all", "some", "some", "none", "none"]],
    [">=", ["all", "all", "some", "some", "none"]],
  ])("Of rows with values from 3 to 5, %s 2, 3, 4, 5 and 6 covers %j", (name, expected) => {
    expect([2, 3, 4, 5, 6].map((value) => coverage("int", from3To5, is(name, value)))).toEqual(expected);
    const mirrored = [2, 3, 4, 5, 6].map((value) =>
      coverage("int", from3To5, predicate("NOT", is(name, value))),
    );
    const opposite = { all: "none", some: "some", none: "all" } as const;
    expect(mirrored).toEqual(expected.map((one) => opposite[one]));
  });

  it.each<readonly [string, ColumnStatistics | undefined, Predicate, Coverage]>([
    ["equal values", { min: 3, max: 3, nullCount: 0 }, is("=", 3), "all"],
    ["equal values and nulls", { min: 3, max: 3, nullCount: 1 }, is("=", 3), "some"],
    ["equal values and perhaps nulls", { min: 3, max: 3 }, is("=", 3), "some"],
    ["other values and perhaps nulls", { min: 3, max: 3 }, is("=", 4), "none"],
    ["other values and nulls, under NOT", { min: 3, max: 3 }, predicate("NOT", is("=", 3)), "none"],
    ["nulls only", { nullCount: 10 }, is("=", 3), "none"],
    ["nulls only", { nullCount: 10 }, predicate("NOT", is("=", 3)), "none"],
    ["nulls only", { nullCount: 10 }, predicate("IS_NULL", v), "all"],
    ["nulls only", { nullCount: 10 }, is("<=>", null), "all"],
    ["nulls only", { nullCount: 10 }, is("<=>", 3), "none"],
    ["no nulls", { nullCount: 0 }, predicate("IS_NULL", v), "none"],
    ["no nulls", { nullCount: 0 }, predicate("IS_NOT_NULL", v), "all"],
    ["no nulls", { nullCount: 0 }, is("<=>", null), "none"],
    ["some nulls", { nullCount: 1 }, predicate("IS_NULL", v), "some"],
    ["no statistics", undefined, predicate("IS_NULL", v), "some"],
    ["no statistics", undefined, is("=", 3), "some"],
    ["no statistics", undefined, is("=", null), "none"],
    ["a minimum only", { min: 3, nullCount: 0 }, is("<", 3), "none"],
    ["a minimum only", { min: 3, nullCount: 0 }, is(">", 3), "some"],
    ["a maximum only", { max: 3, nullCount: 0 }, is("<=", 3), "all"],
    ["a minimum and maximum of null", { min: null, max: null }, is("=", 3), "some"],
    ["a minimum above the maximum", { min: 5, max: 3, nullCount: 0 }, is("=", 9), "some"],
    [
      "values in the list",
      { min: 3, max: 3, nullCount: 0 },
      predicate("IN", v, literal(1), literal(3)),
      "all",
    ],
    ["values beside the list", { min: 4, max: 5 }, predicate("IN", v, literal(3), literal(6)), "none"],
    ["values between the list's", { min: 4, max: 5 }, predicate("IN", v, literal(3), literal(5)), "some"],
    [
      "values beside a list with null",
      { min: 4, max: 5, nullCount: 0 },
      predicate("NOT", predicate("IN", v, literal(3), literal(null))),
      "none",
    ],
    ["values and another column", { min: 4, max: 5 }, predicate("=", v, reference("w")), "some"],
    ["values and the same column", { min: 4, max: 4, nullCount: 0 }, predicate("=", v, v), "all"],
    [
      "computed values",
      { min: 4, max: 5, nullCount: 0 },
      predicate("=", scalar("+", v, v), literal(1)),
      "some",
    ],
    ["anything", undefined, ALWAYS_TRUE, "all"],
    ["anything", undefined, ALWAYS_FALSE, "none"],
    ["anything", undefined, predicate("AND", ALWAYS_FALSE, is("=", 3)), "none"],
    ["anything", undefined, predicate("OR", ALWAYS_TRUE, is("=", 3)), "all"],
  ])("Rows with %s are covered as is certain (case %#)", (_, statistics, given, expected) => {
    expect(coverage("int", statistics, given)).toBe(expected);
  });

  it("Strings with a prefix are neighbours", () => {
    const starts = (part: string, min: string, max: string) =>
      coverage("string", { min, max, nullCount: 0 }, predicate("STARTS_WITH", v, literal(part)));
    expect(starts("b", "ba", "bz")).toBe("all");
    expect(starts("b", "a", "bz")).toBe("some");
    expect(starts("b", "c", "d")).toBe("none");
    expect(starts("b", "a", "az")).toBe("none");
    expect(starts("bb", "b", "c")).toBe("some");
    expect(starts("", "b", "c")).toBe("all");
    const contains = predicate("CONTAINS", v, literal("x"));
    expect(coverage("string", { min: "a", max: "b", nullCount: 0 }, contains)).toBe("some");
    expect(coverage("string", { nullCount: 10 }, contains)).toBe("none");
  });

  it("The maximum is NaN if there is one", () => {
    expect(
      coverage("double", { min: 1, max: Number.NaN, nullCount: 0 }, is(">", Number.POSITIVE_INFINITY)),
    ).toBe("some");
    expect(coverage("double", { min: 1, max: 2, nullCount: 0 }, is("=", Number.NaN))).toBe("none");
  });

  it("None of no rows match, whatever the predicate is", () => {
    const matcher = matcherOf(parseDdl("v int"), [ALWAYS_TRUE]);
    expect(matcher.coverage({ rowCount: 0, column: () => undefined })).toBe("none");
  });

  it("Statistics of a nested field are asked for by its path", () => {
    const asked: Attribute[] = [];
    const matcher = matcherOf(parseDdl("place struct<x:int>"), [
      predicate("=", reference(["place", "x"]), literal(1)),
    ]);
    const column = (attribute: Attribute) => {
      asked.push(attribute);
      return { min: 2, max: 3 };
    };
    expect(matcher.coverage({ rowCount: 1, column })).toBe("none");
    expect(asked).toEqual([["place", "x"]]);
  });

  it("A minimum that the column cannot hold is an error that names the column", () => {
    expect(() => coverage("int", { min: "x" }, is("=", 1))).toThrow(
      expect.objectContaining({ code: "FILTER_INVALID", message: expect.stringContaining('field "v"') }),
    );
  });
});

/** A value of one of the types below. */
type Value = number | bigint | string | boolean;

/** Compares in Spark's order, independently of the evaluator. */
function order(a: Value, b: Value): number {
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (typeof a === "number" && typeof b === "number") {
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Evaluates a filter by SQL's definitions, independently of the evaluator. */
function expected(filter: Filter, row: Readonly<Record<string, Value | null>>): boolean | null {
  switch (filter.kind) {
    case "AlwaysTrue":
      return true;
    case "AlwaysFalse":
      return false;
    case "Not": {
      const child = expected(filter.child, row);
      return child === null ? null : !child;
    }
    case "And":
    case "Or": {
      const strong = filter.kind === "Or";
      const both = [expected(filter.left, row), expected(filter.right, row)];
      return both.includes(strong) ? strong : both.includes(null) ? null : !strong;
    }
    default:
      return expectedLeaf(filter, row[filter.attribute[0] ?? ""] ?? null);
  }
}

function expectedLeaf(filter: LeafFilter, value: Value | null): boolean | null {
  if (filter.kind === "IsNull" || filter.kind === "IsNotNull")
    return (value === null) === (filter.kind === "IsNull");
  if (filter.kind === "In") {
    if (filter.value.length === 0) return false;
    const each = filter.value.map((one) => compared("EqualTo", value, one as Value | null));
    return each.includes(true) ? true : each.includes(null) ? null : false;
  }
  return compared(filter.kind, value, filter.value as Value | null);
}

function compared(kind: string, value: Value | null, wanted: Value | null): boolean | null {
  if (kind === "EqualNullSafe" && (value === null || wanted === null)) return value === wanted;
  if (value === null || wanted === null) return null;
  const sign = order(value, wanted);
  const holds: Readonly<Record<string, boolean>> = {
    EqualTo: sign === 0,
    EqualNullSafe: sign === 0,
    LessThan: sign < 0,
    LessThanOrEqual: sign <= 0,
    GreaterThan: sign > 0,
    GreaterThanOrEqual: sign >= 0,
  };
  return holds[kind] ?? null;
}

/** Returns true statistics of a column, of which some are unknown or only bounds. */
function statisticsOf(values: readonly (Value | null)[], known: Readonly<Record<string, boolean>>) {
  const sorted = values.filter((value) => value !== null).sort(order);
  const [min, max] = [sorted[0], sorted.at(-1)];
  return {
    ...(known["min"] && min !== undefined ? { min } : {}),
    ...(known["max"] && max !== undefined ? { max } : {}),
    ...(known["nullCount"] ? { nullCount: values.length - sorted.length } : {}),
  };
}

const TYPES: readonly (readonly [string, fc.Arbitrary<Value>])[] = [
  ["int", fc.integer({ min: -3, max: 3 })],
  ["bigint", fc.bigInt({ min: 2n ** 53n - 2n, max: 2n ** 53n + 2n })],
  ["double", fc.constantFrom(Number.NEGATIVE_INFINITY, -1, -0, 0, 0.5, Number.POSITIVE_INFINITY, Number.NaN)],
  ["string", fc.constantFrom("", "a", "aa", "b", "é", "\uffee", "\u{1f600}")],
  ["boolean", fc.boolean()],
  ["decimal(10,2)", fc.integer({ min: -3, max: 3 })],
];

describe.each(TYPES)("filters on columns of the type %s", (type, values) => {
  const known = fc.record({ min: fc.boolean(), max: fc.boolean(), nullCount: fc.boolean() });
  const value = fc.option(values, { freq: 4 });
  const rows = fc.array(fc.record({ a: value, b: value }), { minLength: 1, maxLength: 6 });

  it("A row, a record batch and statistics agree with the definitions of SQL", () => {
    const schema = parseDdl(`a ${type}, b ${type}`);
    const seen = new Set<Coverage>();
    fc.assert(
      fc.property(
        filters(["a", "b"], values),
        rows,
        known,
        fc.boolean(),
        (filter, table, parts, isCounted) => {
          const results = table.map((row) => expected(filter, row));
          const matcher = filterMatcher(schema, [filter]);
          const test = matcher.on(recordBatchOf(schema, table));
          expect(table.map((_, i) => test(i))).toEqual(results);
          expect(table.map((row) => matcher.holds(row))).toEqual(results);
          const simple = matcherOf(schema, predicatesOf(filter));
          expect(table.map((row) => simple.holds(row))).toEqual(results);
          const coverage = matcher.coverage({
            ...(isCounted ? { rowCount: table.length } : {}),
            column: ([name]) =>
              statisticsOf(
                table.map((row) => row[name as "a" | "b"]),
                parts,
              ),
          });
          seen.add(coverage);
          if (coverage === "all") expect(results.every((result) => result === true)).toBe(true);
          if (coverage === "none") expect(results).not.toContain(true);
        },
      ),
      { numRuns: 200 },
    );
    expect([...seen].sort()).toEqual(["all", "none", "some"]);
  });
});
