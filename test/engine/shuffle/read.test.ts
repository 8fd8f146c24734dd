import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import { asc } from "../../../shared/contract/write/distribution.ts";
import { readShuffled } from "../../../shared/engine/shuffle/read.ts";
import { planShuffled } from "../../../shared/engine/shuffle/segments.ts";
import type { ShuffleSpec } from "../../../shared/engine/shuffle/spec.ts";
import { FIXED, memoryStore, read, split } from "./exchange.ts";

const schema = parseDdl("id int, s string");
const even: ShuffleSpec = { kind: "even", buckets: 2, ...FIXED };

async function written(spec: ShuffleSpec = even, rows = 5000) {
  const store = memoryStore();
  const batch = recordBatchOf(
    schema,
    Array.from({ length: rows }, (_, id) => ({ id, s: `text ${id}` })),
  );
  const outputs = await split(store, schema, spec, [[batch], [batch]], 50_000);
  return { store, outputs, partitions: planShuffled(spec, outputs) };
}

/** A store in which a file has other bytes. */
async function changed(store: ObjectStore, key: string, change: (bytes: Uint8Array) => Uint8Array) {
  const other = memoryStore();
  for await (const info of store.list("")) {
    const bytes = (await store.get(info.key)) as Uint8Array;
    await other.put(info.key, info.key === key ? change(Uint8Array.from(bytes)) : bytes);
  }
  return other;
}

const missing = (key: string) =>
  expect.objectContaining({
    code: "SHUFFLE_FILE_MISSING",
    where: expect.objectContaining({ path: expect.stringContaining(key) }),
  });

describe("Reading a shuffle", () => {
  it("A file that is gone is an error with its path", async () => {
    const { store, partitions } = await written();
    await store.delete(["shuffle/1"]);
    await expect(read(store, schema, partitions[0] as never)).rejects.toThrow(missing("shuffle/1"));
  });

  it("A file that was cut off is an error", async () => {
    const { store, partitions } = await written();
    for (const size of [0, 1, 100, 40_000]) {
      const cut = await changed(store, "shuffle/0", (bytes) => bytes.subarray(0, size));
      await expect(read(cut, schema, partitions[1] as never)).rejects.toThrow(missing("shuffle/0"));
    }
  });

  it("A file with other bytes of the same size is an error, wherever they are", async () => {
    const { store, outputs, partitions } = await written(even, 300);
    const size = outputs[0]?.bytes as number;
    for (let at = 0; at < size; at += 61) {
      const other = await changed(store, "shuffle/0", (bytes) => bytes.with(at, (bytes[at] as number) ^ 4));
      const results = await Promise.allSettled(partitions.map((partition) => read(other, schema, partition)));
      const errors = results.flatMap((result) =>
        result.status === "rejected" ? [result.reason as unknown] : [],
      );
      expect(errors, `byte ${at}`).toEqual([missing("shuffle/0")]);
    }
  });

  it("A large segment is read in several requests of bounded size, and some at a time", async () => {
    const { store, partitions } = await written({ ...even, buckets: 1 }, 400_000);
    const asked: number[] = [];
    let [open, most] = [0, 0];
    const counting = Object.create(store, {
      getRange: {
        value: async (key: string, start: number, end: number) => {
          asked.push(end - start);
          most = Math.max(most, ++open);
          await new Promise((done) => setTimeout(done, 5));
          open--;
          return await store.getRange(key, start, end);
        },
      },
      location: { value: store.location },
    }) as ObjectStore;
    const batches = await read(counting, schema, partitions[0] as never);
    expect(batches.reduce((sum, { numRows }) => sum + numRows, 0)).toBe(800_000);
    expect(Math.max(...asked)).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(5);
    for (const { numRows } of batches) expect(numRows).toBeLessThanOrEqual(16_384);
  });

  it("A reader that stops early leaves no request behind", async () => {
    const { store, partitions } = await written();
    let open = 0;
    const counting = Object.create(store, {
      getRange: {
        value: async (key: string, start: number, end: number) => {
          open++;
          await new Promise((done) => setTimeout(done, 5));
          open--;
          return await store.getRange(key, start, end);
        },
      },
    }) as ObjectStore;
    const options = { signal: new AbortController().signal, where: {} };
    for await (const batch of readShuffled(counting, schema, partitions[0] as never, options)) {
      expect(batch.numRows).toBeGreaterThan(0);
      break;
    }
    expect(open).toBe(0);
  });

  it("An aborted read ends with the reason", async () => {
    const { store, partitions } = await written();
    const options = { signal: AbortSignal.abort(new Error("stop now")), where: {} };
    await expect(
      Array.fromAsync(readShuffled(store, schema, partitions[0] as never, options)),
    ).rejects.toThrow("stop now");
  });

  it("A partition of a range has only rows within its bounds", async () => {
    const spec: ShuffleSpec = { kind: "range", ordering: [asc("id")], buckets: 3, ...FIXED };
    const { store, partitions } = await written(spec, 1000);
    const ids = await Promise.all(
      partitions.map(async (one) =>
        (await read(store, schema, one)).flatMap((batch) => [...(batch.getChild("id") ?? [])].map(Number)),
      ),
    );
    expect(ids.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 2000 }, (_, i) => i >> 1));
    expect(Math.max(...(ids[0] ?? []))).toBeLessThan(Math.min(...(ids[1] ?? [])));
    expect(Math.max(...(ids[1] ?? []))).toBeLessThan(Math.min(...(ids[2] ?? [])));
  });
});
