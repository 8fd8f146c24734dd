import fc from "fast-check";
import { expect, it } from "vitest";
import { selectColumns } from "../../../shared/arrow/select.ts";
import { takeRows } from "../../../shared/arrow/take.ts";
import { type Filter, GreaterThan, LessThan } from "../../../shared/contract/filters.ts";
import type { NamedRow } from "../../../shared/contract/stream-reader.ts";
import { runPipeline } from "../../../shared/testing/index.ts";
import { itemStream, items, toMemory } from "./source.ts";

type Model = { readonly a: number; readonly b: string | null; readonly c: number };

/** A step on a source, and the same step on an array. */
interface Pair {
  apply(source: ReturnType<typeof itemStream>): unknown;
  on(rows: readonly Model[]): readonly Model[];
}

const asModel = (row: NamedRow): Model => row as unknown as Model;
const number = fc.integer({ min: -20, max: 20 });

const maps = number.map((n): Pair => {
  const fn = (row: Model): Model => ({ ...row, a: row.a + n, b: row.b === null ? "none" : null });
  return { apply: (source) => source.map((row) => fn(asModel(row))), on: (rows) => rows.map(fn) };
});
const asyncMaps = number.map((n): Pair => {
  const fn = (row: Model): Model => ({ ...row, c: ((row.c * n) % 1000) + 0 });
  return { apply: (source) => source.map(async (row) => fn(asModel(row))), on: (rows) => rows.map(fn) };
});
const flatMaps = fc.nat({ max: 3 }).map((most): Pair => {
  const fn = (row: Model): Model[] =>
    Array.from({ length: Math.abs(row.a) % (most + 1) }, (_, i) => ({ ...row, c: i }));
  return { apply: (source) => source.flatMap((row) => fn(asModel(row))), on: (rows) => rows.flatMap(fn) };
});
const filters = number.map((n): Pair => {
  const fn = (row: Model): boolean => (row.a + row.c) % 3 !== Math.abs(n) % 3;
  return { apply: (source) => source.filter((row) => fn(asModel(row))), on: (rows) => rows.filter(fn) };
});
const columnFilters = fc.tuple(fc.boolean(), number).map(([isGreater, n]): Pair => {
  const filter: Filter = isGreater ? new GreaterThan("a", n) : new LessThan("c", n);
  return {
    apply: (source) => source.filter(filter),
    on: (rows) => rows.filter(({ a, c }) => (isGreater ? a > n : c < n)),
  };
});
const withColumns = number.map(
  (n): Pair => ({
    apply: (source) => source.withColumns({ b: (row) => `${asModel(row).a}`, c: () => n }),
    on: (rows) => rows.map((row) => ({ ...row, b: `${row.a}`, c: n })),
  }),
);
const selects = fc
  .shuffledSubarray(["a", "b", "c"], { minLength: 3 })
  .map((columns): Pair => ({ apply: (source) => source.select(...columns), on: (rows) => rows }));
const batches = fc.boolean().map(
  (isHalf): Pair => ({
    apply: (source) =>
      source.mapBatches(function* (batch) {
        const rows = Array.from({ length: batch.numRows }, (_, i) => i);
        const names = batch.schema.fields.map(({ name }) => name);
        yield selectColumns(takeRows(batch, rows.slice(0, rows.length >> 1)), names);
        if (!isHalf) yield takeRows(batch, rows.slice(rows.length >> 1));
      }),
    // The rows of a partition are one record batch here, unless a step before has made several.
    on: (rows) => (isHalf ? rows.slice(0, rows.length >> 1) : rows),
  }),
);

const chain = fc.array(fc.oneof(maps, asyncMaps, flatMaps, filters, columnFilters, withColumns, selects), {
  minLength: 1,
  maxLength: 7,
});
const models = fc.array(
  fc.record({ a: number, b: fc.option(fc.string({ unit: "grapheme", maxLength: 5 })), c: number }),
  { minLength: 2, maxLength: 30 },
);

const schema = "a int NOT NULL, b string, c int NOT NULL";

it("A chain of steps makes of a stream and of a batch what the same chain makes of an array", async () => {
  await fc.assert(
    fc.asyncProperty(models, fc.option(batches), chain, fc.boolean(), async (rows, first, rest, isBatch) => {
      const steps = first === null ? rest : [first, ...rest];
      const source = isBatch ? items({ schema, rows }) : itemStream({ schema, rows });
      const chained = steps.reduce(
        (made, { apply }) => apply(made) as typeof made,
        source as ReturnType<typeof itemStream>,
      );
      const run = await runPipeline(toMemory(chained));
      // Each half of the rows is a partition.
      const parts = [rows.slice(0, rows.length >> 1), rows.slice(rows.length >> 1)];
      const expected = parts.flatMap((part) =>
        steps.reduce((made, { on }) => on(made), part as readonly Model[]),
      );
      expect(run.rows).toEqual(expected);
    }),
    { numRuns: 60 },
  );
});
