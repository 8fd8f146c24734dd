import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RecordBatch, Schema } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { storeScratch } from "../../../shared/arrow/sort/store-scratch.ts";
import { sortBatches } from "../../../shared/arrow/sort-batches.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { Scratch } from "../../../shared/contract/scratch.ts";
import { asc, desc, type SortOrder } from "../../../shared/contract/write/distribution.ts";
import { DirectoryScratch } from "../../../shared/platform/embedded/directory-scratch.ts";
import { MemoryStore } from "../../../shared/platform/memory/memory-store.ts";
import { temporaryFolder } from "../../support/folder.ts";
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
} from "../keys/kinds.ts";

const signal = new AbortController().signal;
const memory = () => new MemoryStore({ objects: new Map(), uploads: new Map(), now: () => 0 });

interface Sorting {
  readonly memoryBytes: number;
  readonly scratch?: Scratch;
}

function sorted(
  batches: Iterable<RecordBatch>,
  schema: Schema,
  orders: readonly SortOrder[],
  sorting: Sorting,
) {
  const all = async function* () {
    yield* batches;
  };
  const { memoryBytes, scratch = storeScratch(memory(), "sort/") } = sorting;
  return sortBatches(all(), schema, orders, { memoryBytes, scratch, signal, where: {} });
}

/** Rows of random columns; the last one is their number. */
function randomBatches(kinds: readonly Kind[], count: number, chance: Chance) {
  const all = [...kinds, long];
  const rows = randomRows(kinds, count, chance).map((row, i): Value[] => [...row, BigInt(i)]);
  const batches: RecordBatch[] = [];
  for (let at = 0; at < count; ) {
    const size = Math.floor(chance() * 20);
    batches.push(sliceOf(all, rows.slice(at, at + size), chance));
    at += size;
  }
  return { rows, batches, schema: sliceOf(all, [], chance).schema };
}

/** A sort that keeps the order of equal rows, written without any of the code under test. */
function naive(
  kinds: readonly Kind[],
  rows: readonly Value[][],
  orders: readonly SortOrder[],
): readonly number[] {
  const sign = (a: readonly Value[], b: readonly Value[]) =>
    kinds
      .map((kind, i) => {
        const { direction } = orders[i] as SortOrder;
        const one = compareInside(kind, a[i] as Value, b[i] as Value);
        return direction === "ascending" ? one : -one;
      })
      .find((one) => one !== 0) ?? 0;
  return rows.map((_, i) => i).toSorted((i, j) => sign(rows[i] as Value[], rows[j] as Value[]));
}

const numbered = parseDdl("k int, s string, n bigint");

function* numberedBatches(count: number, size = 50): Generator<RecordBatch> {
  for (let at = 0; at < count; at += size)
    yield recordBatchOf(
      numbered,
      Array.from({ length: Math.min(size, count - at) }, (_, i) => ({
        k: ((at + i) * 7919) % 100,
        s: `text ${at + i}`,
        n: at + i,
      })),
    );
}

