import { describe, expect, it } from "vitest";
import { storeScratch } from "../../shared/arrow/sort/store-scratch.ts";
import { storeSuite } from "../engine/ports/store.suite.ts";
import { newStore } from "./clients.ts";

storeSuite("S3", newStore);

describe("the S3 store", () => {
  it("The S3 store never overwrites by an upload in parts", async () => {
    const store = await newStore();
    const part = new Uint8Array(9 * 1024 * 1024);
    async function* body(fill: number) {
      yield part.slice().fill(fill);
      yield part.slice().fill(fill);
    }
    expect(await store.put("large", body(1))).toBe(true);
    expect(await store.put("large", body(2))).toBe(false);
    expect((await store.get("large"))?.[0]).toBe(1);
    expect(await Array.fromAsync(store.listUnfinished(""))).toEqual([]);
  });

  it("The S3 store holds sorted runs of several parts, of which ranges are read, and forgets them", async () => {
    const store = await newStore();
    const scratch = storeScratch(store, "batches/000000000003/sorted-writer-1/changes/");
    const part = new Uint8Array(6 * 1024 * 1024);
    async function* run(fill: number, ends = true) {
      for (let i = 0; i < 3; i++) yield part.slice().fill(fill + i);
      if (!ends) throw new Error("the rows ended early");
    }
    await scratch.write(0, run(10));
    await scratch.write(1, run(20));
    expect([...(await scratch.read(1, part.length - 1, part.length + 1))]).toEqual([20, 21]);
    await expect(scratch.write(0, run(30))).rejects.toThrow("exists already");
    // The parts of a run that was broken off are given up at once.
    await expect(scratch.write(2, run(40, false))).rejects.toThrow("the rows ended early");
    expect(await Array.fromAsync(store.listUnfinished("batches/"))).toEqual([]);
    await scratch.delete([0, 1, 2]);
    expect(await Array.fromAsync(store.list("batches/"))).toEqual([]);
  });

  it("The S3 store knows its own address", async () => {
    const store = await newStore();
    expect(store.location).toMatch(/^s3:\/\/store-[0-9a-f-]+\/some\/prefix$/);
    expect(store.at("table").location).toBe(`${store.location}/table`);
  });
});
