import { describe, expect, it } from "vitest";
import {
  entryKey,
  type LogEntry,
  readEntry,
  removedPaths,
} from "../../../shared/connectors/arrow-table/log-entry.ts";
import { RANGE_BYTES, splitEntry } from "../../../shared/connectors/arrow-table/long-entry.ts";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import { MemoryStore, memoryObjects } from "../../../shared/platform/memory/memory-store.ts";
import { filesOf, LogDesk } from "./log-desk.ts";

const DAY = 86_400_000;
/** With eight files each, the table has more than two pages. */
const BATCHES = 2600;

async function keys(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await Array.fromAsync(store.list(prefix))).map(({ key }) => key);
}

/** Puts the data files that the log names, and `dead` files for each batch that no entry names. */
async function putFiles(desk: LogDesk, batches: number, files: number, dead: number): Promise<void> {
  for (let batchId = 0; batchId < batches; batchId++) {
    for (const { path } of filesOf("orders", batchId, files)) await desk.table.put(path, new Uint8Array(1));
    for (const { path } of filesOf("orders", batchId, dead))
      await desk.table.put(path.replace("-1-0-", "-1-1-"), new Uint8Array(1));
  }
}

describe("a vacuum in pages", () => {
  it("A vacuum of many files deletes those that no entry names, and no other, page by page", async () => {
    const desk = new LogDesk();
    for (let version = 0; version < BATCHES; version++) await desk.foreign(version, 5);
    await putFiles(desk, BATCHES, 5, 3);
    expect(await desk.vacuum({ dryRun: true })).toEqual({ files: 3 * BATCHES, bytes: 3 * BATCHES });
    expect(await desk.vacuum()).toEqual({ files: 3 * BATCHES, bytes: 3 * BATCHES });
    expect(await keys(desk.table, "data/")).toEqual((await desk.liveByLog()).sort());
    expect(await desk.vacuum()).toEqual({ files: 0, bytes: 0 });
    expect(await keys(desk.own, "")).toEqual([]);
  });

  it("A vacuum whose time is over says that more is left, and the next one goes on there", async () => {
    const desk = new LogDesk();
    for (let version = 0; version < BATCHES; version++) await desk.foreign(version, 5);
    await putFiles(desk, BATCHES, 5, 3);
    let removed = 0;
    let calls = 0;
    for (let more = true; more; calls++) {
      const stop = new AbortController();
      // The time is over after the first page was listed.
      const readOpenBatch = async () => {
        stop.abort();
        return undefined;
      };
      const result = await desk.vacuum({ signal: stop.signal, readOpenBatch });
      removed += result.files;
      more = result.more ?? false;
      expect(await keys(desk.own, "vacuum/")).toHaveLength(more ? 1 : 0);
    }
    expect([removed, calls]).toEqual([3 * BATCHES, 4]);
    expect(await keys(desk.table, "data/")).toEqual((await desk.liveByLog()).sort());
  });

  it("A vacuum whose stored position is damaged, or of another table, begins at the start", async () => {
    for (const text of [
      "",
      "{",
      JSON.stringify({ table: "elsewhere", version: 900, files: { folder: "x", after: "y" } }),
    ]) {
      const desk = new LogDesk();
      await desk.growTo(3);
      await putFiles(desk, 3, 2, 1);
      await desk.own.put("vacuum/000000000007.json", Buffer.from(text));
      expect(await desk.vacuum()).toMatchObject({ files: 3 });
      expect(await keys(desk.own, "")).toEqual([]);
    }
  });

  it("A vacuum keeps files that were removed lately, and deletes them when that is long enough ago", async () => {
    const desk = new LogDesk();
    await desk.growTo(300);
    await putFiles(desk, 300, 2, 0);
    desk.now += DAY;
    for (let i = 0; i < 300; i++) await desk.commit({ kind: "overwrite", files: 1 });
    const now = desk.now + DAY / 2;
    expect(await desk.vacuum({ now })).toEqual({ files: 0, bytes: 0 });
    expect(await desk.vacuum({ now: desk.now + 2 * DAY })).toMatchObject({ files: 600 });
  });

  it("A vacuum does not delete a file that is committed after its page was listed", async () => {
    const desk = new LogDesk();
    await desk.growTo(40);
    await putFiles(desk, 41, 2, 0);
    const readOpenBatch = async () => {
      if ((await desk.table.stat([entryKey(40)])).size === 0) await desk.commit({});
      return undefined;
    };
    expect(await desk.vacuum({ readOpenBatch })).toEqual({ files: 0, bytes: 0 });
    expect(await keys(desk.table, "data/")).toHaveLength(82);
  });

  it("A vacuum deletes what an adopted incarnation left, and keeps its committed files", async () => {
    const desk = new LogDesk();
    await desk.growTo(40);
    await putFiles(desk, 45, 2, 1);
    const life = { incarnation: "life-2", formerIncarnations: ["life-1"] };
    expect(await desk.vacuum(life)).toMatchObject({ files: 45 + 10 });
    expect(await keys(desk.table, "data/")).toEqual((await desk.liveByLog()).sort());
  });

  it("A vacuum needs no order of batches in a log that another program wrote", async () => {
    const desk = new LogDesk();
    for (let version = 0; version < 50; version++) await desk.foreign(version);
    for (const [version, batchId] of [
      [50, 70],
      [51, 3],
    ] as const) {
      const entry = JSON.parse(
        Buffer.from((await desk.table.get(entryKey(49))) ?? []).toString(),
      ) as LogEntry;
      const add = filesOf("orders", batchId, 4).slice(2);
      await desk.table.put(
        entryKey(version),
        Buffer.from(JSON.stringify({ ...entry, version, batchId, add })),
      );
    }
    await putFiles(desk, 50, 4, 0);
    await desk.vacuum();
    expect(await keys(desk.table, "data/")).toEqual(
      expect.arrayContaining(filesOf("orders", 3, 4).map(({ path }) => path)),
    );
  });

  it("A vacuum removes segments that no checkpoint names, and keeps the others", async () => {
    const desk = new LogDesk();
    await desk.growTo(600);
    const before = await keys(desk.table, "_checkpoints/segments/");
    await desk.vacuum();
    const after = await keys(desk.table, "_checkpoints/segments/");
    expect(after.length).toBeLessThan(before.length);
    expect(await desk.live()).toEqual(await desk.liveByLog());
    const calls = desk.calls.filter((call) => call.startsWith("get _log/"));
    desk.calls.length = 0;
    await desk.live();
    expect(calls.length).toBeGreaterThanOrEqual(0);
    expect(desk.calls.filter((call) => call.startsWith("getRange _log/")).length).toBeLessThan(34);
  });

  it("A vacuum of a table without checkpoints makes one, and a dry run does not", async () => {
    const desk = new LogDesk();
    for (let version = 0; version < 100; version++) await desk.foreign(version);
    await desk.vacuum({ dryRun: true });
    expect(await keys(desk.table, "_checkpoints/")).toEqual([]);
    await desk.vacuum();
    expect(await keys(desk.table, "_checkpoints/headers/")).toHaveLength(1);
  });
});

