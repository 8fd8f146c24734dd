import type { SchemaJson } from "../../contract/ddl/json.ts";
import { MillraceError } from "../../contract/errors.ts";
import { isPlainObject } from "../../contract/json.ts";
import { padded } from "../../contract/keys.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import type { Offset } from "../../contract/offset.ts";
import { TABLE_FOLDER } from "../../contract/store-layout.ts";
import { newerFormat } from "../kit/newer-format.ts";
import { entryProblem, formatOf, pathProblem } from "./entry-checks.ts";
import { type EntryPart, RANGE_BYTES, rangesOf, splitEntry } from "./long-entry.ts";
import type { PartitionValues } from "./partitioning.ts";

export const LOG_FOLDER = `${TABLE_FOLDER.log}/`;
const VERSION = /^_log\/(\d{20})\.json$/;

/** Number of log entries that are read in parallel. Reading them one at a time would take hours. */
const READ_AT_ONCE = 32;

/** The newest format of entries. */
export const LOG_FORMAT = 3;

/**
 * Returns the format of an entry. Only entries of tables with partitions have format 3, so earlier
 * versions of this code still read and write all other tables.
 */
export function formatFor({ partitionBy }: Pick<LogEntry, "partitionBy">): number {
  return partitionBy === undefined ? 2 : 3;
}

/**
 * Whether a commit adds to the existing rows, replaces all of them, or replaces those of the
 * partitions that it adds files to.
 */
export type Operation = "append" | "overwrite" | "overwritePartitions";

/** A data file that a commit adds. Its path is relative to the table's folder. */
export interface LogFile {
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  /** The values of the partition columns in all its rows. Absent in a table without partitions. */
  readonly partition?: PartitionValues;
}

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
  /** The partition columns of the table. Absent if it has none. */
  readonly partitionBy?: readonly string[];
  readonly add: readonly LogFile[];
  readonly remove: readonly { readonly path: string }[];
}

/** A log entry as it is read. */
export interface StoredEntry extends LogEntry {
  /** Number of removed files of an entry that is too long to hold them. */
  readonly longRemove?: number;
}

export function entryKey(version: number): string {
  return `${LOG_FOLDER}${padded(version, 20)}.json`;
}

/** Returns the version in the key of a log entry, or `undefined` for any other key. */
export function versionOf(key: string): number | undefined {
  const version = VERSION.exec(key)?.[1];
  return version === undefined ? undefined : Number(version);
}

/** The error of an entry that is missing or is not an entry. `problem` holds no bytes of it. */
export function brokenLog(table: ObjectStore, version: number, problem: string): MillraceError {
  const key = entryKey(version);
  return new MillraceError("TABLE_LOG_BROKEN", `${key} ${problem}`, {
    where: { path: `${table.location}/${key}` },
    hint: 'Nothing was written. The log must have each version from 0: restore the file from a backup. To begin another table: `path: "FOLDER"`.',
  });
}

/**
 * Reads the log entry of a version and checks every field. Of a long entry, `remove` is empty and
 * `removedPaths` reads it. Errors: `TABLE_LOG_BROKEN`, `TABLE_VERSION`.
 */
export async function readEntry(table: ObjectStore, version: number): Promise<StoredEntry> {
  const key = entryKey(version);
  const bytes = await table.getRange(key, 0, RANGE_BYTES);
  if (bytes === undefined) throw brokenLog(table, version, "is missing");
  if (bytes.length === 0) throw brokenLog(table, version, "is empty");
  if (bytes.length === RANGE_BYTES) return await readLongEntry(table, version, bytes);
  const text = unlessGarbled(table, version, () =>
    new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes),
  );
  return checkedEntry(table, version, parsed(table, version, text));
}

