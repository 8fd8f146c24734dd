import { Data, DataType, type Field, RecordBatch, type Struct, UnionMode } from "apache-arrow";
import type { TypedArrayClass } from "./layout.ts";

/** Indexes of rows. */
export type RowIndexes = readonly number[] | Int32Array;

/** The index of a row that is to be null. */
export const NULL_ROW = -1;

/**
 * Returns a record batch of the rows at the indexes `rows`, in that order. All Arrow types are
 * supported.
 */
export function takeRows(batch: RecordBatch, rows: RowIndexes): RecordBatch {
  return new RecordBatch(batch.schema, takeData(batch.data as Data, rows) as Data<Struct>);
}

/** Returns a record batch without the rows at these indexes. */
export function withoutRows(batch: RecordBatch, left: { has(index: number): boolean }): RecordBatch {
  const all = Int32Array.from({ length: batch.numRows }, (_, index) => index);
  return takeRows(
    batch,
    all.filter((index) => !left.has(index)),
  );
}

interface Buffers {
  readonly offsets?: object;
  readonly values?: object;
  readonly typeIds?: object;
  readonly children?: Data[];
}

/**
 * Returns the values of a column at the indexes `rows`, in that order, and null for `NULL_ROW`. A
 * union, which has no nulls of its own, has a null of its first type then.
 */
export function takeData(data: Data, rows: RowIndexes): Data {
  const { type, nullBitmap, offset, dictionary, variadicBuffers } = data;
  if (DataType.isNull(type)) return new Data(type, 0, rows.length, rows.length);
  const hasNulls = !DataType.isUnion(type) && (data.nullCount > 0 || rows.includes(NULL_ROW));
  const { offsets, values, typeIds, children } = buffersOf(data, rows);
  const validBits = data.nullCount > 0 ? nullBitmap : undefined;
  const validity = hasNulls ? takeBits(validBits, offset, rows) : undefined;
  const buffers = [offsets, values, validity, typeIds] as object;
  return new Data(type, 0, rows.length, hasNulls ? -1 : 0, buffers, children, dictionary, variadicBuffers);
}

/**
 * Types that share a physical layout are handled together:
 * https://arrow.apache.org/docs/format/Columnar.html.
 */
function buffersOf(data: Data, rows: RowIndexes): Buffers {
  const { type, stride, offset, children, values, valueOffsets: offsets } = data;
  const takeChildren = (items: RowIndexes) => children.map((child) => takeData(child, items));

  if (DataType.isBool(type)) return { values: takeBits(values, offset, rows) };
  if (DataType.isStruct(type)) return { children: takeChildren(rows) };
  if (DataType.isFixedSizeList(type))
    return { children: takeChildren(Array.from(rows).flatMap((row) => itemsOf(row, stride))) };
  if (DataType.isUnion(type)) return unionBuffers(data, rows);
  if (offsets === undefined) return { values: takeValues(values, stride, rows, arrayClassOf(data)) };

  const ends = endsOf(offsets, rows);
  return {
    offsets: offsets instanceof BigInt64Array ? BigInt64Array.from(ends, BigInt) : new Int32Array(ends),
    ...(children.length > 0
      ? { children: takeChildren(runItems(offsets, rows)) }
      : { values: takeBytes(values, offsets, rows, ends) }),
  };
}

/** The class of the values: of a dictionary column, these are its indices. */
function arrayClassOf({ type, ArrayType }: Data): TypedArrayClass {
  return DataType.isDictionary(type) ? type.indices.ArrayType : ArrayType;
}

function itemsOf(row: number, size: number): number[] {
  return row === NULL_ROW
    ? Array.from({ length: size }, () => NULL_ROW)
    : range(row * size, (row + 1) * size);
}

/** A dense union gets children with only the values of these rows, in their order. */
function unionBuffers({ type, typeIds, valueOffsets, children }: Data, rows: RowIndexes): Buffers {
  if (!DataType.isUnion(type)) throw new TypeError("not a union");
  const [firstId = 0] = type.typeIds;
  const ids = Int8Array.from(rows, (row) => (row === NULL_ROW ? firstId : Number(typeIds[row])));
  if (type.mode === UnionMode.Sparse)
    return { typeIds: ids, children: children.map((child) => takeData(child, rows)) };
  const taken: number[][] = (type.children as Field[]).map(() => []);
  const offsets = Int32Array.from(rows, (row, i) => {
    const items = taken[type.typeIdToChildIndex[ids[i] ?? firstId] ?? 0] ?? [];
    return items.push(row === NULL_ROW ? NULL_ROW : Number(valueOffsets[row])) - 1;
  });
  return { typeIds: ids, offsets, children: children.map((child, i) => takeData(child, taken[i] ?? [])) };
}

