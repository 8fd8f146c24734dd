import { cpSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { dataKey } from "../../../shared/connectors/arrow-table/data-files.ts";
import { ArrowTable } from "../../../shared/connectors/arrow-table/index.ts";
import {
  latestVersion,
  liveFiles,
  putEntry,
  readEntry,
  type StagedFile,
} from "../../../shared/connectors/arrow-table/log.ts";
import { readTable } from "../../../shared/connectors/arrow-table/read.ts";
import type { ArrowTableWriter } from "../../../shared/connectors/arrow-table/writer.ts";
import { DataSourceReader } from "../../../shared/contract/batch-reader.ts";
import type { BatchContext, TaskContext } from "../../../shared/contract/context.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { JsonValue } from "../../../shared/contract/json.ts";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import type { OpenBatch } from "../../../shared/contract/stream-writer.ts";
import { DirectoryStore } from "../../../shared/platform/embedded/directory-store.ts";
import { checkSource, runPipeline } from "../../../shared/testing/index.ts";
import { EngineWorld } from "../../support/engine.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { filesBelow } from "../../support/process.ts";
import { withStores } from "../../support/runtime.ts";
import { namedFiles, stagedFiles } from "../../support/table.ts";

const HOUR = 3_600_000;
const DEFAULTS = { pipeline: "orders", incarnation: "life-1", batchId: 0, attempt: 1 };

/** A table and those who write it. */
class Desk {
  readonly folder: string = temporaryFolder();
  readonly store: ObjectStore;
  readonly world: EngineWorld = new EngineWorld();
  readonly path: string = join(this.folder, "table");
  readonly table: ObjectStore;

  constructor(wrap: (store: ObjectStore) => ObjectStore = (store) => store) {
    this.store = wrap(new DirectoryStore(this.folder));
    this.table = this.store.at("table");
  }

  writer(ddl = "id bigint"): ArrowTableWriter {
    return new ArrowTable({}, withStores(this.world.ports().runtime)).streamWriter(
      parseDdl(ddl),
      false,
    ) as ArrowTableWriter;
  }

  context(overrides: Partial<BatchContext> = {}): BatchContext {
    return {
      ...DEFAULTS,
      commitTried: false,
      plannedAt: 0,
      store: this.store,
      openStore: (path) => new DirectoryStore(path),
      ...overrides,
    };
  }

  task(overrides: Partial<TaskContext> = {}): TaskContext {
    return {
      ...this.context(),
      partitionId: 0,
      attemptNumber: 0,
      signal: new AbortController().signal,
      ...overrides,
    };
  }

  async stage(
    ids: readonly number[],
    overrides: Partial<TaskContext> = {},
    ddl?: string,
  ): Promise<StagedFile> {
    async function* batches() {
      if (ids.length > 0)
        yield recordBatchOf(
          parseDdl(ddl ?? "id bigint"),
          ids.map((id) => [id]),
        );
    }
    return await this.writer(ddl).write(batches(), this.task(overrides));
  }

  async commit(
    messages: readonly (StagedFile | null)[],
    overrides: Partial<BatchContext> = {},
  ): Promise<JsonValue> {
    const context = this.context(overrides);
    return await this.writer().commit(messages, context.batchId, context);
  }

  async ids(): Promise<number[]> {
    const ids: number[] = [];
    for await (const batch of readTable(this.table))
      for (const row of rowsOf(batch)) ids.push(Number(row["id"]));
    return ids;
  }

  async vacuum(
    options: { olderThan?: number; open?: OpenBatch; dryRun?: boolean; incarnation?: string } = {},
  ) {
    return await this.writer().vacuum({
      ...this.context(options.incarnation === undefined ? {} : { incarnation: options.incarnation }),
      now: Date.now(),
      olderThan: options.olderThan ?? 0,
      dryRun: options.dryRun ?? false,
      readOpenBatch: async () => options.open,
    });
  }

  /** Makes a file look as old as that. */
  age(path: string, milliseconds: number): void {
    const then = (Date.now() - milliseconds) / 1000;
    utimesSync(join(this.path, path), then, then);
  }
}

/** A store that notes which of its methods, and of its parts', are called. */
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
  it("shows nothing of a batch before its commit, and all of it after", async () => {
    const desk = new Desk();
    const messages = [await desk.stage([1, 2]), await desk.stage([3], { partitionId: 1 })];
    expect(await desk.ids()).toEqual([]);
    await desk.commit(messages);
    expect(await desk.ids()).toEqual([1, 2, 3]);
  });

  it("has a log entry of each batch, also of one without rows", async () => {
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
      schema: { fields: [{ name: "id", type: "bigint", nullable: true }] },
      add: [{ path: staged.path, rows: 2, bytes: staged.bytes }],
      remove: [],
    });
    expect(await readEntry(desk.table, 1)).toMatchObject({ batchId: 1, add: [] });
  });

  it("adds a batch once, however often its commit is called, also after later batches", async () => {
    const desk = new Desk();
    const messages = [await desk.stage([1])];
    await desk.commit(messages);
    await desk.commit(messages);
    await desk.commit([await desk.stage([2], { batchId: 1 })], { batchId: 1 });
    await desk.commit(messages);
    expect(await desk.ids()).toEqual([1, 2]);
    expect(await latestVersion(desk.table)).toBe(1);
  });

  it("reads nothing of its log at a commit that has the hint of the one before", async () => {
    const calls: string[] = [];
    const desk = new Desk((store) => recorded(store, calls));
    const lastCommit = await desk.commit([await desk.stage([1])]);
    calls.length = 0;
    await desk.commit([], { batchId: 1, lastCommit });
    expect(calls).toEqual(["list", "put"]);
  });

  it("is not misled by a hint: batches that landed after it are found, and one of another table counts for nothing", async () => {
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
    await expect(changed.commit([], 3, desk.context({ batchId: 3, lastCommit }))).rejects.toMatchObject({
      code: "TABLE_SCHEMA_MISMATCH",
    });
  });

  it("says that its log is gone where it was at the last commit, instead of going on with a gap", async () => {
    const desk = new Desk();
    const lastCommit = await desk.commit([await desk.stage([1])]);
    rmSync(join(desk.path, "_log"), { recursive: true });
    await expect(desk.commit([], { batchId: 1, lastCommit })).rejects.toMatchObject({
      code: "TABLE_LOG_BROKEN",
    });
    expect(namedFiles(desk.path)).toEqual([]);
  });

  it("goes on where its home was moved to, in the middle of a batch", async () => {
    const desk = new Desk();
    const lastCommit = await desk.commit([await desk.stage([1])]);
    const staged = await desk.stage([2], { batchId: 1 });
    const moved = join(temporaryFolder(), "home");
    cpSync(desk.folder, moved, { recursive: true });
    const store = new DirectoryStore(moved);
    await desk.commit([staged], { batchId: 1, lastCommit, store });
    expect(namedFiles(join(moved, "table"))).toHaveLength(2);
  });

  it("takes the same batch id of another incarnation, and of another pipeline, as another batch", async () => {
    const desk = new Desk();
    await desk.commit([await desk.stage([1])]);
    await desk.commit([await desk.stage([2], { incarnation: "life-2" })], { incarnation: "life-2" });
    await desk.commit([await desk.stage([3], { pipeline: "clicks" })], { pipeline: "clicks" });
    expect(await desk.ids()).toEqual([1, 2, 3]);
  });

  it("keeps every batch of many pipelines that commit at once", async () => {
    const desk = new Desk();
    const pipelines = Array.from({ length: 12 }, (_, i) => `pipeline-${i}`);
    const staged = await Promise.all(pipelines.map((pipeline, i) => desk.stage([i], { pipeline })));
    await Promise.all(pipelines.map((pipeline, i) => desk.commit([staged[i] ?? null], { pipeline })));
    expect((await desk.ids()).sort((a, b) => a - b)).toEqual(pipelines.map((_, i) => i));
    expect(await latestVersion(desk.table)).toBe(11);
  });

  it("is not doubled by a commit whose answer was lost and that is tried again", async () => {
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

  it("refuses a batch of another schema, and says both", async () => {
    const desk = new Desk();
    await desk.commit([await desk.stage([1])]);
    const context = desk.context({ batchId: 1 });
    await expect(desk.writer("id string NOT NULL").commit([], 1, context)).rejects.toMatchObject({
      code: "TABLE_SCHEMA_MISMATCH",
      message: "the table has (id bigint), the batch has (id string NOT NULL)",
    });
  });

  it("leaves out the files that a later entry removes", async () => {
    const desk = new Desk();
    const staged = await desk.stage([1]);
    await desk.commit([staged]);
    const entry = await readEntry(desk.table, 0);
    await putEntry(desk.table, {
      ...entry,
      version: 1,
      batchId: 1,
      add: [],
      remove: [{ path: staged.path ?? "" }],
    });
    expect(await liveFiles(desk.table)).toEqual([]);
  });

  it("says which file is gone", async () => {
    const desk = new Desk();
    const staged = await desk.stage([1]);
    await desk.commit([staged]);
    await desk.table.delete([staged.path ?? ""]);
    await expect(desk.ids()).rejects.toMatchObject({
      code: "TABLE_FILE_MISSING",
      message: expect.stringContaining(staged.path ?? "") as string,
    });
  });

  it("has no file of a task whose rows broke off", async () => {
    const desk = new Desk();
    async function* rows() {
      yield recordBatchOf(parseDdl("id bigint"), [[1]]);
      throw new Error("the source broke");
    }
    await expect(desk.writer().write(rows(), desk.task())).rejects.toThrow("the source broke");
    expect(stagedFiles(desk.path)).toEqual([]);
  });

  it("lies where its path says", async () => {
    const desk = new Desk();
    const elsewhere = temporaryFolder();
    const writer = new ArrowTable({ path: elsewhere }, withStores(desk.world.ports().runtime)).streamWriter(
      parseDdl("id bigint"),
      false,
    );
    await writer.commit([], 0, desk.context());
    expect(await latestVersion(new DirectoryStore(elsewhere))).toBe(0);
  });

  it("refuses to end a batch on another table than the one it was staged in, and names both", async () => {
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

  it("refuses options that it does not know", async () => {
    await expect(parseOptions(ArrowTable, { paht: "x" })).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
      message: "arrow-table cannot use its options: paht: there is no such option (did you mean path?)",
    });
  });
});

