import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { commitChange } from "../shared/connectors/arrow-table/commit.ts";
import { type KnownLog, openLog, readHead } from "../shared/connectors/arrow-table/log.ts";
import type { LogEntry, LogFile } from "../shared/connectors/arrow-table/log-entry.ts";
import { liveFiles } from "../shared/connectors/arrow-table/open-state.ts";
import { tableSchemaOf } from "../shared/connectors/arrow-table/stored-schema.ts";
import { vacuumTable } from "../shared/connectors/arrow-table/vacuum.ts";
import type { BatchContext } from "../shared/contract/context.ts";
import { parseDdl } from "../shared/contract/ddl/parse.ts";
import type { ObjectStore } from "../shared/contract/object-store.ts";
import { DirectoryStore } from "../shared/platform/embedded/directory-store.ts";

/**
 * `node bench/log.ts`: the time, the peak memory and the requests of the operations on an Arrow
 * table of 1,000, 20,000 and 200,000 log entries of five files each. Each operation runs in a
 * process of its own. The table is in a folder, and its data files are empty, because no operation
 * reads them.
 */

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    entries: { type: "string", default: "1000,20000,200000" },
    files: { type: "string", default: "5" },
    /** Megabytes of JavaScript's heap. A function of 512 MB has about this. */
    heap: { type: "string", default: "300" },
  },
});
const FILES = Number(flags.files);
const INCARNATION = "3f0c6b52-7d1e-4a8b-9c55-0e6f2d1a7b34";
const DAY = 86_400_000;
const NOW = Date.parse("2026-11-21T00:00:00.000Z");
const schema = tableSchemaOf(parseDdl("id bigint NOT NULL, time timestamp, mag double, place string"));

function filesOf(batchId: number, pipeline = "orders"): LogFile[] {
  return Array.from({ length: FILES }, (_, i) => {
    const batch = String(batchId).padStart(12, "0");
    const id = `${batch}-${String(i).padStart(6, "0")}-1-0-8d9e0c1b-2a3f-4b5c-8d7e-${batch}`;
    return { path: `data/${pipeline}/${INCARNATION}/${id}.arrow`, rows: 500, bytes: 40_960 };
  });
}

function entryOf(version: number, count: number): LogEntry {
  return {
    version,
    format: 2,
    timestamp: new Date(NOW - (count - version) * 60_000).toISOString(),
    operation: "append",
    pipeline: "orders",
    incarnation: INCARNATION,
    batchId: version,
    planId: `5820c1d6-0000-4000-8000-${String(version).padStart(12, "0")}`,
    start: { id: version * 500 },
    end: { id: (version + 1) * 500 },
    ...schema,
    add: filesOf(version),
    remove: [],
  };
}

/** Writes a table without checkpoints, as older versions did. */
function writeTable(folder: string, count: number): void {
  mkdirSync(join(folder, "_log"), { recursive: true });
  const data = join(folder, "data/orders", INCARNATION);
  mkdirSync(data, { recursive: true });
  for (let version = 0; version < count; version++) {
    const entry = entryOf(version, count);
    const name = `${String(version).padStart(20, "0")}.json`;
    writeFileSync(join(folder, "_log", name), `${JSON.stringify(entry)}\n`);
    for (const { path } of entry.add) writeFileSync(join(folder, path), "");
    // An attempt that failed, which vacuum removes.
    const dead = `${String(version).padStart(12, "0")}-000000-1-0-00000000-0000-4000-8000-000000000000.arrow`;
    if (version % 20 === 0) writeFileSync(join(data, dead), "");
  }
}

function batchOf(pipeline: string, version: number): BatchContext {
  const follows = {
    incarnation: INCARNATION,
    batchId: version - 1,
    planId: entryOf(version - 1, version).planId,
  };
  const isNew = pipeline !== "orders";
  return {
    pipeline,
    incarnation: INCARNATION,
    batchId: isNew ? 0 : version,
    planId: entryOf(version, version).planId,
    start: { id: version * 500 },
    end: { id: (version + 1) * 500 },
    ...(isNew ? {} : { follows }),
    continuity: isNew ? "independent" : "strict",
    formerIncarnations: [],
  } as unknown as BatchContext;
}

/** The next batch of the pipeline `orders`, and what its last commit left. */
interface Position {
  version: number;
  known?: KnownLog;
}

/** Counts requests as S3 would bill them. */
class Counted {
  requests = 0;
  readonly store: ObjectStore;

  constructor(inner: ObjectStore) {
    const one = <A extends unknown[], R>(call: (...args: A) => Promise<R>) => {
      return async (...args: A): Promise<R> => {
        this.requests++;
        return await call(...args);
      };
    };
    this.store = {
      location: inner.location,
      put: one((...args) => inner.put(...args)),
      get: one((...args) => inner.get(...args)),
      getRange: one((...args) => inner.getRange(...args)),
      stat: one((keys) => inner.stat(keys)),
      delete: async (keys) => {
        this.requests += Math.ceil(keys.length / 1000);
        await inner.delete(keys);
      },
      list: (prefix, options) => this.#pages(inner.list(prefix, options)),
      listUnfinished: (prefix) => this.#pages(inner.listUnfinished(prefix)),
      abandon: one((upload) => inner.abandon(upload)),
      at: (folder) => inner.at(folder),
    };
  }