describe("Sorting record batches", () => {
  it("Rows of random columns come in their order, equal ones as they came, with any memory", async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const chance = chanceOf(seed);
      const kinds = Array.from({ length: 1 + Math.floor(chance() * 2) }, () => pick(chance, KINDS));
      const { rows, batches, schema } = randomBatches(kinds, 10 + Math.floor(chance() * 150), chance);
      const orders = kinds.map((_, i) => (chance() < 0.5 ? asc : desc)(`c${i}`));
      const memoryBytes = pick(chance, [1, 400, 3000, 1e9]);
      const found = await Array.fromAsync(sorted(batches, schema, orders, { memoryBytes }));
      const before = batches.flatMap((batch) => [...rowsOf(batch)]);
      const expected = naive(kinds, rows, orders).map((i) => before[i]);
      expect(
        found.flatMap((batch) => [...rowsOf(batch)]),
        `seed ${seed}`,
      ).toEqual(expected);
    }
  });

  it.each([100, 1000, 5000, 150_000])(
    "%i rows are sorted in memory as they are with many runs",
    async (count) => {
      const order = [asc("k")];
      const numbers = async (memoryBytes: number) => {
        const batches = await Array.fromAsync(
          sorted(numberedBatches(count, 5000), numbered, order, { memoryBytes }),
        );
        return batches.flatMap((batch) => [...(batch.getChild("n") ?? [])].map(Number));
      };
      const expected = Array.from({ length: count }, (_, i) => i).toSorted(
        (a, b) => ((a * 7919) % 100) - ((b * 7919) % 100),
      );
      expect(await numbers(1e9)).toEqual(expected);
      expect(await numbers(count * 12)).toEqual(expected);
    },
  );

  it("Keys that begin alike are compared to their end", async () => {
    const schema = parseDdl("s string");
    const texts = Array.from({ length: 2000 }, (_, i) => `the same beginning ${(i * 7919) % 2000}`);
    const batches = [
      recordBatchOf(
        schema,
        texts.map((s) => ({ s })),
      ),
    ];
    const found = await Array.fromAsync(sorted(batches, schema, [asc("s")], { memoryBytes: 1e9 }));
    expect(found.flatMap((batch) => [...rowsOf(batch)].map(({ s }) => s))).toEqual(texts.toSorted());
  });

  it("The runs are deleted at the end, in a store and in a folder", async () => {
    const store = memory();
    const folder = temporaryFolder();
    for (const scratch of [storeScratch(store, "sort/"), new DirectoryScratch(folder)]) {
      let most = 0;
      for await (const batch of sorted(numberedBatches(2000), numbered, [asc("k")], {
        memoryBytes: 5000,
        scratch,
      })) {
        expect(batch.numRows).toBeGreaterThan(0);
        const files = readdirSync(folder).length;
        most = Math.max(most, files, (await Array.fromAsync(store.list(""))).length);
      }
      expect(most).toBeGreaterThan(0);
      expect(readdirSync(folder)).toEqual([]);
      expect(await Array.fromAsync(store.list(""))).toEqual([]);
    }
  });

  it("The runs are deleted if the reader stops early", async () => {
    const store = memory();
    const scratch = storeScratch(store, "sort/");
    for await (const batch of sorted(numberedBatches(2000), numbered, [asc("k")], {
      memoryBytes: 5000,
      scratch,
    })) {
      expect(batch.numRows).toBeGreaterThan(0);
      break;
    }
    expect(await Array.fromAsync(store.list(""))).toEqual([]);
  });

  it("The runs are deleted if the rows end with an error, which is passed on", async () => {
    const store = memory();
    const scratch = storeScratch(store, "sort/");
    const failing = function* () {
      yield* numberedBatches(1000);
      throw new Error("the source is gone");
    };
    await expect(
      Array.fromAsync(sorted(failing(), numbered, [asc("k")], { memoryBytes: 5000, scratch })),
    ).rejects.toThrow("the source is gone");
    expect(await Array.fromAsync(store.list(""))).toEqual([]);
  });

  it("A row that is larger than the memory is sorted, too", async () => {
    const wide = Array.from({ length: 6 }, (_, i) => ({ k: 6 - i, s: "x".repeat(50_000), n: i }));
    const batches = [recordBatchOf(numbered, wide)];
    const found = await Array.fromAsync(sorted(batches, numbered, [asc("k")], { memoryBytes: 1000 }));
    expect(found.flatMap((batch) => [...rowsOf(batch)].map(({ n }) => n))).toEqual([5, 4, 3, 2, 1, 0]);
    expect(found.map(({ numRows }) => numRows)).toEqual([1, 1, 1, 1, 1, 1]);
  });

  it("A run that was changed or cut off is an error", async () => {
    const store = memory();
    const base = storeScratch(store, "sort/");
    const damages: readonly ((bytes: Uint8Array) => Uint8Array)[] = [
      (bytes) => bytes.subarray(0, bytes.length - 1),
      (bytes) => bytes.with(bytes.length - 1 - 20, (bytes.at(-21) ?? 0) ^ 255),
      () => new Uint8Array(),
    ];
    for (const damage of damages) {
      const scratch: Scratch = {
        ...base,
        read: async (run, start, end) => damage(await base.read(run, start, end)),
      };
      await expect(
        Array.fromAsync(sorted(numberedBatches(2000), numbered, [asc("k")], { memoryBytes: 5000, scratch })),
      ).rejects.toThrow(expect.objectContaining({ code: "SPILL_FAILED" }));
      expect(await Array.fromAsync(store.list(""))).toEqual([]);
    }
  });

  it("A folder that cannot be written to is an error with its cause", async () => {
    const file = join(temporaryFolder(), "file");
    writeFileSync(file, "");
    const scratch = new DirectoryScratch(join(file, "folder"));
    await expect(
      Array.fromAsync(sorted(numberedBatches(2000), numbered, [asc("k")], { memoryBytes: 5000, scratch })),
    ).rejects.toThrow(
      expect.objectContaining({ code: "SPILL_FAILED", message: expect.stringContaining("ENOTDIR") }),
    );
  });

  it("An aborted sort ends with the reason, and leaves no runs", async () => {
    const store = memory();
    const controller = new AbortController();
    const rows = async function* () {
      for (const batch of numberedBatches(2000)) {
        yield batch;
        if (Number(batch.getChild("n")?.get(0)) > 1000) controller.abort(new Error("stop now"));
      }
    };
    const options = {
      memoryBytes: 5000,
      scratch: storeScratch(store, "sort/"),
      signal: controller.signal,
      where: {},
    };
    await expect(Array.fromAsync(sortBatches(rows(), numbered, [asc("k")], options))).rejects.toThrow(
      "stop now",
    );
    expect(await Array.fromAsync(store.list(""))).toEqual([]);
  });

  it("Without rows there are none, and no run", async () => {
    expect(await Array.fromAsync(sorted([], numbered, [asc("k")], { memoryBytes: 1 }))).toEqual([]);
  });
});