describe("abort", () => {
  it("deletes what the tasks staged where no commit was tried, and nothing else", async () => {
    const desk = new Desk();
    const kept = await desk.stage([9], { attempt: 2 });
    const messages = [await desk.stage([1]), null, await desk.stage([2], { partitionId: 2 })];
    await desk.writer().abort(messages, 0, desk.context());
    await desk.writer().abort(messages, 0, desk.context());
    expect(stagedFiles(desk.path)).toEqual([kept.path]);
  });

  it("deletes nothing once a commit was tried: the entry of a zombie may still land, and finds its files", async () => {
    const desk = new Desk();
    const messages = [await desk.stage([1])];
    await desk.writer().abort(messages, 0, desk.context({ commitTried: true }));
    await desk.commit(messages);
    await desk.commit([await desk.stage([1], { attempt: 2 })], { attempt: 2 });
    expect(await desk.ids()).toEqual([1]);
  });
});

describe("vacuum", () => {
  const open = (overrides: Partial<OpenBatch> = {}): OpenBatch => ({
    lastTriedAttempt: 0,
    batchId: 1,
    attempt: 1,
    aborted: false,
    ...overrides,
  });

  it("removes files that no commit names, and spares those that one names", async () => {
    const desk = new Desk();
    const staged = await desk.stage([1]);
    await desk.stage([1], { attemptNumber: 1 });
    await desk.commit([staged]);
    expect(await desk.vacuum({ dryRun: true })).toMatchObject({ files: 1 });
    expect(stagedFiles(desk.path)).toHaveLength(2);
    expect(await desk.vacuum()).toMatchObject({ files: 1 });
    expect(stagedFiles(desk.path)).toEqual(namedFiles(desk.path));
  });

  it("spares files that are younger than asked", async () => {
    const desk = new Desk();
    const staged = await desk.stage([1]);
    await desk.commit([]);
    expect(await desk.vacuum({ olderThan: HOUR })).toEqual({ files: 0, bytes: 0 });
    desk.age(staged.path ?? "", 2 * HOUR);
    expect(await desk.vacuum({ olderThan: HOUR })).toEqual({ files: 1, bytes: staged.bytes });
  });

  it("spares the attempt at work, however old its files are", async () => {
    const desk = new Desk();
    const staged = await desk.stage([1], { batchId: 1 });
    desk.age(staged.path ?? "", 30 * 24 * HOUR);
    expect(await desk.vacuum({ open: open() })).toEqual({ files: 0, bytes: 0 });
    await desk.commit([staged], { batchId: 1 });
    expect(await desk.ids()).toEqual([1]);
  });

  it("removes at once what an attempt left that is over and whose commit was never begun", async () => {
    const desk = new Desk();
    await desk.stage([1], { batchId: 1 });
    expect(await desk.vacuum({ open: open(), dryRun: true })).toMatchObject({ files: 0 });
    expect(await desk.vacuum({ open: open({ aborted: true }), dryRun: true })).toMatchObject({ files: 1 });
    expect(await desk.vacuum({ open: open({ attempt: 2 }) })).toMatchObject({ files: 1 });
  });

  it("spares attempts whose commit was begun for as long as the batch is open, however old: it may be under way in a process that sleeps", async () => {
    const desk = new Desk();
    const messages = [await desk.stage([1], { batchId: 1 })];
    desk.age(messages[0]?.path ?? "", 30 * 24 * HOUR);
    expect(await desk.vacuum({ open: open({ aborted: true, lastTriedAttempt: 1 }) })).toMatchObject({
      files: 0,
    });
    expect(await desk.vacuum({ open: open({ attempt: 3, lastTriedAttempt: 2 }) })).toMatchObject({
      files: 0,
    });
    await desk.commit(messages, { batchId: 1 });
    expect(await desk.ids()).toEqual([1]);
  });

  it("does not believe a log that lacks a batch which the ledger calls closed", async () => {
    const desk = new Desk();
    await desk.stage([1]);
    expect(await desk.vacuum()).toMatchObject({ files: 0 });
  });

  it("removes uploads of files and of log entries that ended with their process", async () => {
    const desk = new Desk();
    await desk.commit([await desk.stage([1])]);
    const id = "00000000-0000-4000-8000-000000000000";
    const left = [`_log/${"0".repeat(20)}.json.${id}.upload`, `${dataKey(desk.task(), id)}.${id}.upload`];
    for (const path of left) writeFileSync(join(desk.path, path), "half");
    await desk.vacuum();
    expect(filesBelow(desk.path).filter((file) => file.endsWith(".upload"))).toEqual([]);
  });

  it("removes what earlier attempts of a batch left as soon as the batch has landed", async () => {
    const desk = new Desk();
    await desk.stage([1]);
    await desk.commit([await desk.stage([1], { attempt: 2 })], { attempt: 2 });
    expect(await desk.vacuum()).toMatchObject({ files: 1 });
    expect(await desk.ids()).toEqual([1]);
  });

  it("touches nothing of other pipelines and of other lives of this one", async () => {
    const desk = new Desk();
    await desk.stage([1], { pipeline: "clicks" });
    await desk.stage([1], { incarnation: "life-0" });
    expect(await desk.vacuum()).toMatchObject({ files: 0 });
    expect(stagedFiles(desk.path)).toHaveLength(2);
  });

  it("does not remove a file that is committed while it works", async () => {
    const desk = new Desk();
    const staged = await desk.stage([1]);
    await desk.writer().vacuum({
      ...desk.context(),
      now: Date.now(),
      olderThan: 0,
      dryRun: false,
      readOpenBatch: async () => {
        await desk.commit([staged]);
        return undefined;
      },
    });
    expect(await desk.ids()).toEqual([1]);
  });
});

