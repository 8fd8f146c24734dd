import { type Committed, commitChange } from "../../../shared/connectors/arrow-table/commit.ts";
import type { KnownLog } from "../../../shared/connectors/arrow-table/log.ts";
import { openLog, readHead } from "../../../shared/connectors/arrow-table/log.ts";
import { entryKey, type LogEntry, type LogFile } from "../../../shared/connectors/arrow-table/log-entry.ts";
import { liveFiles } from "../../../shared/connectors/arrow-table/open-state.ts";
import { tableSchemaOf } from "../../../shared/connectors/arrow-table/stored-schema.ts";
import { vacuumTable } from "../../../shared/connectors/arrow-table/vacuum.ts";
import type { BatchContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import type { VacuumContext, VacuumResult } from "../../../shared/contract/stream-writer.ts";
import { MemoryStore, memoryObjects } from "../../../shared/platform/memory/memory-store.ts";

const DAY = 86_400_000;
const START = Date.parse("2026-11-21T00:00:00.000Z");
const schema = tableSchemaOf(parseDdl("id bigint"));

export interface Change {
  readonly kind?: "append" | "overwrite" | "skip";
  readonly files?: number;
  readonly pipeline?: string;
}

interface Life {
  batchId: number;
  known?: KnownLog & { readonly isBehind: boolean };
}

/** A table of log entries without data files, whose store counts the calls. */
export class LogDesk {
  readonly calls: string[] = [];
  readonly table: ObjectStore;
  /** The store of the pipeline that vacuums. */
  readonly own = new MemoryStore(memoryObjects(() => START));
  now = START;
  #lives = new Map<string, Life>();

  constructor(table: ObjectStore = new MemoryStore(memoryObjects(() => START))) {
    this.table = counted(table, this.calls);
  }

  /** Commits the next batch of a pipeline, with what its last commit left. */
  async commit({ kind = "append", files = 2, pipeline = "orders" }: Change): Promise<Committed> {
    const life = this.#lives.get(pipeline) ?? { batchId: 0 };
    const { batchId, known } = life;
    const identity = { pipeline, incarnation: "life-1", batchId, planId: `plan-${batchId}` };
    const follows = { incarnation: "life-1", batchId: batchId - 1, planId: `plan-${batchId - 1}` };
    const batch = {
      ...identity,
      start: { n: batchId },
      end: { n: batchId + 1 },
      ...(batchId === 0 ? {} : { follows }),
      continuity: "strict",
      formerIncarnations: [],
    } as unknown as BatchContext;
    const committed = await commitChange(this.table, {
      batch,
      change: { kind, schema, add: kind === "skip" ? [] : filesOf(pipeline, batchId, files) },
      known,
      isSchemaKnown: true,
      isBehind: known?.isBehind ?? false,
      now: () => this.now,
    });
    const { version, mark, isBehind } = committed;
    this.#lives.set(pipeline, {
      batchId: batchId + 1,
      known: { version, newest: identity, mark, isBehind },
    });
    return committed;
  }

  /** Forgets what commits have left, as after a crash. */
  forget(): void {
    this.#lives = new Map();
  }

  async growTo(entries: number): Promise<void> {
    for (let version = (await readHead(this.table))?.version ?? -1; version < entries - 1; )
      ({ version } = await this.commit({}));
  }

  /** Puts an entry without a checkpoint, as older versions did. */
  async foreign(version: number, files = 2): Promise<void> {
    const entry: LogEntry = {
      version,
      format: 2,
      timestamp: new Date(this.now).toISOString(),
      operation: "append",
      pipeline: "orders",
      incarnation: "life-1",
      batchId: version,
      planId: `plan-${version}`,
      start: { n: version },
      end: { n: version + 1 },
      ...schema,
      add: filesOf("orders", version, files),
      remove: [],
    };
    await this.table.put(entryKey(version), Buffer.from(JSON.stringify(entry)));
  }

  async live(): Promise<string[]> {
    return (await Array.fromAsync(liveFiles(this.table))).map(({ path }) => path);
  }

  /** Returns the live files by the definition of the format: adds less removes of all entries. */
  async liveByLog(): Promise<string[]> {
    const live = new Set<string>();
    for await (const { key } of this.table.list("_log/")) {
      const entry = JSON.parse(Buffer.from((await this.table.get(key)) ?? []).toString()) as LogEntry;
      for (const { path } of entry.remove) live.delete(path);
      for (const { path } of entry.add) live.add(path);
    }
    return [...live];
  }

  async vacuum(overrides: Partial<VacuumContext> = {}): Promise<VacuumResult> {
    return await vacuumTable(this.table, {
      pipeline: "orders",
      incarnation: "life-1",
      store: this.own,
      openStore: () => this.own,
      now: this.now + 2 * DAY,
      olderThan: DAY,
      formerIncarnations: [],
      dryRun: false,
      readOpenBatch: async () => undefined,
      ...overrides,
    });
  }

  /** Returns the number of requests of each operation. */
  async costs(): Promise<Record<string, number>> {
    const costs: Record<string, number> = {};
    const cost = async (name: string, work: () => Promise<unknown>) => {
      this.calls.length = 0;
      await work();
      costs[name] = this.calls.length;
    };
    // The number of entries since the checkpoint is the same each time.
    await this.commit({ pipeline: "idle" });
    for (let i = 0; i < 70; i++) await this.commit({});
    while (((await readHead(this.table))?.version ?? 0) % 32 !== 2) await this.commit({});
    await cost("head", () => readHead(this.table));
    await cost("first files", async () => {
      for await (const _file of liveFiles(this.table)) break;
    });
    await cost("commit", () => this.commit({}));
    await cost("commit without a hint", () => openLog(this.table, "orders"));
    const name = `new-${this.#lives.size}`;
    await cost("commit of a new pipeline", () => this.commit({ pipeline: name }));
    await cost("commit after a long pause", () => this.commit({ pipeline: "idle" }));
    return costs;
  }

  async replaceHeaders(change: (header: Record<string, unknown>) => unknown): Promise<void> {
    for (const { key } of await Array.fromAsync(this.table.list("_checkpoints/headers/"))) {
      const header = JSON.parse(Buffer.from((await this.table.get(key)) ?? []).toString()) as Record<
        string,
        unknown
      >;
      const { digestOf } = await import("../../../shared/connectors/arrow-table/derived-files.ts");
      const text = JSON.stringify(change(header));
      await this.table.delete([key]);
      await this.table.put(key.replace(/-[0-9a-f]+\.json$/, `-${digestOf(text)}.json`), Buffer.from(text));
    }
  }
}

