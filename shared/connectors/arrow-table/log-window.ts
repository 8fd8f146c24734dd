import type { ObjectInfo, ObjectStore } from "../../contract/object-store.ts";
import { sha256 } from "../kit/sha256.ts";
import { brokenLog, entryKey, LOG_FOLDER, versionOf } from "./log-entry.ts";

/** Number of the newest versions whose entries every commit and every reader looks for. */
export const WINDOW = 256;

/**
 * How far beyond the newest entry a look goes. An entry in that range shows that those before it
 * are missing.
 */
const AHEAD = 64;
/** How many entries may be new since the last look, for one request to be enough. */
const NEW = 32;

/** Size and etag of a log entry. */
type EntryInfo = Pick<ObjectInfo, "bytes" | "etag">;

/** What the store tells of the log entries from version `from` to the newest one. */
export interface LogWindow {
  readonly from: number;
  readonly entries: readonly EntryInfo[];
}

/** Returns the newest version of a window, or `from - 1` if it has no entry. */
export function latestOf({ from, entries }: LogWindow): number {
  return from + entries.length - 1;
}

/**
 * Looks for the entries from version `from` to the newest one. One request answers for all versions
 * up to `known` and some more, however long the log is. Stops after more than `most` entries.
 * Error: `TABLE_LOG_BROKEN` if an entry is empty, or is missing while a later one exists.
 */
export async function lookFrom(
  table: ObjectStore,
  from: number,
  known: number,
  most: number = Number.POSITIVE_INFINITY,
): Promise<LogWindow> {
  const entries: EntryInfo[] = [];
  let missing = Number.POSITIVE_INFINITY;
  let end = Math.max(known + 1, from) + NEW + AHEAD;
  for (let at = from; at < end; at = end, end = at + WINDOW + AHEAD) {
    const keys = Array.from({ length: end - at }, (_, i) => entryKey(at + i));
    const found = await table.stat(keys);
    for (const [i, key] of keys.entries()) {
      const info = found.get(key);
      if (info === undefined) missing = Math.min(missing, at + i);
      else if (missing < at + i) throw hole(table, missing, at + i);
      else entries.push(nonEmpty(table, at + i, info));
    }
    if (end - missing >= AHEAD || entries.length > most) break;
  }
  return { from, entries };
}

/**
 * Lists all entries of the log in pages, and returns the window of the newest ones. Errors as
 * `lookFrom`.
 */
export async function lookAtAll(table: ObjectStore): Promise<LogWindow> {
  let entries: EntryInfo[] = [];
  let next = 0;
  for await (const info of listEntries(table, 0)) {
    entries.push(info);
    if (entries.length >= 2 * WINDOW) entries = entries.slice(-WINDOW);
    next++;
  }
  return newestOf({ from: next - entries.length, entries });
}

/**
 * Lists `most` entries of the log from version `from` on. Returns the version to go on from, or 0
 * after the newest one. Errors as `lookFrom`.
 */
export async function lookThrough(table: ObjectStore, from: number, most: number): Promise<number> {
  let next = from;
  for await (const _entry of listEntries(table, from)) if (++next === from + most) return next;
  return 0;
}

async function* listEntries(table: ObjectStore, from: number): AsyncGenerator<EntryInfo> {
  let next = from;
  const options = from === 0 ? {} : { startAfter: entryKey(from - 1) };
  for await (const info of table.list(LOG_FOLDER, options)) {
    const version = versionOf(info.key);
    if (version === undefined) continue;
    if (version !== next) throw hole(table, next, version);
    yield nonEmpty(table, version, info);
    next++;
  }
}

function hole(table: ObjectStore, missing: number, later: number): Error {
  return brokenLog(table, missing, `is missing, while ${entryKey(later)} is there`);
}

function nonEmpty(table: ObjectStore, version: number, { bytes, etag }: ObjectInfo): EntryInfo {
  if (bytes === 0) throw brokenLog(table, version, "is empty");
  return { bytes, etag };
}

/** Returns the part of a window with its newest versions, `WINDOW` at most. */
export function newestOf({ from, entries }: LogWindow): LogWindow {
  const newest = entries.slice(-WINDOW);
  return { from: from + entries.length - newest.length, entries: newest };
}

/** Returns the part of a window up to version `to`, inclusive. */
export function upTo(window: LogWindow, to: number): LogWindow {
  return { from: window.from, entries: window.entries.slice(0, Math.max(0, to + 1 - window.from)) };
}

/** What a commit keeps of the log, so that the next one knows that these entries are the same. */
export type LogMark = {
  /** The first version that the digest covers. */
  readonly from: number;
  /** Digest of the etags of the entries before the newest one. */
  readonly digest: string;
  /** Size of the newest entry. */
  readonly bytes: number;
};

/** Returns the mark of a log whose newest entry, after those of `window`, has that size. */
export function markOf(window: LogWindow, bytes: number): LogMark {
  // The next commit looks from here, so that its window ends with one more entry.
  const { from, entries } = newestOf(window);
  return { from, digest: digestOf(entries), bytes };
}

/** True if a log whose window begins at `mark.from` has the entries of the mark up to `version`. */
export function hasMark(window: LogWindow, mark: LogMark, version: number): boolean {
  const newest = window.entries[version - window.from];
  const before = upTo(window, version - 1).entries;
  return newest?.bytes === mark.bytes && digestOf(before) === mark.digest;
}

function digestOf(entries: readonly EntryInfo[]): string {
  return sha256(JSON.stringify(entries.map(({ etag }) => etag))).toString("hex", 0, 16);
}
