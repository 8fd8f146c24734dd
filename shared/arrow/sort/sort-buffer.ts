import type { RecordBatch, Schema } from "apache-arrow";
import { GrowingBytes } from "../exchange/growing-bytes.ts";
import { RowBuffer } from "../exchange/row-buffer.ts";
import type { KeyList, SortKeys } from "../sort-keys.ts";
import { RowSorter } from "./sorted-rows.ts";

/** Rows in their order. Both arrays are valid until the buffer changes. */
export interface SortedRows {
  readonly batch: RecordBatch;
  /** The rows of `batch`, in their order. */
  readonly order: Int32Array;
  readonly keys: KeyList;
}

/** Collects rows and their sort keys in memory of its own. */
export class SortBuffer {
  readonly #keys: SortKeys;
  readonly #rows: RowBuffer;
  readonly #keyBytes = new GrowingBytes();
  readonly #ends = new GrowingBytes();
  readonly #sorter = new RowSorter();

  /** The schema must have no dictionaries and views. */
  constructor(schema: Schema, keys: SortKeys) {
    this.#keys = keys;
    this.#rows = new RowBuffer(schema);
  }

  get rows(): number {
    return this.#rows.rows;
  }

  /** The memory that the rows and their sort take. */
  get bytes(): number {
    const { rows, bytes } = this.#rows;
    return bytes + this.#keyBytes.length + this.#ends.length + rows * RowSorter.ROW_BYTES;
  }

  /** Adds rows `start` to `end` (exclusive). */
  append(batch: RecordBatch, start: number, end: number): void {
    const isWhole = start === 0 && end === batch.numRows;
    const { bytes, offsets } = this.#keys.list(isWhole ? batch : batch.slice(start, end));
    const shift = this.#keyBytes.length;
    this.#keyBytes.append(bytes);
    const at = this.#ends.reserve((end - start) * 4);
    const ends = new Int32Array(this.#ends.bytes.buffer, at, end - start);
    for (let i = 0; i < ends.length; i++) ends[i] = (offsets[i + 1] as number) + shift;
    this.#rows.append(batch, start, end);
  }

  sorted(): SortedRows {
    const { rows } = this.#rows;
    const offsets = new Int32Array(rows + 1);
    offsets.set(new Int32Array(this.#ends.bytes.buffer, 0, rows), 1);
    const keys = { bytes: this.#keyBytes.bytes, offsets };
    return { batch: this.#rows.batch(), order: this.#sorter.sorted(keys, rows), keys };
  }

  /** Starts anew, and keeps the memory. */
  clear(): void {
    this.#rows.clear();
    this.#keyBytes.clear();
    this.#ends.clear();
  }

  /** Gives the memory back. */
  release(): void {
    this.#rows.release();
    this.#keyBytes.release();
    this.#ends.release();
    this.#sorter.release();
  }
}
