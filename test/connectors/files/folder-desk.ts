import { rowsOf } from "../../../shared/arrow/rows.ts";
import { Files, type FilesOptions } from "../../../shared/connectors/files/index.ts";
import type { DataSourceRuntime, TaskContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { type ReadLimit, ReadMaxFiles } from "../../../shared/contract/read-limit.ts";
import type {
  DataSourceStreamReader,
  SupportsTriggerAvailableNow,
} from "../../../shared/contract/stream-reader.ts";
import {
  type MemoryObjects,
  MemoryStore,
  memoryObjects,
} from "../../../shared/platform/memory/memory-store.ts";

export type Offset = { readonly files: number; readonly key?: string; readonly seen?: string };
export type Group = {
  readonly files: readonly { readonly key: string; readonly bytes: number; readonly etag: string }[];
};
export type Reader = DataSourceStreamReader<Offset, Group> &
  Required<SupportsTriggerAvailableNow> & { prepareForTriggerAvailableNow(): void };

export const NOW = Date.UTC(2026, 10, 21);
export const MINUTE = 60_000;
export const DAY = 24 * 60 * MINUTE;
export const SCHEMA = parseDdl("id string");
export const task = { signal: new AbortController().signal } as TaskContext;
export const json = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/** A folder in memory, and readers of its files. A test sets the times of the files. */
export class Desk {
  now = NOW;
  readonly folder: MemoryObjects = memoryObjects(() => this.now);
  readonly own: MemoryObjects = memoryObjects(() => this.now);
  readonly source: ObjectStore = new MemoryStore(this.folder);
  readonly options: FilesOptions;
  /** Where the folder says that it is. */
  readonly location: string;
  lists = 0;

  constructor(options: Partial<FilesOptions> = {}, location = "memory:") {
    this.location = location;
    this.options = { path: "in", format: "csv", settleSeconds: 0, header: false, ...options };
  }

  /** Puts a file with one row, `name@time`. */
  put(name: string, modifiedAt: number = this.now): void {
    this.folder.objects.set(name, { bytes: Buffer.from(`${name}@${modifiedAt - NOW}\n`), modifiedAt });
  }

  /** Creates a reader as a new process does. */
  async reader(options: Partial<FilesOptions> = {}): Promise<Reader> {
    const list = this.source.list.bind(this.source);
    const counted: ObjectStore = Object.assign(new MemoryStore(this.folder), {
      location: this.location,
      list: (...args: Parameters<ObjectStore["list"]>) => {
        this.lists++;
        return list(...args);
      },
    });
    const runtime: DataSourceRuntime = {
      now: () => this.now,
      monotonic: () => this.now,
      random: () => 0.5,
      newId: () => "id",
      sleep: async () => undefined,
      env: {},
      store: new MemoryStore(this.own),
      openStore: () => counted,
    };
    const files = new Files(await parseOptions(Files, { ...this.options, ...options }), runtime);
    return files.streamReader(SCHEMA) as unknown as Reader;
  }

  /** Plans a batch as the engine does. Returns its end and its files. */
  async plan(
    start: Offset,
    limit: ReadLimit = new ReadMaxFiles(1000),
    reader?: Reader,
  ): Promise<[Offset, string[]]> {
    const planner = reader ?? (await this.reader());
    const end = json(await planner.latestOffset(start, limit));
    if (JSON.stringify(end) === JSON.stringify(start)) return [start, []];
    return [end, keysOf(json(await planner.partitions(start, end)))];
  }

  /** Plans batches until there is no new data. Returns the end and the files of each batch. */
  async drain(start: Offset, limit?: ReadLimit, reader?: Reader): Promise<[Offset, string[][]]> {
    const batches: string[][] = [];
    for (let from = start; ; ) {
      const [end, files] = await this.plan(from, limit, reader);
      if (files.length === 0) return [from, batches];
      batches.push(files);
      from = end;
    }
  }

  async rows(groups: readonly Group[], options: Partial<FilesOptions> = {}): Promise<unknown[]> {
    const rows: unknown[] = [];
    for (const group of groups) {
      const reader = await this.reader(options);
      for await (const batch of (await reader.read(json(group), task)) as AsyncIterable<never>)
        for (const row of rowsOf(batch)) rows.push(row["id"]);
    }
    return rows;
  }
}

export const START: Offset = { files: 0 };

export function keysOf(groups: readonly Group[]): string[] {
  return groups.flatMap(({ files }) => files.map(({ key }) => key));
}

export async function failure(body: Promise<unknown>): Promise<MillraceError> {
  const thrown: unknown = await body.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!MillraceError.is(thrown)) throw new Error("no MillraceError", { cause: thrown });
  return thrown;
}
