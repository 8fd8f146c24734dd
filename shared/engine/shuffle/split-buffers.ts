import type { RecordBatch, Schema } from "apache-arrow";
import { GrowingBytes } from "../../arrow/exchange/growing-bytes.ts";
import { RowBuffer } from "../../arrow/exchange/row-buffer.ts";
import { RowHash } from "../../arrow/hash-rows.ts";
import { endOfChunk, rowSizes } from "../../arrow/sort/row-sizes.ts";
import { SortBuffer } from "../../arrow/sort/sort-buffer.ts";
import { type KeyList, SortKeys } from "../../arrow/sort-keys.ts";
import type { ShuffleSpec } from "./spec.ts";

/** Rows that are written together, and the part of the file to which they belong. */
export interface Chunk {
  readonly batch: RecordBatch;
  readonly rows: Int32Array;
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
  /** Yields the rows so far. Each chunk is valid until the next one. */
  chunks(): Generator<Chunk>;
  /** Starts anew, and keeps the memory. */
  clear(): void;
  /** Gives the memory back. */
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

class BucketBuffer implements SplitBuffer {
  readonly #rows: RowBuffer;
  readonly #numbers = new GrowingBytes();
  readonly #buckets: number;
  readonly #bucketing: Bucketing;

  constructor(schema: Schema, buckets: number, bucketing: Bucketing) {
    this.#rows = new RowBuffer(schema);
    this.#buckets = buckets;
    this.#bucketing = bucketing;
  }

  get rows(): number {
    return this.#rows.rows;
  }

  /** Each row also takes its bucket, and its place among the rows of the bucket. */
  get bytes(): number {
    return this.#rows.bytes + this.#rows.rows * 8;
  }

  append(batch: RecordBatch, start: number, end: number): void {
    const isWhole = start === 0 && end === batch.numRows;
    const numbers = this.#bucketing.of(isWhole ? batch : batch.slice(start, end));
    this.#numbers.append(new Uint8Array(numbers.buffer));
    this.#rows.append(batch, start, end);
  }

  *chunks(): Generator<Chunk> {
    const batch = this.#rows.batch();
    const sizeAt = rowSizes(batch);
    const { order, ends } = this.#grouped();
    for (let bucket = 0, start = 0; bucket < this.#buckets; bucket++) {
      const rows = order.subarray(0, ends[bucket]);
      while (start < rows.length) {
        const end = endOfChunk(rows, start, sizeAt, MAX_CHUNK_BYTES);
        yield { batch, rows: rows.subarray(start, end), bucket };
        start = end;
      }
    }
  }

  /** Returns the rows by bucket, in their order, and where each bucket ends. */
  #grouped(): { readonly order: Int32Array; readonly ends: Int32Array } {
    const count = this.#rows.rows;
    const numbers = new Uint32Array(this.#numbers.bytes.buffer, 0, count);
    const ends = new Int32Array(this.#buckets + 1);
    for (let row = 0; row < count; row++) {
      const bucket = (numbers[row] as number) + 1;
      ends[bucket] = (ends[bucket] as number) + 1;
    }
    for (let bucket = 1; bucket <= this.#buckets; bucket++)
      ends[bucket] = (ends[bucket] as number) + (ends[bucket - 1] as number);
    const order = new Int32Array(count);
    for (let row = 0; row < count; row++) {
      const bucket = numbers[row] as number;
      const at = ends[bucket] as number;
      ends[bucket] = at + 1;
      order[at] = row;
    }
    return { order, ends };
  }

  clear(): void {
    this.#rows.clear();
    this.#numbers.clear();
  }

  release(): void {
    this.#rows.release();
    this.#numbers.release();
  }
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
      yield { batch, rows, bucket: this.#run, keys: ends };
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
