import type { RecordBatch } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { asc, desc } from "../../../shared/contract/write/distribution.ts";
import { reference } from "../../../shared/contract/write/predicates.ts";
import type { ShuffleSpec } from "../../../shared/engine/shuffle/spec.ts";
import {
  type Chance,
  chanceOf,
  compareInside,
  KINDS,
  type Kind,
  long,
  pick,
  randomRows,
  sliceOf,
  type Value,
} from "../../arrow/keys/kinds.ts";
import { FIXED, memoryStore, shuffled, split } from "./exchange.ts";

/** Rows of random columns in several tasks; the last column is the number of the row. */
function randomTasks(kinds: readonly Kind[], chance: Chance) {
  const all = [...kinds, long];
  const rows = randomRows(kinds, Math.floor(chance() * 200), chance).map((row, i): Value[] => [
    ...row,
    BigInt(i),
  ]);
  const tasks: RecordBatch[][] = Array.from({ length: 1 + Math.floor(chance() * 4) }, () => []);
  const order: number[][] = tasks.map(() => []);
  for (let at = 0; at < rows.length; ) {
    const size = Math.floor(chance() * 25);
    const task = Math.floor(chance() * tasks.length);
    const some = rows.slice(at, at + size);
    tasks[task]?.push(sliceOf(all, some, chance));
    order[task]?.push(...some.map((row) => Number(row.at(-1))));
    at += size;
  }
  return { rows, tasks, order, schema: sliceOf(all, [], chance).schema };
}

const numbersIn = (batches: readonly RecordBatch[]): readonly number[] =>
  batches.flatMap((batch) => [...(batch.getChildAt(batch.numCols - 1) ?? [])].map(Number));

const printed = (batches: readonly RecordBatch[]) => batches.flatMap((batch) => [...rowsOf(batch)]);

function expectSameRows(tasks: readonly RecordBatch[][], partitions: readonly RecordBatch[][]): void {
  const name = `c${(tasks.flat()[0]?.numCols ?? 1) - 1}`;
  const byNumber = (batches: readonly RecordBatch[]) =>
    printed(batches).toSorted((a, b) => Number(a[name]) - Number(b[name]));
  expect(byNumber(partitions.flat())).toEqual(byNumber(tasks.flat()));
}

const memories = [1, 1000, 10_000, 1e9];

