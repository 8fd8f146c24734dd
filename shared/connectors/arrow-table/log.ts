import type { SchemaJson } from "../../contract/ddl/json.ts";
import { MillraceError } from "../../contract/errors.ts";
import { padded } from "../../contract/keys.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { TABLE_FOLDER } from "../../contract/store-layout.ts";

/** A log of a year has half a million entries; one at a time they would take hours. */
const READ_AT_ONCE = 32;

export const LOG_FOLDER = `${TABLE_FOLDER.log}/`;
const VERSION = /^_log\/(\d{20})\.json$/;

/**
 * A data file, its path relative to the table's folder. `path` is `null` for a task that had no
 * rows.
 */
export interface StagedFile {
  /**
   * Where the table was when the file was staged; `null` for the pipeline's own, which moves with
   * its home.
   */
  readonly table: string | null;
  readonly path: string | null;
  readonly rows: number;
  readonly bytes: number;
}

/** What a commit does with the rows that are there. */
export type Operation = "append" | "overwrite";

/** What one commit changed: `_log/<version, 20 digits>.json`. */
export interface LogEntry {
  readonly version: number;
  /** ISO 8601, UTC. */
  readonly timestamp: string;
  readonly operation: Operation;
  readonly pipeline: string;
  readonly incarnation: string;
  readonly batchId: number;
  readonly schema: SchemaJson;
  readonly add: readonly { readonly path: string; readonly rows: number; readonly bytes: number }[];
  readonly remove: readonly { readonly path: string }[];
}

/**
 * The newest version, -1 for a table without one. Where `known` was a version, only it and what
 * came after are listed. Error: `TABLE_LOG_BROKEN` if it is gone.
 */
export async function latestVersion(table: ObjectStore, known = -1): Promise<number> {
  let latest = -1;
  const options = known <= 0 ? {} : { startAfter: entryKey(known - 1) };
  for await (const { key } of table.list(LOG_FOLDER, options)) latest = versionOf(key) ?? latest;
  if (latest < known) throw broken(table, entryKey(known), "gone, which was there at the last commit");
  return latest;
}

/** The entry of a version. Error: `TABLE_LOG_BROKEN` if it is gone or not an entry. */
export async function readEntry(table: ObjectStore, version: number): Promise<LogEntry> {
  const key = entryKey(version);
  const bytes = await table.get(key);
  if (bytes !== undefined) {
    try {
      return JSON.parse(Buffer.from(bytes).toString()) as LogEntry;
    } catch {
      // Told below.
    }
  }
  throw broken(table, key, bytes === undefined ? "missing" : "not JSON");
}

function broken(table: ObjectStore, key: string, problem: string): MillraceError {
  return new MillraceError("TABLE_LOG_BROKEN", `${key} is ${problem}`, {
    where: { path: `${table.location}/${key}` },
    hint: "The log must have each version from 0: restore the file, or write to another path. Nothing was written.",
  });
}

/**
 * False if the version is taken: another commit was faster. This is the commit point of a batch.
 */
export async function putEntry(table: ObjectStore, entry: LogEntry): Promise<boolean> {
  return await table.put(entryKey(entry.version), Buffer.from(`${JSON.stringify(entry)}\n`));
}

/**
 * A place in the log: up to `version`, the newest batch of the pipeline is `batchId` (-1 for none).
 */
export type LogPosition = {
  readonly version: number;
  readonly batchId: number;
};

export const LOG_START: LogPosition = { version: -1, batchId: -1 };

/**
 * The newest batch of a pipeline that the log up to `latest` has, -1 if it has none. Batches of
 * one pipeline land in order, so its newest entry answers, looked for down to `known`. A pipeline
 * that is new to the table looks through all of the log, once.
 */
export async function lastLanded(
  table: ObjectStore,
  latest: number,
  owner: { readonly pipeline: string; readonly incarnation: string },
  known: LogPosition = LOG_START,
): Promise<number> {
  const versions = range(known.version + 1, latest + 1).reverse();
  for await (const entry of readEntries(table, versions))
    if (entry.pipeline === owner.pipeline && entry.incarnation === owner.incarnation) return entry.batchId;
  return known.batchId;
}

/** All entries from version 0. */
export async function* readLog(table: ObjectStore): AsyncGenerator<LogEntry> {
  yield* readEntries(table, range(0, (await latestVersion(table)) + 1));
}

/**
 * Entries in the order of `versions`: the first alone, for it may be all that is needed, then ever
 * more at once.
 */
async function* readEntries(table: ObjectStore, versions: readonly number[]): AsyncGenerator<LogEntry> {
  for (let at = 0, size = 1; at < versions.length; at += size, size = Math.min(READ_AT_ONCE, size * 4)) {
    yield* await Promise.all(versions.slice(at, at + size).map((version) => readEntry(table, version)));
  }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}

/**
 * The live data files, in the order of their commits. With `removedSince` (epoch milliseconds) also
 * those that were live at some time since: a reader may be in the middle of them.
 */
export async function liveFiles(
  table: ObjectStore,
  removedSince: number = Number.POSITIVE_INFINITY,
): Promise<LogEntry["add"]> {
  const live = new Map<string, LogEntry["add"][number]>();
  for await (const entry of readLog(table)) {
    if (Date.parse(entry.timestamp) < removedSince) for (const file of entry.remove) live.delete(file.path);
    for (const file of entry.add) live.set(file.path, file);
  }
  return [...live.values()];
}

/** The version of an entry's key, `undefined` for another key. */
export function versionOf(key: string): number | undefined {
  const version = VERSION.exec(key)?.[1];
  return version === undefined ? undefined : Number(version);
}

function entryKey(version: number): string {
  return `${LOG_FOLDER}${padded(version, 20)}.json`;
}
