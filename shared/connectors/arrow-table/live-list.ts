import type { ObjectStore } from "../../contract/object-store.ts";
import type { LogFile } from "./log-entry.ts";
import { mergedFrom, readSegment, type Segment, writeSegments } from "./segments.ts";

/** A segment, and the paths of its files that were removed since it was written. */
interface Part {
  readonly segment: Segment;
  readonly removed: Set<string>;
}

/** Sums over the live files of a table. */
export interface Totals {
  readonly files: number;
  readonly rows: number;
  readonly bytes: number;
}

const NO_FILES: Totals = { files: 0, rows: 0, bytes: 0 };

/**
 * The live files of a table in the order of their commits: those that segments hold, and newer ones
 * in memory.
 */
export class LiveList {
  readonly #table: ObjectStore;
  #parts: Part[];
  #newer = new Map<string, LogFile>();
  #totals: Totals;

  constructor(table: ObjectStore, segments: readonly Segment[] = [], totals: Totals = NO_FILES) {
    this.#table = table;
    this.#parts = segments.map((segment) => ({ segment, removed: new Set() }));
    this.#totals = totals;
  }

  get totals(): Totals {
    return this.#totals;
  }

  /** Number of files in memory, which no segment holds yet. */
  get newerCount(): number {
    return this.#newer.size;
  }

  /** Adds files. Returns the index of one that is known to be there already, or -1. */
  add(files: readonly LogFile[]): number {
    for (const [i, file] of files.entries()) {
      if (this.#newer.has(file.path)) return i;
      this.#newer.set(file.path, file);
      this.#count(file, 1);
    }
    return -1;
  }

  /**
   * Removes `count` files. Returns the number of paths that are not in the list. Error:
   * `SegmentDamaged`.
   */
  async remove(count: number, paths: () => AsyncGenerator<string>): Promise<number> {
    // An overwrite names all files in their order, so it is compared without holding their names.
    if (count === this.#totals.files && (await this.#isEqual(paths()))) {
      this.clear();
      return 0;
    }
    const left = new Set<string>();
    for await (const path of paths()) {
      const file = this.#newer.get(path);
      if (file === undefined) left.add(path);
      else this.#count(file, -1);
      this.#newer.delete(path);
    }
    for (const part of this.#parts) {
      if (left.size === 0) break;
      for await (const file of this.#filesOf(part)) {
        if (!left.delete(file.path)) continue;
        part.removed.add(file.path);
        this.#count(file, -1);
      }
    }
    this.#parts = this.#parts.filter(({ segment, removed }) => segment.files > removed.size);
    return left.size;
  }

  async #isEqual(paths: AsyncGenerator<string>): Promise<boolean> {
    for await (const { path } of this.files()) {
      const { done, value } = await paths.next();
      if (done || value !== path) return false;
    }
    return (await paths.next()).done === true;
  }

  /** Removes all files. */
  clear(): void {
    this.#parts = [];
    this.#newer = new Map();
    this.#totals = NO_FILES;
  }

  /** Yields the files in the order of their commits. Error: `SegmentDamaged`. */
  async *files(): AsyncGenerator<LogFile> {
    for (const part of this.#parts) yield* this.#filesOf(part);
    yield* this.#newer.values();
  }

  /**
   * Writes what is not in a segment yet, and returns the segments of all files. Small segments are
   * merged. Error: `SegmentDamaged`.
   */
  async seal(): Promise<readonly Segment[]> {
    const counts = this.#parts.map(({ segment, removed }) => segment.files - removed.size);
    const from = mergedFrom(counts, this.#newer.size);
    const segments: Segment[] = [];
    for (const part of this.#parts.slice(0, from)) {
      if (part.removed.size === 0) segments.push(part.segment);
      else segments.push(...(await writeSegments(this.#table, this.#filesOf(part))));
    }
    segments.push(...(await writeSegments(this.#table, this.#filesFrom(from))));
    this.#parts = segments.map((segment) => ({ segment, removed: new Set() }));
    this.#newer = new Map();
    return segments;
  }

  async *#filesFrom(index: number): AsyncGenerator<LogFile> {
    for (const part of this.#parts.slice(index)) yield* this.#filesOf(part);
    yield* this.#newer.values();
  }

  async *#filesOf({ segment, removed }: Part): AsyncGenerator<LogFile> {
    for (const file of await readSegment(this.#table, segment)) if (!removed.has(file.path)) yield file;
  }

  #count({ rows, bytes }: LogFile, sign: 1 | -1): void {
    const { totals } = this;
    this.#totals = {
      files: totals.files + sign,
      rows: totals.rows + sign * rows,
      bytes: totals.bytes + sign * bytes,
    };
  }
}
