import type { RecordBatch, Schema } from "apache-arrow";
import type { ErrorLocation } from "../contract/errors.ts";
import type { Scratch } from "../contract/scratch.ts";
import type { SortOrder } from "../contract/write/distribution.ts";
import { PlainRows } from "./exchange/plain-rows.ts";
import { type MergeOptions, mergeRuns } from "./sort/merge.ts";
import { endOfChunk, rowSizes } from "./sort/row-sizes.ts";
import { type Run, Runs } from "./sort/runs.ts";
import { SortBuffer } from "./sort/sort-buffer.ts";
import { SortKeys } from "./sort-keys.ts";
import { takeRows } from "./take.ts";

/** What `sortBatches` needs besides the rows. */
export interface SortOptions {
  /** About how much memory the rows may take. */
  readonly memoryBytes: number;
  /** Where rows are put aside that do not fit into memory. */
  readonly scratch: Scratch;
  readonly signal: AbortSignal;
  readonly where: ErrorLocation;
}

/** Most bytes of a record batch, unless one row has more. */
const MAX_CHUNK_BYTES = 1024 * 1024;
const MIN_CHUNK_BYTES = 4096;
/** A run that is merged has one batch in use, one read ahead, and their keys. */
const BATCHES_OF_RUN = 4;
/** Most runs that are read at the same time. */
const MAX_OPEN_RUNS = 64;

/**
 * Sorts rows. Equal rows keep their order. Rows beyond `memoryBytes` are put aside as sorted runs
 * and merged, several times if there are many. The runs are deleted at the end, also after an error
 * or an early return. Errors: `DISTRIBUTION_INVALID`, `SPILL_FAILED`, and those of the store.
 */
export async function* sortBatches(
  batches: AsyncIterable<RecordBatch>,
  schema: Schema,
  orders: readonly SortOrder[],
  options: SortOptions,
): AsyncGenerator<RecordBatch> {
  const rows = new PlainRows(schema);
  const sort = new ExternalSort(rows.schema, orders, options);
  try {
    for await (const batch of batches) {
      options.signal.throwIfAborted();
      await sort.add(rows.plain(batch));
    }
    for await (const batch of sort.sorted()) {
      options.signal.throwIfAborted();
      yield* rows.restored(batch);
    }
  } finally {
    await sort.close();
  }
}

class ExternalSort {
  readonly #keys: SortKeys;
  readonly #schema: Schema;
  readonly #buffer: SortBuffer;
  readonly #memoryBytes: number;
  readonly #chunkBytes: number;
  readonly #signal: AbortSignal;
  readonly #runs: Runs;
  #spilled: Run[] = [];

  constructor(
    schema: Schema,
    orders: readonly SortOrder[],
    { memoryBytes, scratch, signal, where }: SortOptions,
  ) {
    this.#schema = schema;
    this.#keys = new SortKeys(schema, orders);
    this.#buffer = new SortBuffer(schema, this.#keys);
    this.#memoryBytes = memoryBytes;
    this.#chunkBytes = Math.max(MIN_CHUNK_BYTES, Math.min(MAX_CHUNK_BYTES, memoryBytes / MAX_OPEN_RUNS));
    this.#signal = signal;
    this.#runs = new Runs(scratch, schema, where);
  }

  async add(batch: RecordBatch): Promise<void> {
    const sizeAt = rowSizes(batch);
    const all = Int32Array.from({ length: batch.numRows }, (_, i) => i);
    for (let start = 0; start < all.length; ) {
      const end = endOfChunk(all, start, sizeAt, this.#chunkBytes);
      this.#buffer.append(batch, start, end);
      start = end;
      if (this.#buffer.bytes >= this.#memoryBytes) await this.#spill();
    }
  }

  async *sorted(): AsyncGenerator<RecordBatch> {
    if (this.#spilled.length === 0) {
      yield* this.#chunks();
      return;
    }
    if (this.#buffer.rows > 0) await this.#spill();
    this.#buffer.release();
    const options: MergeOptions = {
      runs: this.#runs,
      schema: this.#schema,
      keys: this.#keys,
      chunkBytes: this.#chunkBytes,
      signal: this.#signal,
    };
    const open = this.#memoryBytes / (BATCHES_OF_RUN * this.#chunkBytes);
    const maxOpen = Math.max(2, Math.min(MAX_OPEN_RUNS, Math.floor(open)));
    while (this.#spilled.length > maxOpen) await this.#mergeOnce(maxOpen, options);
    yield* mergeRuns(this.#spilled, options);
  }

  async close(): Promise<void> {
    this.#buffer.release();
    await this.#runs.deleteAll();
  }

  /** Yields the rows in memory in their order. */
  *#chunks(): Generator<RecordBatch> {
    const { batch, order } = this.#buffer.sorted();
    const sizeAt = rowSizes(batch);
    for (let start = 0; start < order.length; ) {
      const end = endOfChunk(order, start, sizeAt, this.#chunkBytes);
      yield takeRows(batch, order.subarray(start, end));
      start = end;
    }
  }

  async #spill(): Promise<void> {
    this.#signal.throwIfAborted();
    this.#spilled.push(await this.#runs.write(this.#chunks()));
    this.#buffer.clear();
  }

  /** Merges neighbours, so that equal rows keep their order. */
  async #mergeOnce(maxOpen: number, options: MergeOptions): Promise<void> {
    const merged: Run[] = [];
    for (let i = 0; i < this.#spilled.length; i += maxOpen) {
      const group = this.#spilled.slice(i, i + maxOpen);
      const [only] = group;
      if (only !== undefined && group.length === 1) merged.push(only);
      else {
        merged.push(await this.#runs.write(mergeRuns(group, options)));
        await this.#runs.delete(group);
      }
    }
    this.#spilled = merged;
  }
}
