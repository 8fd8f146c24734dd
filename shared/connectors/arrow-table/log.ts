import { type CommittedBatch, UNKNOWN_PLAN } from "../../contract/batch-identity.ts";
import type { SchemaJson } from "../../contract/ddl/json.ts";
import { MillraceError } from "../../contract/errors.ts";
import { padded } from "../../contract/keys.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import type { Offset } from "../../contract/offset.ts";
import { optional } from "../../contract/optional.ts";
import { TABLE_FOLDER } from "../../contract/store-layout.ts";
import { newerFormat } from "../kit/newer-format.ts";

/**
 * Number of log entries that are read in parallel. A table that gets one commit a minute has half a
 * million entries after a year; reading them one at a time would take hours.
 */
const READ_AT_ONCE = 32;

export const LOG_FOLDER = `${TABLE_FOLDER.log}/`;
const VERSION = /^_log\/(\d{20})\.json$/;

/** The format of the entries that this code writes. */
export const LOG_FORMAT = 2;

/** Whether a commit adds to the existing rows or replaces them. */
export type Operation = "append" | "overwrite";

/** The changes of one commit. Stored as `_log/<version, 20 digits>.json`. */
export interface LogEntry {
  readonly version: number;
  /** Time of the commit, as ISO 8601 in UTC. */
  readonly timestamp: string;
  readonly operation: Operation;
  readonly pipeline: string;
  readonly incarnation: string;
  readonly batchId: number;
  /** Version of the format. Absent in entries of format 1, which had no `planId` and no offsets. */
  readonly format?: number;
  readonly planId?: string;
  /** Where the batch starts, and where it ends. */
  readonly start?: Offset;
  readonly end?: Offset;
  readonly schema: SchemaJson;
  /**
   * The schema as `encodeSchema` writes it. Absent if `schema` says all of it, as it does for types
   * of the DDL.
   */
  readonly arrowSchema?: string;
  readonly add: readonly { readonly path: string; readonly rows: number; readonly bytes: number }[];
  readonly remove: readonly { readonly path: string }[];
}

/**
 * Returns the newest version, or -1 if the table has no commits. If `known` is a version, only
 * entries from that version on are listed, unless they are gone.
 */
export async function latestVersion(table: ObjectStore, known = -1): Promise<number> {
  let latest = -1;
  const options = known <= 0 ? {} : { startAfter: entryKey(known - 1) };
  for await (const { key } of table.list(LOG_FOLDER, options)) latest = versionOf(key) ?? latest;
  return latest < known && known > 0 ? await latestVersion(table) : latest;
}

/** Reads the log entry of a version. Error: `TABLE_LOG_BROKEN` if it is missing or not JSON. */
export async function readEntry(table: ObjectStore, version: number): Promise<LogEntry> {
  const key = entryKey(version);
  const bytes = await table.get(key);
  if (bytes === undefined) throw brokenLog(table, key, "missing");
  let entry: LogEntry;
  try {
    entry = JSON.parse(Buffer.from(bytes).toString()) as LogEntry;
  } catch {
    throw brokenLog(table, key, "not JSON");
  }
  const { format = 1 } = entry;
  if (format <= LOG_FORMAT) return entry;
  throw newerFormat(`${key} has`, format, LOG_FORMAT, { path: `${table.location}/${key}` });
}

function brokenLog(table: ObjectStore, key: string, problem: string): MillraceError {
  return new MillraceError("TABLE_LOG_BROKEN", `${key} is ${problem}`, {
    where: { path: `${table.location}/${key}` },
    hint: "The log must have each version from 0: restore the file, or write to another path. Nothing was written.",
  });
}

/**
 * Writes a log entry. Returns false if another commit has already taken this version. This put is
 * the commit point of a batch.
 */
export async function putEntry(table: ObjectStore, entry: LogEntry): Promise<boolean> {
  return await table.put(entryKey(entry.version), Buffer.from(`${JSON.stringify(entry)}\n`));
}

/**
 * A position in the log. In the entries up to `version`, `newest` is the newest batch of the
 * pipeline.
 */
export type LogPosition = {
  readonly version: number;
  readonly newest?: CommittedBatch;
};

export const LOG_START: LogPosition = { version: -1 };

/**
 * Returns the newest batch that the pipeline has committed up to version `latest`, of any
 * incarnation. The search runs backwards and stops at its first match or at `known.version`. For a
 * pipeline that is new to this table the whole log is read once.
 */
export async function newestBatch(
  table: ObjectStore,
  latest: number,
  pipeline: string,
  known: LogPosition = LOG_START,
): Promise<CommittedBatch | undefined> {
  // If the known entry is gone, the table was restored to an earlier state.
  const after = latest < known.version ? -1 : known.version;
  const entry = await newestEntry(table, after, latest, (one) => one.pipeline === pipeline);
  if (entry !== undefined) return batchOf(entry);
  return after === -1 ? undefined : known.newest;
}

/**
 * Returns the id of the newest batch that this incarnation of the pipeline has committed up to
 * version `latest`, or -1.
 */
export async function lastCommittedBatch(
  table: ObjectStore,
  latest: number,
  owner: { readonly pipeline: string; readonly incarnation: string },
): Promise<number> {
  const isOwn = (one: LogEntry) => one.pipeline === owner.pipeline && one.incarnation === owner.incarnation;
  return (await newestEntry(table, -1, latest, isOwn))?.batchId ?? -1;
}

async function newestEntry(
  table: ObjectStore,
  after: number,
  latest: number,
  matches: (entry: LogEntry) => boolean,
): Promise<LogEntry | undefined> {
  for await (const entry of readEntries(table, range(after + 1, latest + 1).reverse()))
    if (matches(entry)) return entry;
  return undefined;
}

/** Returns the batch that an entry commits. */
function batchOf({ incarnation, batchId, planId = UNKNOWN_PLAN, start, end }: LogEntry): CommittedBatch {
  return { incarnation, batchId, planId, ...optional("start", start), ...optional("end", end) };
}

/** Yields all entries from version 0 on. */
export async function* readLog(table: ObjectStore): AsyncGenerator<LogEntry> {
  yield* readEntries(table, range(0, (await latestVersion(table)) + 1));
}

/**
 * Yields the entries in the order of `versions`. The first is read alone because callers often need
 * no more; after that, the number read in parallel grows up to `READ_AT_ONCE`.
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
 * Returns the live data files in the order of their commits. With `removedSince` (epoch
 * milliseconds), the result also has the files that were removed after that time, because a reader
 * may still be using them.
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

/** Returns the version in the key of a log entry, or `undefined` for any other key. */
export function versionOf(key: string): number | undefined {
  const version = VERSION.exec(key)?.[1];
  return version === undefined ? undefined : Number(version);
}

export function entryKey(version: number): string {
  return `${LOG_FOLDER}${padded(version, 20)}.json`;
}