export function filesOf(pipeline: string, batchId: number, count: number): LogFile[] {
  return Array.from({ length: count }, (_, i) => {
    const id = `${String(batchId).padStart(12, "0")}-${String(i).padStart(6, "0")}-1-0-${"0".repeat(36)}`;
    return { path: `data/${pipeline}/life-1/${id}.arrow`, rows: 10, bytes: 1000 };
  });
}

/** Returns the store with a record of each call, and of each page of a listing. */
function counted(store: ObjectStore, calls: string[]): ObjectStore {
  return {
    location: store.location,
    put: async (key, body) => {
      calls.push(`put ${key}`);
      return await store.put(key, body);
    },
    get: async (key) => {
      calls.push(`get ${key}`);
      return await store.get(key);
    },
    getRange: async (key, ...rest) => {
      calls.push(`getRange ${key}`);
      return await store.getRange(key, ...rest);
    },
    stat: async (keys) => {
      calls.push(`stat ${keys[0]}`);
      return await store.stat(keys);
    },
    async *list(prefix, options) {
      let count = 0;
      for await (const info of store.list(prefix, options)) {
        if (count++ % 1000 === 0) calls.push(`list ${prefix}`);
        yield info;
      }
    },
    delete: async (keys) => {
      calls.push(`delete ${keys[0]}`);
      await store.delete(keys);
    },
    listUnfinished: (prefix) => store.listUnfinished(prefix),
    abandon: (upload) => store.abandon(upload),
    at: (folder) => counted(store.at(folder), calls),
  };
}
