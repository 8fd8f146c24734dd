import { setTimeout } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "vitest";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";

const text = (body: string) => new TextEncoder().encode(body);
const read = async (store: ObjectStore, key: string) => {
  const bytes = await store.get(key);
  return bytes && new TextDecoder().decode(bytes);
};
const keys = async (store: ObjectStore, prefix: string, options?: { startAfter?: string }) => {
  const found: string[] = [];
  for await (const object of store.list(prefix, options)) found.push(object.key);
  return found;
};
const unfinished = async (store: ObjectStore, prefix: string) => {
  const found = [];
  for await (const upload of store.listUnfinished(prefix)) found.push(upload);
  return found;
};

/**
 * Tests the contract of a store. Each adapter runs this suite. `open` returns a new, empty store.
 */
export function storeSuite(name: string, open: () => Promise<ObjectStore>): void {
  describe(`${name} as a store`, () => {
    let store: ObjectStore;
    beforeEach(async () => {
      store = await open();
    });

    it("A store returns the object that was put, and `undefined` for a missing key", async () => {
      expect(await store.put("a/b.json", text("hello"))).toBe(true);
      expect(await read(store, "a/b.json")).toBe("hello");
      expect(await store.get("a/c.json")).toBeUndefined();
      expect(await store.get("b/c.json")).toBeUndefined();
    });

    it("A store never overwrites: the second put of a key returns false and changes nothing", async () => {
      await store.put("a", text("first"));
      expect(await store.put("a", text("second"))).toBe(false);
      expect(await read(store, "a")).toBe("first");
      expect(await unfinished(store, "")).toEqual([]);
    });

    it("A store has one winner when many put the same key at once, and its body is whole", async () => {
      const bodies = Array.from({ length: 10 }, (_, i) => String(i).repeat(100_000));
      const created = await Promise.all(bodies.map((body) => store.put("log/0.json", text(body))));
      expect(created.filter(Boolean)).toHaveLength(1);
      expect(await read(store, "log/0.json")).toBe(bodies[created.indexOf(true)]);
    });

    it("A store takes a body in chunks that is larger than any buffer", async () => {
      const chunk = new Uint8Array(1024 * 1024).fill(7);
      async function* body() {
        for (let i = 0; i < 20; i++) yield chunk;
        yield text("end");
      }
      expect(await store.put("large", body())).toBe(true);
      const bytes = await store.get("large");
      expect(bytes?.length).toBe(20 * chunk.length + 3);
      expect(new TextDecoder().decode(bytes?.subarray(-3))).toBe("end");
    });

    it("A store takes an empty body", async () => {
      await store.put("empty", new Uint8Array());
      expect((await store.get("empty"))?.length).toBe(0);
    });

    it("A store has no object if its body fails, passes the error on and lets the key be put again", async () => {
      async function* body() {
        yield text("half");
        throw new Error("the source broke");
      }
      await expect(store.put("a", body())).rejects.toThrow("the source broke");
      expect(await store.get("a")).toBeUndefined();
      expect(await keys(store, "")).toEqual([]);
      expect(await store.put("a", text("whole"))).toBe(true);
    });

    it("A store shows an object only when it is whole and lists it as unfinished meanwhile", async () => {
      let finish: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        finish = resolve;
      });
      // A store begins to write before it has buffered this many bytes.
      const half = new Uint8Array(20 * 1024 * 1024).fill(1);
      async function* body() {
        yield half;
        await gate;
        yield text(" and half");
      }
      const put = store.put("data/a", body());
      let uploads: Awaited<ReturnType<typeof unfinished>> = [];
      for (let i = 0; i < 1000 && uploads.length === 0; i++) {
        uploads = await unfinished(store, "data/");
        await setTimeout(5);
      }
      expect(uploads.map((upload) => upload.key)).toEqual(["data/a"]);
      expect(uploads[0]?.startedAt).toBeGreaterThan(1.6e12);
      expect(await unfinished(store, "other/")).toEqual([]);
      expect(await store.get("data/a")).toBeUndefined();
      expect(await keys(store, "")).toEqual([]);
      finish();
      expect(await put).toBe(true);
      expect((await store.get("data/a"))?.length).toBe(half.length + " and half".length);
      expect(await unfinished(store, "data/")).toEqual([]);
      for (const upload of uploads) await store.abandon(upload);
      expect(await keys(store, "")).toEqual(["data/a"]);
    });

    it("A store returns a range of bytes, fewer at the end of the object and none beyond it", async () => {
      await store.put("a", text("0123456789"));
      const range = async (start: number, end: number) => {
        const bytes = await store.getRange("a", start, end);
        return bytes && new TextDecoder().decode(bytes);
      };
      expect(await range(2, 5)).toBe("234");
      expect(await range(8, 20)).toBe("89");
      expect(await range(10, 20)).toBe("");
      expect(await store.getRange("b", 0, 1)).toBeUndefined();
    });

    it("A store returns a range of the listed object and of no other in its place", async () => {
      await store.put("a", text("0123456789"));
      const listed = async () => (await Array.fromAsync(store.list("a")))[0]?.etag ?? "";
      const etag = await listed();
      expect((await store.getRange("a", 2, 5, etag))?.length).toBe(3);
      await store.delete(["a"]);
      expect(await store.getRange("a", 2, 5, etag)).toBeUndefined();
      await store.put("a", text("something else"));
      expect(await store.getRange("a", 2, 5, etag)).toBeUndefined();
      expect((await store.getRange("a", 2, 5, await listed()))?.length).toBe(3);
      await store.put("empty", new Uint8Array());
      const [empty] = await Array.fromAsync(store.list("empty"));
      expect((await store.getRange("empty", 0, 0, empty?.etag))?.length).toBe(0);
    });

    it("A store lists keys by prefix in the order of their bytes, with size and time", async () => {
      const all = ["a/b", "a-b", "a/b/c", "a0", "b", "a/é", "a/\u{1F600}", "a/\uFF5E"].filter(
        (key) => key !== "a/b",
      );
      for (const key of all) await store.put(key, text(key));
      expect(await keys(store, "")).toEqual(["a-b", "a/b/c", "a/é", "a/\uFF5E", "a/\u{1F600}", "a0", "b"]);
      expect(await keys(store, "a/")).toEqual(["a/b/c", "a/é", "a/\uFF5E", "a/\u{1F600}"]);
      expect(await keys(store, "a")).toHaveLength(6);
      expect(await keys(store, "a", { startAfter: "a/é" })).toEqual(["a/\uFF5E", "a/\u{1F600}", "a0"]);
      expect(await keys(store, "nothing/")).toEqual([]);
      for await (const object of store.list("b")) {
        expect(object.bytes).toBe(1);
        expect(object.modifiedAt).toBeGreaterThan(1.6e12);
      }
    });

    it("A store tells of the objects of given keys, and leaves out those that do not exist", async () => {
      await Promise.all(Array.from({ length: 40 }, (_, i) => store.put(`part/${i}`, text("x".repeat(i)))));
      await store.put("other", text("four"));
      const found = await store.stat(["part/7", "part/39", "part/40", "other", "part", "none/1"]);
      expect([...found.keys()].sort()).toEqual(["other", "part/39", "part/7"]);
      expect(found.get("part/39")?.bytes).toBe(39);
      const [listed] = await Array.fromAsync(store.list("part/7"));
      expect(found.get("part/7")).toEqual(listed);
      expect(await store.stat([])).toEqual(new Map());
      expect(await store.stat(["gone"])).toEqual(new Map());
    });

    it("A store finds given keys among many others", async () => {
      await Promise.all(Array.from({ length: 1100 }, (_, i) => store.put(`k/${i}`, text("x"))));
      const wanted = ["k/0", "k/none", "k/998", "k/9999"];
      expect([...(await store.stat(wanted)).keys()].sort()).toEqual(["k/0", "k/998"]);
    });

    it("A store lists more objects than a page holds", async () => {
      await Promise.all(Array.from({ length: 1100 }, (_, i) => store.put(`many/${i}`, text("x"))));
      expect(await keys(store, "many/")).toHaveLength(1100);
    });

    it("A store deletes many objects at once and accepts missing keys", async () => {
      await store.put("a", text("a"));
      await store.put("b/c", text("c"));
      await store.delete(["a", "b/c", "nothing", "b/nothing"]);
      await store.delete([]);
      expect(await keys(store, "")).toEqual([]);
      expect(await store.put("a", text("again"))).toBe(true);
    });

    it("A store has parts that see only the keys below them", async () => {
      const part = store.at("orders").at("table");
      await part.put("_log/0.json", text("0"));
      await store.put("orders/tableau", text("x"));
      expect(await keys(part, "")).toEqual(["_log/0.json"]);
      expect(await read(store, "orders/table/_log/0.json")).toBe("0");
    });

    it.each(["", "/a", "a//b", "a/", "../a", "a/../b", "./a", "a\\b", "a\0"])(
      "A store refuses the key %j",
      async (key) => {
        await expect(store.put(key, text("x"))).rejects.toMatchObject({ code: "STORE_KEY_INVALID" });
      },
    );
  });
}