  async *#pages<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
    let count = 0;
    this.requests++;
    for await (const item of items) {
      if (count++ % 1000 === 999) this.requests++;
      yield item;
    }
  }
}

async function commit(
  table: ObjectStore,
  position: Position,
  kind: "append" | "overwrite",
  pipeline = "orders",
): Promise<string> {
  const { known } = pipeline === "orders" ? position : {};
  const batchId = pipeline === "orders" ? position.version : 0;
  const batch = batchOf(pipeline, batchId);
  const { version, mark } = await commitChange(table, {
    batch,
    change: { kind, schema, add: filesOf(batchId, pipeline) },
    known,
    isSchemaKnown: known !== undefined,
    isBehind: false,
    now: () => NOW,
  });
  if (pipeline === "orders") {
    position.version++;
    const { incarnation, planId } = batch;
    position.known = { version, newest: { incarnation, batchId, planId }, mark };
  }
  return `version ${version}`;
}

async function vacuum(table: ObjectStore): Promise<string> {
  const own = new DirectoryStore(join(table.location, "../own"));
  const { files, more } = await vacuumTable(table, {
    pipeline: "orders",
    incarnation: INCARNATION,
    store: own,
    openStore: () => own,
    // The files were made just now.
    now: Date.now() + 2 * DAY,
    olderThan: DAY,
    formerIncarnations: [],
    dryRun: false,
    readOpenBatch: async () => undefined,
  });
  return `${files} files${more ? ", more is left" : ""}`;
}

type Operation = (table: ObjectStore, position: Position) => Promise<string>;

async function open(table: ObjectStore): Promise<string> {
  return `version ${(await readHead(table))?.version}`;
}

const append: Operation = (table, position) => commit(table, position, "append");

/** In their order, because each begins with what the ones before have left. */
const OPERATIONS: readonly (readonly [string, Operation])[] = [
  ["open, no checkpoint", open],
  ["commit, no checkpoint", append],
  [
    "first commit of a pipeline, no checkpoint",
    (table, position) => commit(table, position, "append", "clicks"),
  ],
  ["open", open],
  ["commit", append],
  ["commit without a hint", async (table) => `version ${(await openLog(table, "orders")).latest}`],
  ["first commit of a pipeline", (table, position) => commit(table, position, "append", "views")],
  [
    "first file of cat",
    async (table) => {
      for await (const { path } of liveFiles(table)) return path.slice(-20);
      return "none";
    },
  ],
  ["all files of a reader", async (table) => `${(await Array.fromAsync(liveFiles(table))).length} files`],
  ["vacuum", vacuum],
  ["vacuum again", vacuum],
  ["overwrite", (table, position) => commit(table, position, "overwrite")],
  ["open after the overwrite", open],
  ["commit after the overwrite", append],
  ["vacuum after the overwrite", vacuum],
];

/** Runs one operation in this process and prints what it took. */
async function runOne(folder: string, name: string): Promise<void> {
  const operation = OPERATIONS.find(([one]) => one === name)?.[1];
  if (operation === undefined) throw new Error(`there is no operation ${name}`);
  const path = join(folder, "position.json");
  const position = JSON.parse(readFileSync(path, "utf8")) as Position;
  const counted = new Counted(new DirectoryStore(join(folder, "table")));
  const start = performance.now();
  const result = await operation(counted.store, position);
  const milliseconds = performance.now() - start;
  writeFileSync(path, JSON.stringify(position));
  const { requests } = counted;
  console.log(JSON.stringify({ milliseconds, requests, result, kilobytes: process.resourceUsage().maxRSS }));
}

function runAll(): void {
  for (const count of flags.entries.split(",").map(Number)) {
    const folder = mkdtempSync(join(tmpdir(), "millrace-log-"));
    try {
      console.log(`\n${count} entries, ${count * FILES} files`);
      writeTable(join(folder, "table"), count);
      const { incarnation, batchId, planId = "" } = entryOf(count - 1, count);
      const known: KnownLog = { version: count - 1, newest: { incarnation, batchId, planId } };
      writeFileSync(join(folder, "position.json"), JSON.stringify({ version: count, known }));
      for (const [name] of OPERATIONS) {
        const heap = `--max-old-space-size=${flags.heap}`;
        const self = fileURLToPath(import.meta.url);
        const output = execFileSync(process.execPath, [heap, self, folder, name, `--files=${FILES}`]);
        const { milliseconds, requests, result, kilobytes } = JSON.parse(String(output)) as Record<
          string,
          number
        >;
        const seconds = ((milliseconds ?? 0) / 1000).toFixed(2);
        const megabytes = Math.round((kilobytes ?? 0) / 1024);
        console.log(
          `${name.padEnd(44)}${seconds.padStart(8)} s${String(megabytes).padStart(6)} MB${String(requests).padStart(8)} requests  ${result}`,
        );
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

const [folder, operation] = positionals;
if (folder === undefined || operation === undefined) runAll();
else await runOne(folder, operation);
