import { describe, expect, it } from "vitest";
import { openLog, readHead } from "../../../shared/connectors/arrow-table/log.ts";
import { entryKey, type LogEntry, putEntry } from "../../../shared/connectors/arrow-table/log-entry.ts";
import { liveFiles } from "../../../shared/connectors/arrow-table/open-state.ts";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import { MemoryStore, memoryObjects } from "../../../shared/platform/memory/memory-store.ts";
import { LogDesk } from "./log-desk.ts";

const HEADERS = "_checkpoints/headers/";
const SEGMENTS = "_checkpoints/segments/";

async function keys(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await Array.fromAsync(store.list(prefix))).map(({ key }) => key);
}

describe("checkpoints", () => {
  it("A table with checkpoints has the files of its log after each of many commits", async () => {
    const desk = new LogDesk();
    for (let i = 0; i < 300; i++) {
      const kind = i % 97 === 96 ? "overwrite" : i % 41 === 40 ? "skip" : "append";
      await desk.commit({ kind, files: i % 5, pipeline: i % 3 === 0 ? "clicks" : "orders" });
      if (i % 13 === 0) expect(await desk.live()).toEqual(await desk.liveByLog());
    }
    expect(await desk.live()).toEqual(await desk.liveByLog());
    expect(await keys(desk.table, HEADERS)).toHaveLength(4);
  });

  it("A commit, an opening and a new pipeline cost as many requests at 3,000 entries as at 100", async () => {
    const costs: Record<string, number>[] = [];
    const desk = new LogDesk();
    for (const entries of [100, 1000, 3000]) {
      await desk.growTo(entries);
      costs.push(await desk.costs());
    }
    const [small, ...large] = costs;
    for (const cost of large) expect(cost).toEqual(small);
    expect(small?.["commit"]).toBe(2);
  });

  it.each([
    ["is gone", async (store: ObjectStore, key: string) => await store.delete([key])],
    [
      "is damaged",
      async (store: ObjectStore, key: string) => {
        const bytes = Buffer.from((await store.get(key)) ?? []);
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
        await store.delete([key]);
        await store.put(key, bytes);
      },
    ],
    [
      "is cut off",
      async (store: ObjectStore, key: string) => {
        const bytes = (await store.get(key)) ?? new Uint8Array();
        await store.delete([key]);
        await store.put(key, bytes.subarray(0, bytes.length >> 1));
      },
    ],
  ])(
    "A checkpoint of which a file %s is passed over, by readers and by the next checkpoint",
    async (_how, harm) => {
      for (const folder of [HEADERS, SEGMENTS]) {
        const desk = new LogDesk();
        await desk.growTo(200);
        for (const key of await keys(desk.table, folder)) await harm(desk.table, key);
        expect(await desk.live()).toEqual(await desk.liveByLog());
        await desk.growTo(264);
        await desk.commit({ kind: "overwrite", files: 2 });
        expect(await desk.live()).toEqual(await desk.liveByLog());
        await desk.growTo(330);
        expect(await desk.live()).toEqual(await desk.liveByLog());
      }
    },
  );

  it("A checkpoint of a newer format is passed over", async () => {
    const desk = new LogDesk();
    await desk.growTo(64);
    await desk.replaceHeaders((header) => ({ ...header, format: 2, segments: "elsewhere" }));
    expect(await desk.live()).toEqual(await desk.liveByLog());
  });

  it("A checkpoint is not believed if the log was restored to an earlier state and went on otherwise", async () => {
    const desk = new LogDesk();
    await desk.growTo(70);
    for (let version = 60; version < 70; version++) await desk.table.delete([entryKey(version)]);
    desk.forget();
    expect(await desk.live()).toEqual(await desk.liveByLog());
    for (let i = 0; i < 10; i++) await desk.foreign(60 + i);
    expect(await desk.live()).toEqual(await desk.liveByLog());
  });

  it("A checkpoint is not believed if an entry that it covers has another size", async () => {
    const desk = new LogDesk();
    await desk.growTo(40);
    await desk.table.delete([entryKey(5)]);
    await desk.table.put(entryKey(5), Buffer.from('{"version":5}'));
    await expect(desk.live()).rejects.toMatchObject({ code: "TABLE_LOG_BROKEN" });
    await expect(readHead(desk.table)).rejects.toMatchObject({ code: "TABLE_LOG_BROKEN" });
    await expect(desk.commit({})).rejects.toMatchObject({ code: "TABLE_LOG_BROKEN" });
  });

  it.each([0, 1, 17, 30, 45, 63, 98])(
    "A log without version %i of 100 is refused by commits, readers and vacuum before they write",
    async (version) => {
      const desk = new LogDesk();
      await desk.growTo(100);
      await desk.table.delete([entryKey(version)]);
      const before = await keys(desk.table, "");
      const broken = {
        code: "TABLE_LOG_BROKEN",
        message: expect.stringContaining(entryKey(version)) as string,
      };
      await expect(desk.live()).rejects.toMatchObject(broken);
      await expect(readHead(desk.table)).rejects.toMatchObject(broken);
      await expect(desk.commit({})).rejects.toMatchObject(broken);
      await expect(desk.commit({ kind: "overwrite" })).rejects.toMatchObject(broken);
      await expect(desk.commit({ pipeline: "new" })).rejects.toMatchObject(broken);
      await expect(desk.vacuum()).rejects.toMatchObject(broken);
      expect(await keys(desk.table, "")).toEqual(before);
    },
  );

  it.each(["", "\n", "{}", '{"version":3}'])(
    "A log whose entry became %j is refused by commits, readers and vacuum before they write",
    async (text) => {
      for (const version of [0, 7, 19]) {
        const desk = new LogDesk();
        await desk.growTo(20);
        await desk.table.delete([entryKey(version)]);
        await desk.table.put(entryKey(version), Buffer.from(text));
        const before = await keys(desk.table, "");
        for (const work of [
          () => desk.live(),
          () => readHead(desk.table),
          () => desk.commit({}),
          () => desk.commit({ kind: "overwrite" }),
          () => desk.commit({ pipeline: "new" }),
          () => desk.vacuum(),
        ])
          await expect(work()).rejects.toMatchObject({ code: "TABLE_LOG_BROKEN" });
        expect(await keys(desk.table, "")).toEqual(before);
      }
    },
  );

  it("A vacuum and a reader without checkpoints find a hole far below the newest entries", async () => {
    const desk = new LogDesk();
    await desk.growTo(600);
    await desk.table.delete([entryKey(100)]);
    const broken = { code: "TABLE_LOG_BROKEN", message: expect.stringContaining(entryKey(100)) as string };
    await expect(desk.vacuum()).rejects.toMatchObject(broken);
    await desk.table.delete(await keys(desk.table, HEADERS));
    await expect(desk.live()).rejects.toMatchObject(broken);
  });

  it("A commit succeeds if no checkpoint can be written", async () => {
    const store = new MemoryStore(memoryObjects(() => 0));
    const put = store.put.bind(store);
    const desk = new LogDesk(
      Object.assign(store, {
        put: async (key: string, body: Uint8Array) => {
          if (key.startsWith("_checkpoints/")) throw new Error("no right to write");
          return await put(key, body);
        },
      }),
    );
    await desk.growTo(70);
    await desk.commit({ kind: "overwrite" });
    expect(await desk.live()).toEqual(await desk.liveByLog());
    expect(await keys(desk.table, "_checkpoints/")).toEqual([]);
  });

  it("A table that an older version wrote is summarized step by step, and at once for who needs all", async () => {
    const desk = new LogDesk();
    for (let version = 0; version < 5000; version++) await desk.foreign(version);
    const known = { version: 4999, newest: { incarnation: "life-1", batchId: 4999, planId: "plan-4999" } };
    expect(await openLog(desk.table, "orders", known)).toMatchObject({ latest: 4999 });
    expect(await keys(desk.table, "_checkpoints/")).toEqual([]);
    await openLog(desk.table, "new");
    expect((await keys(desk.table, HEADERS)).at(-1)).toMatch(/\/0{16}4999-/);
    expect(await desk.live()).toEqual(await desk.liveByLog());
  });

  it("A hint of a version without a mark is enough for a commit to read a bounded part of the log", async () => {
    const desk = new LogDesk();
    for (let version = 0; version < 1000; version++) await desk.foreign(version);
    const entry = JSON.parse(Buffer.from((await desk.table.get(entryKey(999))) ?? []).toString()) as LogEntry;
    const { incarnation, batchId, planId = "" } = entry;
    desk.calls.length = 0;
    await openLog(desk.table, "orders", { version: 999, newest: { incarnation, batchId, planId } });
    expect(desk.calls.length).toBeLessThan(300);
  });

  it("A live list keeps its order and its first files are there before the last segment is read", async () => {
    const desk = new LogDesk();
    for (let version = 0; version < 200; version++) await desk.foreign(version, 500);
    await openLog(desk.table, "new");
    expect((await keys(desk.table, SEGMENTS)).length).toBeGreaterThan(3);
    desk.calls.length = 0;
    for await (const { path } of liveFiles(desk.table)) {
      expect(path).toContain("000000000000-000000-");
      break;
    }
    expect(desk.calls.filter((call) => call.includes(SEGMENTS)).length).toBeLessThanOrEqual(2);
    const { entries } = await desk.table
      .get(entryKey(7))
      .then((bytes) => ({ entries: JSON.parse(Buffer.from(bytes ?? []).toString()) as LogEntry }));
    await putEntry(desk.table, { ...entries, version: 200, batchId: 200, add: [], remove: entries.add });
    expect(await desk.live()).toEqual(await desk.liveByLog());
  });
});
