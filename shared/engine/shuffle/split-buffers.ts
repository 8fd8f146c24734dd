import type { RecordBatch, Schema } from "apache-arrow";
import { Arena } from "../../arrow/exchange/arena.ts";
import { RowBuffer } from "../../arrow/exchange/row-buffer.ts";
import { RowHash } from "../../arrow/hash-rows.ts";
import { endOfChunk, MAX_ROWS, rowSizes } from "../../arrow/sort/row-sizes.ts";
import { SortBuffer } from "../../arrow/sort/sort-buffer.ts";
import { type KeyList, SortKeys } from "../../arrow/sort-keys.ts";
import { takeRows } from "../../arrow/take.ts";
import type { ShuffleSpec } from "./spec.ts";

/** Rows that are written together, and the part of the file to which they belong. */
export interface Chunk {
  /** The rows. They are valid until the next chunk. */
  readonly batch: RecordBatch;
  /** The bucket, or the number of the sorted run. */
  readonly bucket: number;
  /** In a range: the sort keys of the first and the last row. */
  readonly keys?: readonly [first: Uint8Array, last: Uint8Array];
}

/** Collects rows until they are written, grouped by bucket or sorted. */
export interface SplitBuffer {
  readonly rows: number;
  readonly bytes: number;
  /** Adds rows `start` to `end` (exclusive). */
  append(batch: RecordBatch, start: number, end: number): void;
  /** Yields the rows so far. */
  chunks(): Generator<Chunk>;
  /** Starts anew, and keeps the memory. */
  clear(): void;
  /** Frees the memory. */
  release(): void;
}

/** Most bytes of a chunk, unless one row has more. */
export const MAX_CHUNK_BYTES: number = 1024 * 1024;

/**
 * Returns the buffer of a task. `first` is the bucket of its first row if they are dealt out
 * evenly. Throws `DISTRIBUTION_INVALID`.
 */
export function splitBuffer(schema: Schema, spec: ShuffleSpec, first: number): SplitBuffer {
  if (spec.kind === "range") return new RangeBuffer(schema, spec);
  if (spec.kind === "even") return new BucketBuffer(schema, spec.buckets, new Dealer(spec.buckets, first));
  const hash = new RowHash(schema, spec.expressions);
  return new BucketBuffer(schema, spec.buckets, { of: (batch) => hash.buckets(batch, spec.buckets) });
}

/** Decides to which bucket each row belongs. */
interface Bucketing {
  of(batch: RecordBatch): Uint32Array;
}

class Dealer implements Bucketing {
  readonly #buckets: number;
  #next: number;

  constructor(buckets: number, first: number) {
    this.#buckets = buckets;
    this.#next = first % buckets;
  }

  of({ numRows }: RecordBatch): Uint32Array {
    const buckets = new Uint32Array(numRows);
    for (let row = 0; row < numRows; row++) {
      buckets[row] = this.#next;
      this.#next = this.#next + 1 === this.#buckets ? 0 : this.#next + 1;
    }
    return buckets;
  }
}

/** A record batch whose rows are grouped by bucket. */
interface Piece {
  readonly batch: RecordBatch;
  /** Where each bucket begins, and at last where the last one ends. */
  readonly starts: Int32Array;
}

/** About how much memory the objects of a piece take. */
const PIECE_BYTES = 4096;
/** From this size on, the rows of a bucket are a chunk. One more piece may make it larger. */
const BUCKET_CHUNK_BYTES = MAX_CHUNK_BYTES / 2;

/**
 * Groups the rows of each batch by bucket while they are in the processor's cache. So the rows
 * of a bucket are later found in runs, and not one by one.
 */
class BucketBuffer implements SplitBuffer {
  readonly #arena = new Arena();
  readonly #chunk: RowBuffer;
  readonly #buckets: number;
  readonly #bucketing: Bucketing;
  #pieces: Piece[] = [];
  #rows = 0;