/** Takes bits. Without `bits` all are set, except those of null rows. */
function takeBits(bits: Uint8Array | undefined, offset: number, rows: RowIndexes): Uint8Array {
  const taken = new Uint8Array((rows.length + 7) >> 3);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    if (row === NULL_ROW) continue;
    const at = offset + row;
    const bit = bits === undefined ? 1 : ((bits[at >> 3] ?? 0) >> (at & 7)) & 1;
    taken[i >> 3] = (taken[i >> 3] ?? 0) | (bit << (i & 7));
  }
  return taken;
}

/** Copies the values of these rows. A row has `stride` elements. */
function takeValues(
  values: ArrayBufferView,
  stride: number,
  rows: RowIndexes,
  make: TypedArrayClass,
): ArrayBufferView {
  const taken = new make(rows.length * stride);
  const bytes = make.BYTES_PER_ELEMENT * stride;
  // 64-bit integers would be objects one by one, and 64-bit floats might lose bits of a NaN.
  if (bytes % 4 === 0 && values.byteOffset % 4 === 0)
    takeWords(wordsOf(values), bytes / 4, rows, wordsOf(taken));
  else takeElements(asArray(values), stride, rows, asArray(taken));
  return taken;
}

function wordsOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Int32Array {
  return new Int32Array(buffer, byteOffset, byteLength >> 2);
}

function asArray(view: ArrayBufferView): Uint8Array {
  return view as Uint8Array;
}

function takeWords(values: Int32Array, words: number, rows: RowIndexes, taken: Int32Array): void {
  if (words === 1) takeSingles(values, rows, taken);
  else if (words === 2) takePairs(values, rows, taken);
  else takeElements(values, words, rows, taken);
}

function takeSingles(values: Int32Array, rows: RowIndexes, taken: Int32Array): void {
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    if (row !== NULL_ROW) taken[i] = values[row] as number;
  }
}

function takePairs(values: Int32Array, rows: RowIndexes, taken: Int32Array): void {
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    if (row === NULL_ROW) continue;
    taken[2 * i] = values[2 * row] as number;
    taken[2 * i + 1] = values[2 * row + 1] as number;
  }
}

function takeElements<T extends Int32Array | Uint8Array>(
  values: T,
  stride: number,
  rows: RowIndexes,
  taken: T,
): void {
  for (let i = 0, at = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    if (row === NULL_ROW) at += stride;
    else
      for (let from = row * stride; from < (row + 1) * stride; from++) taken[at++] = values[from] as number;
  }
}

type Offsets = Int32Array | BigInt64Array;

/** A run of at least this many bytes is copied at once. */
const LONG_RUN = 64;

function takeBytes(bytes: Uint8Array, offsets: Offsets, rows: RowIndexes, ends: Float64Array): Uint8Array {
  const taken = new Uint8Array(ends.at(-1) ?? 0);
  const [from, to] = [viewOf(bytes), viewOf(taken)];
  let at = 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    const end = ends[i + 1] as number;
    if (row === NULL_ROW || end === at) continue;
    const start = Number(offsets[row]);
    if (end - at >= LONG_RUN) taken.set(bytes.subarray(start, start + end - at), at);
    else copyBytes(from, start, to, at, end - at);
    at = end;
  }
  return taken;
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** Copies a few bytes, four at a time: neither array has to be aligned for that. */
function copyBytes(from: DataView, start: number, to: DataView, at: number, length: number): void {
  let i = 0;
  for (; i + 4 <= length; i += 4) to.setInt32(at + i, from.getInt32(start + i, true), true);
  for (; i < length; i++) to.setUint8(at + i, from.getUint8(start + i));
}

/** Returns 0 and then the end of each row's run, as if the runs were placed one after the other. */
function endsOf(offsets: Offsets, rows: RowIndexes): Float64Array {
  const ends = new Float64Array(rows.length + 1);
  let end = 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    if (row !== NULL_ROW) end += Number(offsets[row + 1]) - Number(offsets[row]);
    ends[i + 1] = end;
  }
  return ends;
}

/** Returns the indexes of all items of the rows' runs. */
function runItems(offsets: Offsets, rows: RowIndexes): number[] {
  const items: number[] = [];
  for (const row of rows) {
    if (row === NULL_ROW) continue;
    for (let item = Number(offsets[row]); item < Number(offsets[row + 1]); item++) items.push(item);
  }
  return items;
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}