describe("A shuffle", () => {
  it("Each row reaches one partition, and equal values reach the same, by hash", async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const chance = chanceOf(seed);
      const kinds = Array.from({ length: 1 + Math.floor(chance() * 2) }, () => pick(chance, KINDS));
      const { rows, tasks, schema } = randomTasks(kinds, chance);
      const expressions = kinds.map((_, i) => reference(`c${i}`));
      const buckets = 1 + Math.floor(chance() * 9);
      const spec: ShuffleSpec = { kind: "hash", expressions, buckets, ...FIXED };
      const partitions = await shuffled(schema, spec, tasks, pick(chance, memories));
      expect(partitions).toHaveLength(buckets);
      expectSameRows(tasks, partitions);
      const places = new Map(
        partitions.flatMap((one, place) => numbersIn(one).map((n) => [n, place] as const)),
      );
      for (const a of rows)
        for (const b of rows)
          if (kinds.every((kind, i) => compareInside(kind, a[i] as Value, b[i] as Value) === 0))
            expect(places.get(Number(a.at(-1)))).toBe(places.get(Number(b.at(-1))));
    }
  });

  it("The rows of a partition come in the order of the tasks, and of the rows of each task", async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const chance = chanceOf(seed);
      const { tasks, order, schema } = randomTasks([pick(chance, KINDS)], chance);
      const hash: ShuffleSpec = { kind: "hash", expressions: [reference("c0")], buckets: 3, ...FIXED };
      const place = new Map(order.flat().map((n, i) => [n, i]));
      for (const spec of [hash, { kind: "even", buckets: 4, ...FIXED } as const])
        for (const partition of await shuffled(schema, spec, tasks, pick(chance, memories))) {
          const places = numbersIn(partition).map((n) => place.get(n) as number);
          expect(places).toEqual(places.toSorted((a, b) => a - b));
        }
    }
  });

  it("Partitions of a range are in order, and equal values are together", async () => {
    for (let seed = 1; seed <= 80; seed++) {
      const chance = chanceOf(seed);
      const kind = pick(chance, KINDS);
      const { rows, tasks, schema } = randomTasks([kind], chance);
      const isDescending = chance() < 0.5;
      const buckets = 1 + Math.floor(chance() * 6);
      const spec: ShuffleSpec = {
        kind: "range",
        ordering: [(isDescending ? desc : asc)("c0")],
        buckets,
        ...FIXED,
      };
      const partitions = await shuffled(schema, spec, tasks, pick(chance, memories));
      expect(partitions).toHaveLength(buckets);
      expectSameRows(tasks, partitions);
      const values = partitions.map((one) => numbersIn(one).map((n) => rows[n]?.[0] as Value));
      const before = (a: Value, b: Value) => compareInside(kind, a, b) * (isDescending ? -1 : 1) < 0;
      for (const [i, earlier] of values.entries())
        for (const later of values.slice(i + 1))
          expect(earlier.every((a) => later.every((b) => before(a, b)))).toBe(true);
    }
  });

  it.each([9, 100, 3000, 20_000])(
    "%i different values are cut into ranges of about the same size",
    async (count) => {
      const schema = parseDdl("id bigint, s string");
      const task = (from: number) => {
        const ids = Array.from({ length: count / 3 }, (_, i) => (i * 7919 * 3 + from) % 100_003);
        return [
          recordBatchOf(
            schema,
            ids.map((id) => ({ id, s: "x" })),
          ),
        ];
      };
      const spec: ShuffleSpec = { kind: "range", ordering: [asc("id")], buckets: 3, ...FIXED };
      const partitions = await shuffled(schema, spec, [task(0), task(1), task(2)].slice(0, 3));
      const sizes = partitions.map((one) => one.reduce((sum, { numRows }) => sum + numRows, 0));
      expect(sizes.reduce((a, b) => a + b)).toBe(Math.floor(count / 3) * 3);
      for (const size of sizes) expect(Math.abs(size / (count / 3) - 1)).toBeLessThan(0.15);
    },
  );

  it("Keys of a range may be long, and begin alike", async () => {
    const schema = parseDdl("s string, n bigint");
    const texts = Array.from(
      { length: 300 },
      (_, i) => `${"\u{10ffff}".repeat(i % 40)}${"long ".repeat(i % 30)}${i % 7}`,
    );
    const tasks = [0, 1].map((t) => [
      recordBatchOf(
        schema,
        texts.slice(t * 150, t * 150 + 150).map((s, n) => ({ s, n: n + t * 150 })),
      ),
    ]);
    const spec: ShuffleSpec = { kind: "range", ordering: [asc("s")], buckets: 5, ...FIXED };
    const partitions = await shuffled(schema, spec, tasks);
    const found = partitions.map((one) => printed(one).map(({ s }) => Buffer.from(String(s))));
    expect(found.flat()).toHaveLength(300);
    expect(found.filter((one) => one.length > 0).length).toBeGreaterThan(3);
    for (const [i, earlier] of found.entries())
      for (const later of found.slice(i + 1))
        expect(earlier.every((a) => later.every((b) => Buffer.compare(a, b) < 0))).toBe(true);
  });

  it("Rows are dealt out evenly over all tasks", async () => {
    const schema = parseDdl("id int");
    const tasks = Array.from({ length: 8 }, (_, t) => [recordBatchOf(schema, [{ id: t }])]);
    const spec: ShuffleSpec = { kind: "even", buckets: 4, ...FIXED };
    const partitions = await shuffled(schema, spec, tasks);
    expect(partitions.map((one) => numbersIn(one))).toEqual([
      [0, 4],
      [1, 5],
      [2, 6],
      [3, 7],
    ]);
    const many = await shuffled(
      schema,
      spec,
      [
        [
          recordBatchOf(
            schema,
            Array.from({ length: 1001 }, (_, id) => ({ id })),
          ),
        ],
      ],
      100,
    );
    expect(many.map((one) => numbersIn(one).length)).toEqual([251, 250, 250, 250]);
  });

  it("The same rows make the same file", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const kinds = [pick(chanceOf(seed), KINDS)];
      const specs: readonly ShuffleSpec[] = [
        { kind: "hash", expressions: [reference("c0")], buckets: 3, ...FIXED },
        { kind: "range", ordering: [asc("c0")], buckets: 3, ...FIXED },
        { kind: "even", buckets: 3, ...FIXED },
      ];
      for (const spec of specs) {
        const [one, other] = await Promise.all(
          [memoryStore(), memoryStore()].map(async (store) => {
            const { tasks, schema } = randomTasks(kinds, chanceOf(seed));
            const outputs = await split(store, schema, spec, tasks, 1000);
            return {
              outputs,
              bytes: await Promise.all(outputs.map(({ key }) => (key === "" ? undefined : store.get(key)))),
            };
          }),
        );
        expect(one).toEqual(other);
      }
    }
  });

  it("A task without rows has no file", async () => {
    const store = memoryStore();
    const schema = parseDdl("id int");
    const spec: ShuffleSpec = { kind: "hash", expressions: [reference("id")], buckets: 2, ...FIXED };
    const outputs = await split(store, schema, spec, [[], [recordBatchOf(schema, [])]]);
    expect(outputs).toEqual([
      { key: "", bytes: 0, rows: 0, parts: [] },
      { key: "", bytes: 0, rows: 0, parts: [] },
    ]);
    expect(await Array.fromAsync(store.list(""))).toEqual([]);
  });

  it("A file that exists already is an error, and is not changed", async () => {
    const store = memoryStore();
    const schema = parseDdl("id int");
    await store.put("shuffle/0", Buffer.from("other"));
    const spec: ShuffleSpec = { kind: "even", buckets: 2, ...FIXED };
    await expect(split(store, schema, spec, [[recordBatchOf(schema, [{ id: 1 }])]])).rejects.toThrow(
      expect.objectContaining({ code: "STORE_FAILED" }),
    );
    expect(Buffer.from((await store.get("shuffle/0")) ?? []).toString()).toBe("other");
  });

  it("A file has a part for each bucket of a write, and chunks of bounded size", async () => {
    const store = memoryStore();
    const schema = parseDdl("id int, s string");
    const batch = recordBatchOf(
      schema,
      Array.from({ length: 50_000 }, (_, id) => ({ id, s: "x".repeat(100) })),
    );
    const spec: ShuffleSpec = { kind: "hash", expressions: [reference("id")], buckets: 2, ...FIXED };
    const [output] = await split(store, schema, spec, [[batch]]);
    expect(output?.parts.map(([bucket]) => bucket)).toEqual([0, 1]);
    const partitions = await shuffled(schema, spec, [[batch]]);
    for (const { numRows } of partitions.flat()) expect(numRows).toBeLessThanOrEqual(10_500);
  });
});
