import { tableFromIPC } from "apache-arrow";
import type { MemoryObjects } from "../../shared/platform/memory/memory-store.ts";

/** Matches the key of a log entry, in any store that has the table. */
export const LOG = /(?:^|\/)_log\/(\d{20})\.json$/;

/** An entry of the table's log, as far as the judge reads it. */
export interface LogEntry {
  readonly pipeline: string;
  readonly incarnation: string;
  readonly batchId: number;
  readonly add: readonly { readonly path: string }[];
  readonly remove: readonly { readonly path: string }[];
}

/** The Arrow table as a reader sees it, read from the objects without code of the engine. */
export class TableView {
  readonly #objects: MemoryObjects;

  constructor(objects: MemoryObjects) {
    this.#objects = objects;
  }

  /** Returns the rows that a reader sees now, in the order of the log and of its files. */
  rows(): readonly number[] {
    const live: string[] = [];
    for (const { add, remove } of this.log()) {
      for (const { path } of remove) live.splice(live.indexOf(path), 1);
      for (const { path } of add) live.push(path);
    }
    return live.flatMap((path) => {
      const file = this.#objects.objects.get(`table/${path}`);
      return file === undefined ? [] : idsOf(file.bytes);
    });
  }

  log(): readonly LogEntry[] {
    return [...this.#objects.objects.keys()]
      .filter((key) => LOG.test(key))
      .sort()
      .map((key) => this.entry(key));
  }

  entry(key: string): LogEntry {
    return JSON.parse(Buffer.from(this.#objects.objects.get(key)?.bytes ?? []).toString()) as LogEntry;
  }
}

/**
 * The ids in each file. They are cached, because the judge reads the whole table many times in a
 * case.
 */
const read = new WeakMap<Uint8Array, readonly number[]>();

function idsOf(file: Uint8Array): readonly number[] {
  const known = read.get(file);
  if (known !== undefined) return known;
  const ids = [...(tableFromIPC(file).getChild("id") ?? [])].map(Number);
  read.set(file, ids);
  return ids;
}