  constructor(schema: Schema, buckets: number, bucketing: Bucketing) {
    this.#chunk = new RowBuffer(schema);
    this.#buckets = buckets;
    this.#bucketing = bucketing;
  }

  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#arena.bytes + this.#pieces.length * (PIECE_BYTES + 4 * this.#buckets);
  }

  append(batch: RecordBatch, start: number, end: number): void {
    const some = start === 0 && end === batch.numRows ? batch : batch.slice(start, end);
    const { order, starts } = grouped(this.#bucketing.of(some), this.#buckets);
    this.#pieces.push({ batch: this.#arena.copy(takeRows(some, order)), starts });
    this.#rows += end - start;
  }

  *chunks(): Generator<Chunk> {
    const chunk = this.#chunk;
    for (let bucket = 0; bucket < this.#buckets; bucket++) {
      for (const { batch, starts } of this.#pieces) {
        const [start, end] = [starts[bucket] as number, starts[bucket + 1] as number];
        if (start === end) continue;
        if (chunk.rows + end - start > MAX_ROWS || chunk.bytes >= BUCKET_CHUNK_BYTES)
          yield* this.#full(bucket);
        chunk.append(batch, start, end);
      }
      yield* this.#full(bucket);
    }
  }

  *#full(bucket: number): Generator<Chunk> {
    if (this.#chunk.rows > 0) yield { batch: this.#chunk.batch(), bucket };
    this.#chunk.clear();
  }

  clear(): void {
    this.#arena.clear();
    this.#pieces = [];
    this.#rows = 0;
  }

  release(): void {
    this.clear();
    this.#arena.release();
    this.#chunk.release();
  }
}

/** Returns the rows by bucket, in their order, and where each bucket begins. */
function grouped(
  numbers: Uint32Array,
  buckets: number,
): { readonly order: Int32Array; readonly starts: Int32Array } {
  const count = numbers.length;
  const starts = new Int32Array(buckets + 1);
  for (let row = 0; row < count; row++) {
    const bucket = (numbers[row] as number) + 1;
    starts[bucket] = (starts[bucket] as number) + 1;
  }
  for (let bucket = 1; bucket <= buckets; bucket++)
    starts[bucket] = (starts[bucket] as number) + (starts[bucket - 1] as number);
  const next = starts.slice();
  const order = new Int32Array(count);
  for (let row = 0; row < count; row++) {
    const bucket = numbers[row] as number;
    const at = next[bucket] as number;
    next[bucket] = at + 1;
    order[at] = row;
  }
  return { order, starts };
}

/** Least and most chunks of a sorted run. Ranges are cut at their ends. */
const MIN_CHUNKS = 64;
const MAX_CHUNKS = 256;
/** If the number of ranges follows from the size, smaller chunks would not help. */
const MIN_CHUNK_BYTES = 64 * 1024;

class RangeBuffer implements SplitBuffer {
  readonly #buffer: SortBuffer;
  readonly #maxChunks: number;
  readonly #minBytes: number;
  #run = -1;

  constructor(schema: Schema, spec: ShuffleSpec & { readonly kind: "range" }) {
    this.#buffer = new SortBuffer(schema, new SortKeys(schema, spec.ordering));
    this.#maxChunks = Math.min(MAX_CHUNKS, Math.max(MIN_CHUNKS, 4 * spec.buckets));
    this.#minBytes = spec.isFixed ? 1 : MIN_CHUNK_BYTES;
  }

  get rows(): number {
    return this.#buffer.rows;
  }

  get bytes(): number {
    return this.#buffer.bytes;
  }

  append(batch: RecordBatch, start: number, end: number): void {
    this.#buffer.append(batch, start, end);
  }

  *chunks(): Generator<Chunk> {
    this.#run++;
    const { batch, order, keys } = this.#buffer.sorted();
    const sizeAt = rowSizes(batch);
    const share = Math.max(this.#minBytes, this.#buffer.bytes / this.#maxChunks);
    for (let start = 0; start < order.length; ) {
      const end = endOfChunk(order, start, sizeAt, Math.min(MAX_CHUNK_BYTES, share));
      const rows = order.subarray(start, end);
      const ends = [keyOf(keys, rows[0] as number), keyOf(keys, rows.at(-1) as number)] as const;
      yield { batch: takeRows(batch, rows), bucket: this.#run, keys: ends };
      start = end;
    }
  }

  clear(): void {
    this.#buffer.clear();
  }

  release(): void {
    this.#buffer.release();
  }
}

function keyOf({ bytes, offsets }: KeyList, row: number): Uint8Array {
  return bytes.slice(offsets[row], offsets[row + 1]);
}
