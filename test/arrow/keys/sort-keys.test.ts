import { Field, Int32, IntervalMonthDayNano, Schema, SparseUnion, Utf8 } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { checkOrdering, SortKeys, sortKeysOf } from "../../../shared/arrow/sort-keys.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { asc, desc, type SortOrder, sortOrder } from "../../../shared/contract/write/distribution.ts";
import { literal, predicate, reference, scalar } from "../../../shared/contract/write/predicates.ts";
import {
  batchOf,
  chanceOf,
  compareInside,
  KINDS,
  type Kind,
  pick,
  randomRows,
  sliceOf,
  type Value,
} from "./kinds.ts";

const ROWS = 40;

function ordersFor(column: string): readonly SortOrder[] {
  return [
    asc(column),
    desc(column),
    sortOrder(column, "ascending", "nullsLast"),
    sortOrder(column, "descending", "nullsFirst"),
  ];
}

/** The order of two values, written without any of the code under test. */
function naive(kind: Kind, { direction, nullOrdering }: SortOrder, a: Value, b: Value): number {
  if (a === null || b === null) {
    const sign = compareInside(kind, a, b);
    return nullOrdering === "nullsFirst" ? sign : -sign;
  }
  return direction === "ascending" ? kind.compare(a, b) : -kind.compare(a, b);
}

function expectSameOrder(
  keyAt: (row: number) => Uint8Array,
  rows: readonly Value[][],
  compare: (a: readonly Value[], b: readonly Value[]) => number,
): void {
  for (const [i, a] of rows.entries())
    for (const [j, b] of rows.entries())
      expect(Math.sign(Buffer.compare(keyAt(i), keyAt(j)))).toBe(Math.sign(compare(a, b)) + 0);
}

describe("Sort keys", () => {
  it.each(KINDS.map((kind, i) => [kind.name, kind, i] as const))(
    "Keys of %s have the order of Spark, also in a slice",
    (_, kind, seed) => {
      const chance = chanceOf(seed + 1);
      const rows = randomRows([kind], ROWS, chance);
      for (const order of ordersFor("c0")) {
        const compare = ([a]: readonly Value[], [b]: readonly Value[]) =>
          naive(kind, order, a as Value, b as Value);
        for (const batch of [batchOf([kind], rows), sliceOf([kind], rows, chance)])
          expectSameOrder(sortKeysOf(batch, [order]), rows, compare);
      }
    },
  );

  it("Keys of several columns are compared from the first to the last", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const chance = chanceOf(seed);
      const kinds = Array.from({ length: 1 + Math.floor(chance() * 3) }, () => pick(chance, KINDS));
      const rows = randomRows(kinds, 25, chance);
      const orders = kinds.map((_, i) => pick(chance, ordersFor(`c${i}`)));
      const compare = (a: readonly Value[], b: readonly Value[]) =>
        kinds
          .map((kind, i) => naive(kind, orders[i] as SortOrder, a[i] as Value, b[i] as Value))
          .find((sign) => sign !== 0) ?? 0;
      expectSameOrder(sortKeysOf(sliceOf(kinds, rows, chance), orders), rows, compare);
    }
  });

  it("A list of keys has the same keys as they are made one by one", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const chance = chanceOf(seed);
      const kinds = [pick(chance, KINDS), pick(chance, KINDS)];
      const batch = sliceOf(kinds, randomRows(kinds, 30, chance), chance);
      const keys = new SortKeys(batch.schema, [desc("c0"), asc("c1")]);
      const { bytes, offsets } = keys.list(batch);
      const keyAt = keys.of(batch);
      for (let row = 0; row < 30; row++)
        expect(bytes.subarray(offsets[row], offsets[row + 1])).toEqual(keyAt(row));
    }
  });

  it("The key of a nested field is that of a null if a struct around it is null", () => {
    const schema = parseDdl("a struct<b: struct<c: int>>");
    const batch = recordBatchOf(schema, [
      { a: { b: { c: 7 } } },
      { a: null },
      { a: { b: null } },
      { a: { b: { c: null } } },
    ]);
    const keyAt = sortKeysOf(batch, [asc(reference(["a", "b", "c"]))]);
    expect(keyAt(1)).toEqual(keyAt(2));
    expect(keyAt(1)).toEqual(keyAt(3));
    expect(Buffer.compare(keyAt(1), keyAt(0))).toBe(-1);
  });

  it("Computed values are compared, exactly even beyond 64 bits", () => {
    const schema = parseDdl("a bigint, b bigint, s string");
    const max = 2n ** 63n - 1n;
    const batch = recordBatchOf(schema, [
      { a: max, b: max, s: "x" },
      { a: max, b: max - 1n, s: null },
      { a: -max, b: max, s: "a" },
      { a: null, b: 1, s: "b" },
    ]);
    const sorted = (order: SortOrder) => {
      const keyAt = sortKeysOf(batch, [order]);
      return [0, 1, 2, 3].sort((i, j) => Buffer.compare(keyAt(i), keyAt(j)));
    };
    expect(sorted(asc(scalar("*", reference("a"), reference("b"))))).toEqual([3, 2, 1, 0]);
    expect(sorted(asc(scalar("COALESCE", reference("s"), literal("c"))))).toEqual([2, 3, 1, 0]);
    expect(sorted(asc(predicate("IS_NULL", reference("s"))))).toEqual([0, 2, 3, 1]);
    expect(sorted(asc(scalar("+", reference("a"), literal(1))))).toEqual([3, 2, 0, 1]);
  });

  it("A literal is equal in all rows", () => {
    const batch = recordBatchOf(parseDdl("a int"), [{ a: 1 }, { a: 2 }]);
    const keyAt = sortKeysOf(batch, [asc(literal(5))]);
    expect(keyAt(0)).toEqual(keyAt(1));
  });

  it("A column that is not there is refused with a name that is meant", () => {
    expect(() => checkOrdering(parseDdl("price int"), [asc("prise")])).toThrow(
      expect.objectContaining({
        code: "DISTRIBUTION_INVALID",
        message: expect.stringContaining("did you mean price?"),
      }),
    );
  });

  it.each([
    ["a map", parseDdl("x map<string, int>")],
    ["a map in a struct", parseDdl("x struct<y: map<string, int>>")],
    ["a map in a list", parseDdl("x array<map<string, int>>")],
    ["a calendar interval", new Schema([new Field("x", new IntervalMonthDayNano(), true)])],
    [
      "a union",
      new Schema([
        new Field(
          "x",
          new SparseUnion([0, 1], [new Field("a", new Int32()), new Field("b", new Utf8())]),
          true,
        ),
      ]),
    ],
  ])("An order by %s is refused, and the column is named", (_, schema) => {
    expect(() => checkOrdering(schema, [asc("x")])).toThrow(
      expect.objectContaining({ code: "DISTRIBUTION_INVALID", message: expect.stringContaining('"x') }),
    );
  });
});
