import { type CommittedBatch, isSameBatch, UNKNOWN_PLAN } from "../../contract/batch-identity.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { optional } from "../../contract/optional.ts";
import { findCheckpoint } from "./checkpoint.ts";
import { brokenLog, type LogEntry, readEntries, readEntry } from "./log-entry.ts";
import {
  hasMark,
  type LogMark,
  type LogWindow,
  latestOf,
  lookAtAll,
  lookFrom,
  WINDOW,
} from "./log-window.ts";
import { CHECKPOINT_EVERY, withState } from "./open-state.ts";
import { schemaOf, type TableSchema, type TableState } from "./table-state.ts";

/** Number of newer entries that are read one by one. */
const MAX_NEW = 2 * CHECKPOINT_EVERY;

/** What an earlier commit of the pipeline knew of the log up to `version`. */
export interface KnownLog {
  readonly version: number;
  /** The newest batch of the pipeline up to `version`. */
  readonly newest: CommittedBatch;
  /** Absent in the hints of older versions. */
  readonly mark?: LogMark;
}

/** Where the log of a table ends. */
export interface LogPosition {
  /** The newest version, or -1 if the log is empty. */
  readonly latest: number;
  readonly window: LogWindow;
  /** The newest batch of the pipeline, of any incarnation. */
  readonly newest?: CommittedBatch;
  /** The schema of the newest entry, if it is known without another request. */
  readonly schema?: TableSchema;
}

/**
 * Finds the end of the log and the newest batch of the pipeline, and checks the newest entries.
 * With a right `known` this costs one request, however long the log is. Without it, the log is read
 * from the newest checkpoint on. Errors: `TABLE_LOG_BROKEN`, `TABLE_VERSION`.
 */
export async function openLog(table: ObjectStore, pipeline: string, known?: KnownLog): Promise<LogPosition> {
  const position = known && (await continueFrom(table, pipeline, known));
  if (position !== undefined) return position;
  return await withState(table, { mayWrite: true }, async ({ state, latest, window }) => {
    const newest = await newestIn(table, state, pipeline);
    return { latest, window, ...optional("newest", newest), ...optional("schema", state.schema) };
  });
}

/**
 * Goes on from what an earlier commit knew. Returns `undefined` if that is too long ago, or if the
 * log is another one: it was restored or replaced.
 */
async function continueFrom(
  table: ObjectStore,
  pipeline: string,
  { version, newest, mark }: KnownLog,
): Promise<LogPosition | undefined> {
  const from = Math.min(mark?.from ?? Number.POSITIVE_INFINITY, Math.max(0, version + 1 - WINDOW));
  const window = await lookFrom(table, from, version, version - from + MAX_NEW);
  const latest = latestOf(window);
  // After a long pause of this pipeline, a checkpoint is nearer.
  if (latest < version || latest > version + MAX_NEW) return undefined;
  const isSame = mark !== undefined && mark.from === from && hasMark(window, mark, version);
  // Etags change when a table is copied. The entries then prove that it is the same log.
  const entries = await Array.fromAsync(readEntries(table, isSame ? version + 1 : from, latest + 1));
  const own = entries.filter((one) => one.pipeline === pipeline).map(batchOf);
  if (!isSame && !own.some((batch) => isSameBatch(batch, newest))) return undefined;
  const last = entries.at(-1);
  return { latest, window, newest: own.at(-1) ?? newest, ...optional("schema", last && schemaOf(last)) };
}

/** Returns the newest batch of a pipeline, of any incarnation. Its log entry says where it ends. */
export async function newestIn(
  table: ObjectStore,
  state: TableState,
  pipeline: string,
): Promise<CommittedBatch | undefined> {
  const newest = state.newestOf(pipeline);
  if (newest === undefined) return undefined;
  const batch = batchOf(await readEntry(table, newest.version));
  if (isSameBatch(batch, newest)) return batch;
  throw brokenLog(table, newest.version, "has another batch than the checkpoint of the log");
}

/** Returns the batch that an entry commits. */
function batchOf({ incarnation, batchId, planId = UNKNOWN_PLAN, start, end }: LogEntry): CommittedBatch {
  return { incarnation, batchId, planId, ...optional("start", start), ...optional("end", end) };
}

/** The newest version of a table, and its schema. */
export interface LogHead {
  readonly version: number;
  readonly schema: TableSchema;
}

/**
 * Returns the head of the log, or `undefined` if the table has no commits. Checks that no entry is
 * missing, and reads the newest ones. Errors: `TABLE_LOG_BROKEN`, `TABLE_VERSION`.
 */
export async function readHead(table: ObjectStore): Promise<LogHead | undefined> {
  const base = await findCheckpoint(table, { skip: new Set(), atMost: Number.POSITIVE_INFINITY });
  const window = base?.window ?? (await lookAtAll(table));
  const version = latestOf(window);
  const from = Math.max((base?.checkpoint.version ?? -1) + 1, version + 1 - WINDOW);
  let schema = base && schemaOf(base.checkpoint);
  for await (const entry of readEntries(table, from, version + 1)) schema = schemaOf(entry);
  return schema && { version, schema };
}