/** Reads a long entry. Its removed files are checked, and not kept. */
async function readLongEntry(table: ObjectStore, version: number, first: Uint8Array): Promise<StoredEntry> {
  const add: unknown[] = [];
  let removed = 0;
  for await (const part of partsOf(table, version, first)) {
    if ("rest" in part) {
      const rest = parsed(table, version, part.rest);
      const entry =
        isPlainObject(rest) && Array.isArray(rest["add"]) ? { ...rest, add: [...rest["add"], ...add] } : rest;
      return { ...checkedEntry(table, version, entry), longRemove: removed };
    }
    const element = parsed(table, version, part.element);
    if (part.list === "add") add.push(element);
    else removedPath(table, version, element, removed++);
  }
  throw brokenLog(table, version, "is not JSON");
}

/** Yields the paths that an entry removes. */
export async function* removedPaths(table: ObjectStore, entry: StoredEntry): AsyncGenerator<string> {
  const { version, remove, longRemove } = entry;
  for (const { path } of remove) yield path;
  if (longRemove === undefined) return;
  const first = await table.getRange(entryKey(version), 0, RANGE_BYTES);
  let index = 0;
  for await (const part of partsOf(table, version, first ?? new Uint8Array()))
    if ("list" in part && part.list === "remove")
      yield removedPath(table, version, parsed(table, version, part.element), index++);
}

async function* partsOf(table: ObjectStore, version: number, first: Uint8Array): AsyncGenerator<EntryPart> {
  try {
    yield* splitEntry(rangesOf(table, entryKey(version), first));
  } catch (error) {
    if (error instanceof TypeError) throw brokenLog(table, version, "is not UTF-8");
    throw error;
  }
}

function removedPath(table: ObjectStore, version: number, element: unknown, index: number): string {
  const path = isPlainObject(element) ? element["path"] : undefined;
  const problem = pathProblem(path);
  if (problem === undefined) return path as string;
  throw brokenLog(table, version, `is not an entry of the log: remove[${index}].path ${problem}`);
}

function parsed(table: ObjectStore, version: number, text: string): unknown {
  return unlessGarbled(table, version, () => JSON.parse(text) as unknown);
}

function unlessGarbled<T>(table: ObjectStore, version: number, decode: () => T): T {
  try {
    return decode();
  } catch {
    throw brokenLog(table, version, "is not JSON");
  }
}

/**
 * Returns `value` if it is the entry of this version. Errors: `TABLE_LOG_BROKEN`, `TABLE_VERSION`.
 */
export function checkedEntry(table: ObjectStore, version: number, value: unknown): LogEntry {
  // The fields of a newer format may be others, so it is looked at first.
  const format = formatOf(value);
  if (format !== undefined && format > LOG_FORMAT) {
    const key = entryKey(version);
    throw newerFormat(`${key} has`, format, LOG_FORMAT, { path: `${table.location}/${key}` });
  }
  const problem = entryProblem(value, version);
  if (problem !== undefined) throw brokenLog(table, version, `is not an entry of the log: ${problem}`);
  return value as LogEntry;
}

/**
 * Yields the entries of the versions `from` (inclusive) to `to` (exclusive), in their order. The
 * entries of one group are read in parallel. Errors: `TABLE_LOG_BROKEN`, `TABLE_VERSION`.
 */
export async function* readEntries(
  table: ObjectStore,
  from: number,
  to: number,
): AsyncGenerator<StoredEntry> {
  for (let at = from; at < to; at += READ_AT_ONCE) {
    const versions = Array.from({ length: Math.min(READ_AT_ONCE, to - at) }, (_, i) => at + i);
    yield* await Promise.all(versions.map((version) => readEntry(table, version)));
  }
}

/** Encodes a log entry. */
export function encodeEntry(entry: LogEntry): Uint8Array {
  return Buffer.from(`${JSON.stringify(entry)}\n`);
}

/**
 * Writes a log entry. Returns false if another commit has already taken this version. This put is
 * the commit point of a batch.
 */
export async function putEntry(table: ObjectStore, entry: LogEntry): Promise<boolean> {
  return await table.put(entryKey(entry.version), encodeEntry(entry));
}