describe("a long log entry", () => {
  const long = 80_000;
  const entry = (removed: readonly { readonly path: string }[]) => ({
    version: 1,
    timestamp: "2026-11-21T03:00:00.000Z",
    operation: "overwrite",
    pipeline: 'a "quoted" [name] {',
    incarnation: "life-1",
    batchId: 1,
    format: 2,
    planId: "plan-1",
    start: { add: [{ path: "not a file" }], n: 1 },
    end: {},
    schema: { fields: [{ name: "id", type: "bigint", nullable: true }] },
    remove: removed,
    add: filesOf("orders", 1, 2),
  });
  const stored = async (value: unknown): Promise<MemoryStore> => {
    const table = new MemoryStore(memoryObjects(() => 0));
    const bytes = Buffer.from(JSON.stringify(value));
    expect(bytes.length).toBeGreaterThan(RANGE_BYTES);
    await table.put(entryKey(1), bytes);
    return table;
  };

  it("A long entry is read in parts, with all that it adds and removes", async () => {
    const removed = filesOf("orders", 0, long);
    const table = await stored(entry(removed));
    const read = await readEntry(table, 1);
    expect(read).toEqual({ ...entry([]), longRemove: long });
    expect(await Array.fromAsync(removedPaths(table, read))).toEqual(removed.map(({ path }) => path));
  });

  it.each([
    ["a path that leads out", (files: object[]) => files.with(70_000, { path: "../victim.txt" })],
    ["a null file", (files: object[]) => files.with(70_000, null as unknown as object)],
    ["a list as file", (files: object[]) => files.with(70_000, ["data/x.arrow"])],
    ["a file without a path", (files: object[]) => files.with(79_999, {})],
  ])("A long entry that removes %s is refused", async (_what, change) => {
    const table = await stored(entry(change(filesOf("orders", 0, long)) as never));
    await expect(readEntry(table, 1)).rejects.toMatchObject({ code: "TABLE_LOG_BROKEN" });
  });

  it("A long entry that is cut off, or is of another version, is refused", async () => {
    const table = new MemoryStore(memoryObjects(() => 0));
    const bytes = Buffer.from(JSON.stringify(entry(filesOf("orders", 0, long))));
    await table.put(entryKey(1), bytes.subarray(0, bytes.length - 5000));
    await table.put(entryKey(2), bytes);
    for (const version of [1, 2])
      await expect(readEntry(table, version)).rejects.toMatchObject({ code: "TABLE_LOG_BROKEN" });
  });

  it("The text of an entry is split in the same way, wherever its chunks end", async () => {
    const value = { x: 'a\\"[{', remove: [{ path: 'å"]}' }, { path: "b\\" }], add: [], y: [[{ add: [1] }]] };
    const bytes = Buffer.from(JSON.stringify(value));
    for (let size = 1; size <= bytes.length; size++) {
      async function* chunks() {
        for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
      }
      const parts = await Array.fromAsync(splitEntry(chunks()));
      const elements = parts.flatMap((part) => ("list" in part ? [JSON.parse(part.element) as unknown] : []));
      const rest = parts.map((part) => ("rest" in part ? part.rest : "")).join("");
      expect(elements).toEqual(value.remove);
      expect(JSON.parse(rest)).toEqual({ ...value, remove: [] });
    }
  });

  it("An overwrite of many files is put, read and vacuumed by those who have no checkpoint", async () => {
    const desk = new LogDesk();
    for (let version = 0; version < 40; version++) await desk.foreign(version, 2000);
    await desk.commit({ kind: "overwrite", pipeline: "copy", files: 3 });
    expect(await desk.live()).toHaveLength(3);
    await desk.table.delete(await keys(desk.table, "_checkpoints/headers/"));
    expect(await desk.live()).toEqual(await desk.liveByLog());
    await putFiles(desk, 40, 3, 1);
    expect(await desk.vacuum({ now: desk.now + DAY, olderThan: 2 * DAY })).toMatchObject({ files: 0 });
    expect(await desk.vacuum()).toMatchObject({ files: 160 });
  });
});
