import { describe, expect, it } from "vitest";
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

  it("The S3 store knows its own address", async () => {
    const store = await newStore();
    expect(store.location).toMatch(/^s3:\/\/store-[0-9a-f-]+\/some\/prefix$/);
    expect(store.at("table").location).toBe(`${store.location}/table`);
  });
});
