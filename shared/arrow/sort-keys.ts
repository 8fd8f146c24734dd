import type { Data, RecordBatch, Schema } from "apache-arrow";
import type { SortOrder } from "../contract/write/distribution.ts";
import { presenceOf } from "./conform.ts";
import { type KeyColumn, keyColumns } from "./keys/key-columns.ts";
import { type ValueWriter, valueWriter } from "./keys/value-writers.ts";

export { checkOrdering } from "./keys/key-columns.ts";

/**
 * Returns the sort key of each row: `Buffer.compare` of two keys is the order of their rows, as in
 * Spark. Equal keys belong to rows that are equal in all of `orders`. The encoding of a column does
 * not matter. Throws `DISTRIBUTION_INVALID`.
 */
export function sortKeysOf(batch: RecordBatch, orders: readonly SortOrder[]): (row: number) => Uint8Array {
  return new SortKeys(batch.schema, orders).of(batch);
}

/** The keys of the rows of a record batch, one after the other. */
export interface KeyList {
  readonly bytes: Uint8Array;
  /** Where the key of each row begins, and at last where the last one ends. */
  readonly offsets: Int32Array;
}

/** Makes the sort keys of record batches of one schema. */
export class SortKeys {
  readonly #columns: readonly (readonly [KeyColumn, SortOrder])[];

  /** Throws `DISTRIBUTION_INVALID`. */
  constructor(schema: Schema, orders: readonly SortOrder[]) {
    const columns = keyColumns(
      schema,
      orders.map(({ expression }) => expression),
      "ordering",
    );
    this.#columns = columns.map((column, i) => [column, orders[i] as SortOrder] as const);
  }

  /** Returns a function that makes the key of a row. */
  of(batch: RecordBatch): (row: number) => Uint8Array {
    const writers = this.#bind(batch);
    return (row) => {
      const key = new Uint8Array(writers.reduce((sum, writer) => sum + writer.size(row), 0));
      writers.reduce((at, writer) => writer.put(key, at, row), 0);
      return key;
    };
  }

  /** Returns the keys of all rows. */
  list(batch: RecordBatch): KeyList {
    const { numRows } = batch;
    const writers = this.#bind(batch);
    const offsets = keyOffsets(writers, numRows);
    const bytes = new Uint8Array(offsets[numRows] as number);
    const starts = offsets.slice(0, numRows);
    for (const writer of writers) {
      for (let row = 0; row < numRows; row++) starts[row] = writer.put(bytes, starts[row] as number, row);
    }
    return { bytes, offsets };
  }

  #bind(batch: RecordBatch): readonly ValueWriter[] {
    return this.#columns.flatMap(([column, order]) => {
      const found = column(batch);
      return found === undefined ? [] : [orderedWriter(found.data, found.parents, order)];
    });
  }
}

function keyOffsets(writers: readonly ValueWriter[], rows: number): Int32Array {
  const offsets = new Int32Array(rows + 1);
  const width = writers.reduce((sum, writer) => sum + (writer.width ?? 0), 0);
  const others = writers.filter((writer) => writer.width === undefined);
  for (let row = 0; row < rows; row++) {
    let size = width;
    for (const writer of others) size += writer.size(row);
    offsets[row + 1] = (offsets[row] as number) + size;
  }
  return offsets;
}

/** Bytes before a value, and in place of a null that comes first or last. */
const PRESENT = 1;
const NULL_FIRST = 0;
const NULL_LAST = 2;

/** Writes a byte for the place of nulls, and then the value, turned around if it descends. */
function orderedWriter(
  data: Data,
  parents: readonly Data[],
  { direction, nullOrdering }: SortOrder,
): ValueWriter {
  const inner = valueWriter(data);
  const { width } = inner;
  const isPresent = presence(data, parents);
  const nullByte = nullOrdering === "nullsFirst" ? NULL_FIRST : NULL_LAST;
  const nullSize = 1 + (width ?? 0);
  const isDescending = direction === "descending";
  return {
    ...(width === undefined ? {} : { width: nullSize }),
    size: (row) => (isPresent === undefined || isPresent(row) ? 1 + inner.size(row) : nullSize),
    put(out, at, row) {
      if (isPresent !== undefined && !isPresent(row)) {
        out[at] = nullByte;
        out.fill(0, at + 1, at + nullSize);
        return at + nullSize;
      }
      out[at] = PRESENT;
      const end = inner.put(out, at + 1, row);
      if (isDescending) for (let i = at + 1; i < end; i++) out[i] = ~(out[i] as number);
      return end;
    },
  };
}

/** Returns a test if a value is there, or `undefined` if all are. */
function presence(data: Data, parents: readonly Data[]): ((row: number) => boolean) | undefined {
  const own = presenceOf(data.type, data);
  if (parents.length === 0) return own;
  return (row) => parents.every((parent) => parent.getValid(row)) && own?.(row) !== false;
}
