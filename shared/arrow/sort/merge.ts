import type { RecordBatch, Schema } from "apache-arrow";
import { RowBuffer } from "../exchange/row-buffer.ts";
import type { KeyList, SortKeys } from "../sort-keys.ts";
import { takeRows } from "../take.ts";
import { rowSizes } from "./row-sizes.ts";
import type { Run, Runs } from "./runs.ts";

/** Most rows of a record batch. */
const MAX_ROWS = 16_384;

/** What a merge needs besides the runs. */
export interface MergeOptions {
  readonly runs: Runs;
  readonly schema: Schema;
  readonly keys: SortKeys;
  /** About how many bytes a record batch has. */
  readonly chunkBytes: number;
  readonly signal: AbortSignal;
}

/** Merges sorted runs. Of equal rows, those of earlier runs come first. */
export async function* mergeRuns(sorted: readonly Run[], options: MergeOptions): AsyncGenerator<RecordBatch> {
  const { runs, keys, signal } = options;
  const cursors = await Promise.all(sorted.map((run) => Cursor.open(runs, run, keys)));
  const tree = new Tournament(cursors);
  const output = new MergeOutput(options);
  for (let cursor = tree.winner; cursor !== undefined; cursor = tree.winner) {
    output.add(cursor);
    if (!cursor.step()) {
      signal.throwIfAborted();
      await cursor.load();
    }
    tree.replay();
    if (output.isFull) yield output.take();
  }
  if (!output.isEmpty) yield output.take();
}

/** The rows of a record batch that an output takes, which follow each other. */
interface Source {
  readonly batch: RecordBatch;
  readonly from: number;
  to: number;
}

/** The next row of a run. */
class Cursor {
  readonly #runs: Runs;
  readonly #run: Run;
  readonly #keys: SortKeys;
  #next = 0;
  #ahead: Promise<RecordBatch | undefined>;
  batch: RecordBatch | undefined;
  sizeAt: (row: number) => number = () => 0;
  list: KeyList = { bytes: new Uint8Array(), offsets: new Int32Array(1) };
  row = 0;
  /** What the current output has of the batch, so far. */
  source: number = -1;

  private constructor(runs: Runs, run: Run, keys: SortKeys) {
    this.#runs = runs;
    this.#run = run;
    this.#keys = keys;
    this.#ahead = this.#read();
  }

  static async open(runs: Runs, run: Run, keys: SortKeys): Promise<Cursor> {
    const cursor = new Cursor(runs, run, keys);
    await cursor.load();
    return cursor;
  }

  /** Goes to the next row. Returns false if its batch has to be loaded first. */
  step(): boolean {
    return ++this.row < (this.batch?.numRows ?? 0);
  }

  /** Goes to the next batch. After the last one there is no `batch`. */
  async load(): Promise<void> {
    this.batch = await this.#ahead;
    this.row = 0;
    this.source = -1;
    if (this.batch === undefined) return;
    this.#ahead = this.#read();
    this.list = this.#keys.list(this.batch);
    this.sizeAt = rowSizes(this.batch);
  }

  #read(): Promise<RecordBatch | undefined> {
    const reading = this.#runs.read(this.#run, this.#next++);
    // An error is thrown when its turn comes.
    reading.catch(() => undefined);
    return reading;
  }
}

/** True if the row of `a` comes before that of `b`, which is of a later run. */
function isBefore(a: Cursor, b: Cursor): boolean {
  if (a.batch === undefined || b.batch === undefined) return b.batch === undefined;
  const [one, other] = [a.list.bytes, b.list.bytes];
  let i = a.list.offsets[a.row] as number;
  let j = b.list.offsets[b.row] as number;
  const end = Math.min(a.list.offsets[a.row + 1] as number, i + (b.list.offsets[b.row + 1] as number) - j);
  for (; i < end; i++, j++) {
    const difference = (one[i] as number) - (other[j] as number);
    if (difference !== 0) return difference < 0;
  }
  return true;
}

/**
 * Finds the first of several cursors. Each inner node of a tree has the loser of the match below
 * it, so only the matches of the winner are played again.
 */
class Tournament {
  readonly #cursors: readonly Cursor[];
  /** Indexes of cursors. The first one is the winner. */
  readonly #losers: Int32Array;

  constructor(cursors: readonly Cursor[]) {
    this.#cursors = cursors;
    this.#losers = new Int32Array(Math.max(1, cursors.length));
    if (cursors.length > 0) this.#losers[0] = this.#play(1);
  }

  get winner(): Cursor | undefined {
    const winner = this.#cursors[this.#losers[0] as number];
    return winner?.batch === undefined ? undefined : winner;
  }

  /** Plays the matches of the winner again, which has another row. */
  replay(): void {
    const losers = this.#losers;
    let winner = losers[0] as number;
    for (let node = (winner + this.#cursors.length) >> 1; node > 0; node >>= 1) {
      const other = losers[node] as number;
      if (this.#wins(other, winner)) {
        losers[node] = winner;
        winner = other;
      }
    }
    losers[0] = winner;
  }

  /** Plays all matches below a node. Returns the winner. */
  #play(node: number): number {
    const count = this.#cursors.length;
    if (node >= count) return node - count;
    const [left, right] = [this.#play(2 * node), this.#play(2 * node + 1)];
    const isLeft = this.#wins(left, right);
    this.#losers[node] = isLeft ? right : left;
    return isLeft ? left : right;
  }

  /** Of equal rows, that of the earlier run wins. */
  #wins(one: number, other: number): boolean {
    const [a, b] = [this.#cursors[one] as Cursor, this.#cursors[other] as Cursor];
    return one < other ? isBefore(a, b) : !isBefore(b, a);
  }
}

/** Collects which rows an output has, and copies them when it is full. */
class MergeOutput {
  readonly #rows: RowBuffer;
  readonly #maxBytes: number;
  readonly #places = new Int32Array(MAX_ROWS);
  readonly #origins = new Int32Array(MAX_ROWS);
  #sources: Source[] = [];
  #owners: Cursor[] = [];
  #count = 0;
  #bytes = 0;

  constructor({ schema, chunkBytes }: MergeOptions) {
    this.#rows = new RowBuffer(schema);
    this.#maxBytes = chunkBytes;
  }

  get isFull(): boolean {
    return this.#count === MAX_ROWS || this.#bytes >= this.#maxBytes;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Adds the row of a cursor. */
  add(cursor: Cursor): void {
    const { row } = cursor;
    if (cursor.source < 0) {
      cursor.source = this.#sources.push({ batch: cursor.batch as RecordBatch, from: row, to: row }) - 1;
      this.#owners.push(cursor);
    }
    (this.#sources[cursor.source] as Source).to = row + 1;
    this.#places[this.#count] = row;
    this.#origins[this.#count++] = cursor.source;
    this.#bytes += cursor.sizeAt(row);
  }

  /** Returns the rows in their order, and starts anew. */
  take(): RecordBatch {
    const shifts = this.#sources.map(({ batch, from, to }) => {
      const shift = this.#rows.rows - from;
      this.#rows.append(batch, from, to);
      return shift;
    });
    const indexes = this.#places.slice(0, this.#count);
    for (let i = 0; i < indexes.length; i++)
      indexes[i] = (indexes[i] as number) + (shifts[this.#origins[i] as number] as number);
    const taken = takeRows(this.#rows.batch(), indexes);
    for (const cursor of this.#owners) cursor.source = -1;
    this.#rows.clear();
    this.#sources = [];
    this.#owners = [];
    this.#count = 0;
    this.#bytes = 0;
    return taken;
  }
}
