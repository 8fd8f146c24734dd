import type { ObjectStore } from "../../contract/object-store.ts";
import { entryHead, findCheckpoint, putCheckpoint } from "./checkpoint.ts";
import { entryKey, type LogFile, readEntries } from "./log-entry.ts";
import { type LogWindow, latestOf, lookAtAll, WINDOW } from "./log-window.ts";
import { SegmentDamaged } from "./segments.ts";
import { TableState } from "./table-state.ts";

/** A checkpoint is written every so many versions. */
export const CHECKPOINT_EVERY = 32;

/** While a long log is read, a checkpoint is written after so many entries or files. */
const KEEP_ENTRIES = 4096;
const KEEP_FILES = 16_384;

export interface OpenOptions {
  /**
   * True if checkpoints may be written while the log is read, so that a call that is cut off has
   * brought the next one forward, and memory is bounded.
   */
  readonly mayWrite?: boolean;
  /** Maximum number of entries to read after the checkpoint. Default: all. */
  readonly maxEntries?: number;
  /** The version to end at. Default: the newest one. */
  readonly atMost?: number;
  /** Stops reading; the state then ends at an earlier version. */
  readonly signal?: AbortSignal | undefined;
}

/** What the log of a table says, and the newest entries that are in it. */
export interface OpenState {
  readonly state: TableState;
  /** The newest version of the log. `state` ends at an earlier one if its reading was limited. */
  readonly latest: number;
  readonly window: LogWindow;
}

/**
 * Reads the log from the newest checkpoint on, and calls `body` with the result. If a file of the
 * checkpoint turns out to be damaged, both begin again with an older checkpoint or none. Errors:
 * `TABLE_LOG_BROKEN`, `TABLE_VERSION`.
 */
export async function withState<T>(
  table: ObjectStore,
  options: OpenOptions,
  body: (open: OpenState) => Promise<T>,
): Promise<T> {
  const skip = new Set<string>();
  for (;;) {
    try {
      return await body(await openState(table, skip, options));
    } catch (error) {
      if (!(error instanceof SegmentDamaged)) throw error;
    }
  }
}

/**
 * Yields the live data files in the order of their commits. The first ones are there before the
 * last ones are read. Errors: `TABLE_LOG_BROKEN`, `TABLE_VERSION`.
 */
export async function* liveFiles(table: ObjectStore): AsyncGenerator<LogFile> {
  const skip = new Set<string>();
  let atMost = Number.POSITIVE_INFINITY;
  let yielded = 0;
  for (;;) {
    try {
      const { state } = await openState(table, skip, { atMost });
      atMost = state.version;
      let at = 0;
      for await (const file of state.live.files()) {
        if (at++ < yielded) continue;
        yielded++;
        yield file;
      }
      return;
    } catch (error) {
      // The list of a version is the same, whatever it is read from, so its rest can be read again.
      if (!(error instanceof SegmentDamaged)) throw error;
    }
  }
}

/**
 * Reads the log from the newest checkpoint on that is not in `skip`. Adds that checkpoint to
 * `skip`, for a caller that finds a file of it damaged. Error: `SegmentDamaged`.
 */
async function openState(
  table: ObjectStore,
  skip: Set<string>,
  { mayWrite, maxEntries = Number.POSITIVE_INFINITY, atMost = Number.POSITIVE_INFINITY, signal }: OpenOptions,
): Promise<OpenState> {
  const isFirst = skip.size === 0;
  const base = await findCheckpoint(table, { skip, atMost });
  skip.add(base?.key ?? "");
  const window = base?.window ?? (await lookAtAll(table));
  const latest = latestOf(window);
  const state = new TableState(table, base?.checkpoint);
  const keeper = new Keeper(table, state, mayWrite === true && isFirst);
  const end = Math.min(latest, atMost, state.version + maxEntries);
  for await (const entry of readEntries(table, state.version + 1, end + 1)) {
    await state.apply(entry);
    await keeper.keepIfDue(KEEP_ENTRIES);
    if (signal?.aborted) break;
  }
  await keeper.keepIfDue(CHECKPOINT_EVERY);
  return { state, latest, window };
}

/** Writes checkpoints while a log is read. */
class Keeper {
  readonly #table: ObjectStore;
  readonly #state: TableState;
  #mayWrite: boolean;
  #kept: number;

  constructor(table: ObjectStore, state: TableState, mayWrite: boolean) {
    this.#table = table;
    this.#state = state;
    this.#mayWrite = mayWrite;
    this.#kept = state.version;
  }

  async keepIfDue(everyEntries: number): Promise<void> {
    const { version, live } = this.#state;
    const isDue = version - this.#kept >= everyEntries || live.newerCount >= KEEP_FILES;
    if (!this.#mayWrite || !isDue) return;
    // After a failure the rest is read without writing: the log alone is enough.
    this.#mayWrite = await tryToKeep(this.#table, this.#state);
    this.#kept = version;
  }
}

/** Writes a checkpoint of a state. Returns false if that failed, which harms nothing. */
export async function tryToKeep(table: ObjectStore, state: TableState): Promise<boolean> {
  try {
    return await keepState(table, state);
  } catch (error) {
    if (error instanceof SegmentDamaged) throw error;
    return false;
  }
}

async function keepState(table: ObjectStore, state: TableState): Promise<boolean> {
  const { version, schema } = state;
  const from = Math.max(0, version + 1 - WINDOW);
  const keys = Array.from({ length: version + 1 - from }, (_, i) => entryKey(from + i));
  const found = await table.stat(keys);
  const entrySizes = keys.flatMap((key) => found.get(key)?.bytes ?? []);
  const entryDigest = await entryHead(table, version);
  if (schema === undefined || entryDigest === undefined || entrySizes.length < keys.length) return false;
  await putCheckpoint(table, {
    format: schema.partitionBy === undefined ? 1 : 2,
    version,
    entryDigest,
    entrySizes,
    schema: { fields: [...schema.schema.fields] },
    arrowSchema: schema.arrowSchema,
    ...(schema.partitionBy === undefined ? {} : { partitionBy: [...schema.partitionBy] }),
    newest: state.newest,
    isOrdered: state.isOrdered,
    removals: [...state.removals],
    totals: state.live.totals,
    segments: [...(await state.live.seal())],
  });
  return true;
}
