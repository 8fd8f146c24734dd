import type { ObjectStore } from "../../contract/object-store.ts";
import { attemptOf } from "./data-files.ts";
import { type LogEntry, readEntries, readEntry, removedPaths, type StoredEntry } from "./log-entry.ts";
import { latestOf, lookFrom } from "./log-window.ts";
import type { OpenState } from "./open-state.ts";

/**
 * Clocks of writers differ by minutes, so entries may be a little out of the order of their times.
 */
const CLOCK_MARGIN_MILLISECONDS = 3_600_000;

/**
 * The data files that a vacuum must keep: those that are live, and those that were removed so
 * lately that a reader may still use them. It never holds all names, because a table may have
 * millions.
 */
export class NeededFiles {
  readonly #table: ObjectStore;
  readonly #open: OpenState;
  /** Files that were removed lately, and files that were committed since the log was opened. */
  readonly #others = new Set<string>();
  readonly #newer: LogEntry[] = [];
  #latest: number;

  constructor(table: ObjectStore, open: OpenState) {
    this.#table = table;
    this.#open = open;
    this.#latest = open.latest;
  }

  /** Reads which files were removed at or after `since`, in epoch milliseconds. */
  async readRemovals(since: number): Promise<void> {
    const { removals, forgotRemovals } = this.#open.state;
    const take = async (entry: StoredEntry) => {
      for await (const path of removedPaths(this.#table, entry)) this.#others.add(path);
    };
    for (const { version, timestamp } of removals)
      if (Date.parse(timestamp) >= since) await take(await readEntry(this.#table, version));
    const [oldest] = removals;
    if (!forgotRemovals || oldest === undefined) return;
    // There were so many that the checkpoint does not name all of them.
    for (let version = oldest.version - 1; version >= 0; version--) {
      const entry = await readEntry(this.#table, version);
      if (Date.parse(entry.timestamp) < since - CLOCK_MARGIN_MILLISECONDS) return;
      if (Date.parse(entry.timestamp) >= since) await take(entry);
    }
  }

  /** Reads the entries that were committed since the last call. */
  async refresh(): Promise<void> {
    const window = await lookFrom(this.#table, Math.max(0, this.#latest), this.#latest);
    const latest = latestOf(window);
    for await (const entry of readEntries(this.#table, this.#latest + 1, latest + 1)) {
      this.#newer.push(entry);
      for (const { path } of entry.add) this.#others.add(path);
    }
    this.#latest = Math.max(latest, this.#latest);
  }

  /** Returns the id of the newest batch that this incarnation has committed, or -1. */
  lastBatchOf(owner: { readonly pipeline: string; readonly incarnation: string }): number {
    const own = this.#newer.filter(
      (one) => one.pipeline === owner.pipeline && one.incarnation === owner.incarnation,
    );
    return own.at(-1)?.batchId ?? this.#open.state.lastBatchOf(owner);
  }

  /** Returns the names of needed files in a folder, as a walk along with its listing. */
  walk(folder: string): NeededWalk {
    const { live, isOrdered } = this.#open.state;
    return new NeededWalk({ files: () => live.files(), isOrdered }, this.#others, folder);
  }
}

/** The live files of a table in the order of their commits. */
interface LiveFiles {
  files(): AsyncGenerator<{ readonly path: string }>;
  /** True if the files of each folder are in the order of their batch ids. */
  readonly isOrdered: boolean;
}

/**
 * Walks the names of the needed files in a folder along with its listing. If both are in the order
 * of batch ids, the live files are read once, and the names of the batches in one page are held.
 * Otherwise, as in a table with partitions, they are read once a page.
 */
export class NeededWalk {
  readonly #live: LiveFiles;
  readonly #others: ReadonlySet<string>;
  readonly #folder: string;
  #source: AsyncGenerator<{ readonly path: string }>;
  #names = new Set<string>();
  /** The first batch whose names are held, and the batch of the last name that was read. */
  #first = 0;
  #batchId = -1;

  constructor(live: LiveFiles, others: ReadonlySet<string>, folder: string) {
    this.#live = live;
    this.#source = live.files();
    this.#others = others;
    this.#folder = folder;
  }

  /** True if the file is needed. `advance` must have had its page. */
  has(path: string): boolean {
    return this.#names.has(path) || this.#others.has(path);
  }

  /** Reads the names that a page of keys needs. */
  async advance(page: readonly string[]): Promise<void> {
    const batches = page.flatMap((key) => this.#batchOf(key) ?? []);
    const [first, last] = [batches[0], batches.at(-1)];
    if (first === undefined || last === undefined) return;
    if (this.#live.isOrdered) await this.#advanceTo(first, last);
    else await this.#look(new Set(page));
  }

  async #look(page: ReadonlySet<string>): Promise<void> {
    this.#names = new Set();
    for await (const { path } of this.#live.files()) if (page.has(path)) this.#names.add(path);
  }

  /** Reads the names of the batches from `from` to `to`. */
  async #advanceTo(from: number, to: number): Promise<void> {
    if (from < this.#first) this.#restart();
    this.#first = from;
    for (const name of this.#names) if ((this.#batchOf(name) ?? -1) < from) this.#names.delete(name);
    while (this.#batchId <= to) {
      const { done, value } = await this.#source.next();
      if (done) return;
      const batchId = this.#batchOf(value.path);
      if (batchId === undefined) continue;
      this.#batchId = batchId;
      if (batchId >= from) this.#names.add(value.path);
    }
  }

  #restart(): void {
    this.#source = this.#live.files();
    this.#names = new Set();
    this.#batchId = -1;
  }

  #batchOf(path: string): number | undefined {
    return attemptOf(path, this.#folder)?.batchId;
  }
}
