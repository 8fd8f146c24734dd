import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { ArrowTable } from "../../../shared/connectors/arrow-table/index.ts";
import { readHead } from "../../../shared/connectors/arrow-table/log.ts";
import { putEntry, readEntry } from "../../../shared/connectors/arrow-table/log-entry.ts";
import { liveFiles } from "../../../shared/connectors/arrow-table/open-state.ts";
import { filesOf } from "../../../shared/connectors/kit/staging.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { JsonValue } from "../../../shared/contract/json.ts";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { DirectoryStore } from "../../../shared/platform/embedded/directory-store.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { withStores } from "../../support/runtime.ts";
import { namedFiles, stagedFiles } from "../../support/table.ts";
import { Desk, pathOf } from "./table-desk.ts";

/**
 * Wraps a store and records the calls of its methods. The stores that `at` returns are wrapped too.
 */
function recorded(store: ObjectStore, calls: string[]): ObjectStore {
  return new Proxy(store, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (property === "at") return recorded(target.at(String(args[0])), calls);
        calls.push(String(property));
        return (value as (...a: unknown[]) => unknown).apply(target, args);
      };
    },
  });
}

describe("an Arrow table", () => {
  it("An Arrow table shows no row of a batch before its commit, and all rows after it", async () => {
    const desk = new Desk();
    const messages = [await desk.stage([1, 2]), await desk.stage([3], { partitionId: 1 })];
    expect(await desk.ids()).toEqual([]);
    await desk.commit(messages);
    expect(await desk.ids()).toEqual([1, 2, 3]);
  });

  it("An Arrow table has a log entry for each batch, also for one without rows", async () => {
    const desk = new Desk();
    const staged = await desk.stage([1, 2]);
    await desk.commit([staged, await desk.stage([], { partitionId: 1 })]);
    await desk.commit([await desk.stage([], { batchId: 1 })], { batchId: 1 });
    expect(await readEntry(desk.table, 0)).toEqual({
      version: 0,
      timestamp: "2026-11-21T00:00:00.000Z",
      operation: "append",
      pipeline: "orders",
      incarnation: "life-1",
      batchId: 0,
      format: 2,
      planId: "plan-0",
      start: { n: 0 },
      end: { n: 10 },
      schema: { fields: [{ name: "id", type: "bigint", nullable: true }] },
      add: filesOf(staged),
      remove: [],
    });
    expect(await readEntry(desk.table, 1)).toMatchObject({ batchId: 1, add: [] });
  });

  it("An Arrow table adds a batch once, however often its commit is called, and not after later batches", async () => {
    const desk = new Desk();
    const messages = [await desk.stage([1])];
    await desk.commit(messages);
    await desk.commit(messages);
    await desk.commit([await desk.stage([2], { batchId: 1 })], { batchId: 1 });
    await expect(desk.commit(messages)).rejects.toMatchObject({ code: "LEDGER_BEHIND_SINK" });
    expect(await desk.ids()).toEqual([1, 2]);
    expect(await readHead(desk.table)).toMatchObject({ version: 1 });
  });

  it("A commit with the hint of the last one reads no entry of the log", async () => {
    const calls: string[] = [];
    const desk = new Desk((store) => recorded(store, calls));
    const lastCommit = await desk.commit([await desk.stage([1])]);
    calls.length = 0;
    await desk.commit([null], { batchId: 1, lastCommit });
    expect(calls).toEqual(["stat", "put"]);
  });

  it("A wrong hint does not mislead a commit: it finds later batches and ignores those of another table", async () => {
    const desk = new Desk();
    const lastCommit = await desk.commit([await desk.stage([1])]);
    await desk.commit([await desk.stage([7], { pipeline: "clicks" })], { pipeline: "clicks" });
    const second = [await desk.stage([2], { batchId: 1 })];
    await desk.commit(second, { batchId: 1, lastCommit });
    await desk.commit(second, { batchId: 1, lastCommit });
    const elsewhere = { ...(lastCommit as object), table: "/elsewhere", version: 99, batchId: 99 };
    await desk.commit([await desk.stage([3], { batchId: 2 })], { batchId: 2, lastCommit: elsewhere });
    expect(await desk.ids()).toEqual([1, 7, 2, 3]);
    const changed = desk.writer("id string");
    await expect(changed.commit([null], 3, desk.context({ batchId: 3, lastCommit }))).rejects.toMatchObject({
      code: "TABLE_SCHEMA_MISMATCH",
    });
  });

  it("A commit fails if the log that the last commit wrote is gone, instead of leaving a gap", async () => {
    const desk = new Desk();
    const lastCommit = await desk.commit([await desk.stage([1])]);
    rmSync(join(desk.path, "_log"), { recursive: true });
    await expect(desk.commit([null], { batchId: 1, lastCommit })).rejects.toMatchObject({
      code: "SINK_BEHIND_LEDGER",
    });
    expect(namedFiles(desk.path)).toEqual([]);
  });

  it("A batch continues after its home was moved in the middle of it", async () => {
    const desk = new Desk();
    const lastCommit = await desk.commit([await desk.stage([1])]);
    const staged = await desk.stage([2], { batchId: 1 });
    const moved = join(temporaryFolder(), "home");
    cpSync(desk.folder, moved, { recursive: true });
    const store = new DirectoryStore(moved);
    await desk.commit([staged], { batchId: 1, lastCommit, store });
    expect(namedFiles(join(moved, "table"))).toHaveLength(2);
  });

  it("An Arrow table takes the same batch id of another pipeline as another batch", async () => {
    const desk = new Desk();
    await desk.commit([await desk.stage([1])]);
    await desk.commit([await desk.stage([3], { pipeline: "clicks" })], { pipeline: "clicks" });
    expect(await desk.ids()).toEqual([1, 3]);
  });

  it("An Arrow table refuses the first batch of another life, and takes it if it follows the newest one", async () => {
    const desk = new Desk();
    await desk.commit([await desk.stage([1])]);
    const life = { incarnation: "life-2" };
    const second = [await desk.stage([2], life)];
    await expect(desk.commit(second, life)).rejects.toMatchObject({ code: "LEDGER_BEHIND_SINK" });
    expect(await desk.ids()).toEqual([1]);
    const follows = { incarnation: "life-1", batchId: 0, planId: "plan-0" };
    await desk.commit(second, { ...life, batchId: 1, follows, formerIncarnations: ["life-1"] });
    expect(await desk.ids()).toEqual([1, 2]);
  });

  it("An Arrow table takes no batch of an id that another plan has used", async () => {
    const desk = new Desk();
    await desk.commit([], { planId: "plan-of-skip" });
    const late = desk.commit([await desk.stage([1])]);
    await expect(late).rejects.toMatchObject({ code: "LEDGER_BEHIND_SINK" });
    expect(await desk.ids()).toEqual([]);
  });

  it("A skipped batch leaves the table's schema as it is, and the next commit compares it again", async () => {
    const desk = new Desk();
    const first = await desk.commit([await desk.stage([1])]);
    const skipped = desk.context({ batchId: 1, lastCommit: first });
    const lastCommit = (await desk.writer("id string").commit([], 1, skipped)) as JsonValue;
    expect((await readEntry(desk.table, 1)).schema).toEqual((await readEntry(desk.table, 0)).schema);
    const next = desk.context({ batchId: 2, lastCommit });
    await expect(desk.writer("id string").commit([null], 2, next)).rejects.toMatchObject({
      code: "TABLE_SCHEMA_MISMATCH",
    });
  });

  it("An Arrow table keeps every batch of many pipelines that commit at once", async () => {
    const desk = new Desk();
    const pipelines = Array.from({ length: 12 }, (_, i) => `pipeline-${i}`);
    const staged = await Promise.all(pipelines.map((pipeline, i) => desk.stage([i], { pipeline })));
    await Promise.all(pipelines.map((pipeline, i) => desk.commit([staged[i] ?? null], { pipeline })));
    expect((await desk.ids()).sort((a, b) => a - b)).toEqual(pipelines.map((_, i) => i));
    expect(await readHead(desk.table)).toMatchObject({ version: 11 });
  });

  it("A commit whose answer was lost and that is tried again does not double the batch", async () => {
    let lost = true;
    const desk = new Desk((store) => {
      const put = store.put.bind(store);
      const at = store.at.bind(store);
      store.at = (folder) => {
        const part = at(folder);
        const partPut = part.put.bind(part);
        part.put = async (key, body) => {
          const created = await partPut(key, body);
          if (key.startsWith("_log/") && lost) {
            lost = false;
            throw new Error("connection reset");
          }
          return created;
        };
        return part;
      };
      store.put = put;
      return store;
    });
    const messages = [await desk.stage([1])];
    await expect(desk.commit(messages)).rejects.toThrow("connection reset");
    expect(await desk.writer().hasCommitted(0, desk.context())).toBe(true);
    await desk.commit(messages);
    expect(await desk.ids()).toEqual([1]);
  });

  it("An Arrow table refuses a batch of another schema and names the columns that differ", async () => {
    const desk = new Desk();
    await desk.commit([await desk.stage([1])]);
    const context = desk.context({ batchId: 1 });
    await expect(desk.writer("id string NOT NULL").commit([null], 1, context)).rejects.toMatchObject({
      code: "TABLE_SCHEMA_MISMATCH",
      message: 'the columns of the rows are not those of the table: "id" was bigint and is string',
    });
  });

  it("An Arrow table leaves out the files that a later entry removes", async () => {
    const desk = new Desk();
    const staged = await desk.stage([1]);
    await desk.commit([staged]);
    const entry = await readEntry(desk.table, 0);
    await putEntry(desk.table, {
      ...entry,
      version: 1,
      batchId: 1,
      add: [],
      remove: [{ path: pathOf(staged) }],
    });
    expect(await Array.fromAsync(liveFiles(desk.table))).toEqual([]);
  });

  it("An Arrow table names a file that is gone", async () => {
    const desk = new Desk();
    const staged = await desk.stage([1]);
    await desk.commit([staged]);
    await desk.table.delete([pathOf(staged)]);
    await expect(desk.ids()).rejects.toMatchObject({
      code: "TABLE_FILE_MISSING",
      message: expect.stringContaining(pathOf(staged)) as string,
    });
  });

  it("An Arrow table has no file of a task whose rows ended with an error", async () => {
    const desk = new Desk();
    async function* rows() {
      yield recordBatchOf(parseDdl("id bigint"), [[1]]);
      throw new Error("the source broke");
    }
    await expect(desk.writer().write(rows(), desk.task())).rejects.toThrow("the source broke");
    expect(stagedFiles(desk.path)).toEqual([]);
  });

  it("An Arrow table is in the folder that its path names", async () => {
    const desk = new Desk();
    const elsewhere = temporaryFolder();
    const writer = new ArrowTable({ path: elsewhere }, withStores(desk.world.ports().runtime)).streamWriter(
      parseDdl("id bigint"),
      false,
    );
    await writer.commit([], 0, desk.context());
    expect(await readHead(new DirectoryStore(elsewhere))).toMatchObject({ version: 0 });
  });

  it("An Arrow table refuses to end a batch that was staged in another table, and names both", async () => {
    const desk = new Desk();
    const staged = await desk.stage([1]);
    const elsewhere = temporaryFolder();
    const writer = new ArrowTable({ path: elsewhere }, withStores(desk.world.ports().runtime)).streamWriter(
      parseDdl("id bigint"),
      false,
    );
    await expect(writer.commit([staged], 0, desk.context())).rejects.toMatchObject({
      code: "TABLE_MOVED",
      message: `the batch was staged in the pipeline's own folder, the table is now ${elsewhere}`,
    });
  });

  it("An Arrow table refuses options that it does not know", async () => {
    await expect(parseOptions(ArrowTable, { paht: "x" })).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
      message: "arrow-table cannot use its options: paht: there is no such option (did you mean path?)",
    });
  });
});