describe("an Arrow table that is read", () => {
  it("has the schema and the rows of its newest version, each data file in one partition", async () => {
    const folder = temporaryFolder();
    class Numbers extends DataSource {
      override schema() {
        return "`n n` int NOT NULL, at timestamp";
      }
      override reader() {
        return new (class extends DataSourceReader<number> {
          override partitions() {
            return [1, 2];
          }
          override *read(n: number) {
            yield [n, "2026-11-21T00:00:00.000001Z"];
          }
        })();
      }
    }
    const options = { path: folder };
    const write = pipeline("write").read.format(Numbers).write.format(ArrowTable).options(options);
    await runPipeline(write.mode("append"));
    await runPipeline(write.mode("overwrite"));
    const copy = pipeline("copy")
      .read.format(ArrowTable)
      .options(options)
      .write.format(ArrowTable)
      .mode("append");
    const { rows, batches } = await runPipeline(copy);
    expect(rows).toEqual([1, 2].map((n) => ({ "n n": n, at: "2026-11-21T00:00:00.000001Z" })));
    expect(batches[0]?.partitions).toBe(1);
    await checkSource(ArrowTable, { options });
  });

  it("is named where it is not there, or its folder is not given", async () => {
    const copy = (path?: string) =>
      runPipeline(
        pipeline("copy")
          .read.format(ArrowTable)
          .options(path === undefined ? {} : { path })
          .write.format(ArrowTable),
      );
    await expect(copy(temporaryFolder())).rejects.toMatchObject({ code: "TABLE_NOT_FOUND" });
    await expect(copy()).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
  });
});
