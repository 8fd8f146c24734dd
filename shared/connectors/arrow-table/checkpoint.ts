import * as z from "zod";
import { padded } from "../../contract/keys.ts";
import type { ObjectInfo, ObjectStore } from "../../contract/object-store.ts";
import { TABLE_FOLDER } from "../../contract/store-layout.ts";
import { digestOf, putDerived } from "./derived-files.ts";
import { entryKey } from "./log-entry.ts";
import { type LogWindow, latestOf, lookFrom, WINDOW } from "./log-window.ts";

export const CHECKPOINT_FOLDER = `${TABLE_FOLDER.checkpoints}/headers/`;
const KEY = /^_checkpoints\/headers\/(\d{20})-([0-9a-f]{32})\.json$/;

/** Number of checkpoints that are kept. A reader has a few minutes to open one. */
const KEPT = 4;
/** Bytes of a log entry that are compared. They hold its random ids. */
const HEAD_BYTES = 65_536;

const Count = z.int().nonnegative();
const Header = z.object({
  /** 2 for a table with partitions, so that earlier versions of this code pass it over. */
  format: z.union([z.literal(1), z.literal(2)]),
  version: Count,
  /** Digest of the first bytes of the log entry of `version`. */
  entryDigest: z.string(),
  /** Sizes of the newest log entries, up to that of `version`. */
  entrySizes: z.array(Count).min(1).max(WINDOW),
  /** The schema in the log entry of `version`. */
  schema: z.object({
    fields: z.array(z.object({ name: z.string(), type: z.string(), nullable: z.boolean() })),
  }),
  arrowSchema: z.string().optional(),
  partitionBy: z.array(z.string()).min(1).optional(),
  /** The newest batch of each pipeline and incarnation, and the version of its log entry. */
  newest: z.array(
    z.object({
      pipeline: z.string(),
      incarnation: z.string(),
      batchId: Count,
      planId: z.string(),
      version: Count,
    }),
  ),
  /** True if the files of each incarnation are in the order of its batch ids. */
  isOrdered: z.boolean(),
  /** The newest versions that removed files. */
  removals: z.array(z.object({ version: Count, timestamp: z.string() })),
  /** Sums over the live files. */
  totals: z.object({ files: Count, rows: Count, bytes: Count }),
  /** The files that list the live files, in the order of their commits. */
  segments: z.array(z.object({ key: z.string(), files: Count, bytes: Count })),
});

/**
 * A summary of the log up to a version. It is derived from the entries, which stay, so it may be
 * deleted at any time.
 */
export type Checkpoint = z.output<typeof Header>;

/** A checkpoint that agrees with the log, and the newest entries of the log. */
export interface FoundCheckpoint {
  readonly key: string;
  readonly checkpoint: Checkpoint;
  readonly window: LogWindow;
}

/** Returns the version in the key of a checkpoint, or `undefined` for any other key. */
function versionOf(key: string): number | undefined {
  const version = KEY.exec(key)?.[1];
  return version === undefined ? undefined : Number(version);
}

/**
 * Returns the newest checkpoint that is whole and agrees with the log. One that is damaged, of a
 * newer format, or of another log is passed over, and so are those of `skip` and those above
 * version `atMost`. Error: `TABLE_LOG_BROKEN` if the log itself is broken.
 */
export async function findCheckpoint(
  table: ObjectStore,
  { skip, atMost }: { readonly skip: ReadonlySet<string>; readonly atMost: number },
): Promise<FoundCheckpoint | undefined> {
  const keys = (await listCheckpoints(table)).map(({ key }) => key);
  for (const key of keys.sort().reverse()) {
    if (skip.has(key) || (versionOf(key) ?? 0) > atMost) continue;
    const checkpoint = await readCheckpoint(table, key);
    const window = checkpoint && (await agreedWindow(table, checkpoint));
    if (checkpoint !== undefined && window !== undefined) return { key, checkpoint, window };
  }
  return undefined;
}

/** Lists the headers of all checkpoints. */
export async function listCheckpoints(table: ObjectStore): Promise<ObjectInfo[]> {
  const found = await Array.fromAsync(table.list(CHECKPOINT_FOLDER));
  return found.filter(({ key }) => versionOf(key) !== undefined);
}

/** Reads a checkpoint. Returns `undefined` if it is gone, damaged, or of a newer format. */
export async function readCheckpoint(table: ObjectStore, key: string): Promise<Checkpoint | undefined> {
  const bytes = await table.get(key);
  if (bytes === undefined) return undefined;
  const text = Buffer.from(bytes).toString();
  if (digestOf(text) !== KEY.exec(key)?.[2]) return undefined;
  const { data } = Header.safeParse(JSON.parse(text));
  return data?.version === versionOf(key) ? data : undefined;
}

/** Returns the window of the log if the log has the entries of the checkpoint. */
async function agreedWindow(table: ObjectStore, checkpoint: Checkpoint): Promise<LogWindow | undefined> {
  const { version, entryDigest, entrySizes, segments } = checkpoint;
  const [head, window, found] = await Promise.all([
    entryHead(table, version),
    lookFrom(table, version + 1 - entrySizes.length, version),
    table.stat(segments.map(({ key }) => key)),
  ]);
  const isSameLog =
    head === entryDigest &&
    latestOf(window) >= version &&
    entrySizes.every((size, i) => window.entries[i]?.bytes === size);
  const isWhole = segments.every(({ key, bytes }) => found.get(key)?.bytes === bytes);
  return isSameLog && isWhole ? window : undefined;
}

/** Returns the digest of the first bytes of a log entry, or `undefined` if there is no entry. */
export async function entryHead(table: ObjectStore, version: number): Promise<string | undefined> {
  const bytes = await table.getRange(entryKey(version), 0, HEAD_BYTES);
  return bytes && digestOf(bytes);
}

/** Writes a checkpoint, and removes those that are not needed any more. */
export async function putCheckpoint(table: ObjectStore, checkpoint: Checkpoint): Promise<void> {
  const text = `${JSON.stringify(checkpoint)}\n`;
  const key = `${CHECKPOINT_FOLDER}${padded(checkpoint.version, 20)}-${digestOf(text)}.json`;
  await putDerived(table, key, Buffer.from(text));
  await trimCheckpoints(table);
}

/**
 * Removes all but the newest checkpoints. They are the newest by their time, because a checkpoint
 * of a log that was replaced may have a higher version than the log has now.
 */
async function trimCheckpoints(table: ObjectStore): Promise<void> {
  const found = await listCheckpoints(table);
  const byAge = found.sort((a, b) => b.modifiedAt - a.modifiedAt || (a.key < b.key ? 1 : -1));
  await table.delete(byAge.slice(KEPT).map(({ key }) => key));
}
