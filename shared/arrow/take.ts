import { Data, DataType, RecordBatch, type Struct, UnionMode } from "apache-arrow";

/**
 * Returns a record batch of the rows at the indexes `rows`, in that order. All Arrow types are
 * supported.
 */
export function takeRows(batch: RecordBatch, rows: readonly number[]): RecordBatch {
  return new RecordBatch(batch.schema, take(batch.data as Data, rows) as Data<Struct>);
}

interface Buffers {
  readonly offsets?: object;
  readonly values?: object;
  readonly typeIds?: object;
  readonly children?: Data[];
}

function take(data: Data, rows: readonly number[]): Data {
  const { type, nullBitmap, offset, dictionary, variadicBuffers } = data;
  const hasNulls = !DataType.isUnion(type) && !DataType.isNull(type) && data.nullCount > 0;
  const { offsets, values, typeIds, children } = buffersOf(data, rows);
  const validity = hasNulls ? takeBits(nullBitmap, offset, rows) : undefined;
  const buffers = [offsets, values, validity, typeIds] as object;
  return new Data(type, 0, rows.length, hasNulls ? -1 : 0, buffers, children, dictionary, variadicBuffers);
}

/**
 * Types that share a physical layout are handled together:
 * https://arrow.apache.org/docs/format/Columnar.html.
 */
function buffersOf(data: Data, rows: readonly number[]): Buffers {
  const { type, stride, offset, children, values, valueOffsets: offsets, typeIds } = data;
  const takeChildren = (items: readonly number[]) => children.map((child) => take(child, items));

  if (DataType.isNull(type)) return {};
  if (DataType.isBool(type)) return { values: takeBits(values, offset, rows) };
  if (DataType.isStruct(type)) return { children: takeChildren(rows) };
  if (DataType.isFixedSizeList(type))
    return { children: takeChildren(rows.flatMap((row) => range(row * stride, (row + 1) * stride))) };
  if (DataType.isUnion(type)) {
    const taken = { typeIds: takeValues(typeIds, 1, rows, Int8Array) };
    return type.mode === UnionMode.Sparse
      ? { ...taken, children: takeChildren(rows) }
      : { ...taken, offsets: takeValues(offsets, 1, rows, Int32Array), children };
  }
  if (offsets === undefined) return { values: takeValues(values, stride, rows, data.ArrayType) };

  const runs = rows.map((row) => [Number(offsets[row]), Number(offsets[row + 1])] as const);
  const ends = endsOf(runs);
  return {
    offsets: offsets instanceof BigInt64Array ? BigInt64Array.from(ends, BigInt) : Int32Array.from(ends),
    ...(children.length > 0
      ? { children: takeChildren(runs.flatMap(([start, end]) => range(start, end))) }
      : { values: takeBytes(values, runs, ends.at(-1) ?? 0) }),
  };
}

function takeBits(bits: Uint8Array, offset: number, rows: readonly number[]): Uint8Array {
  const taken = new Uint8Array((rows.length + 7) >> 3);
  for (const [i, row] of rows.entries()) {
    const at = offset + row;
    const bit = ((bits[at >> 3] ?? 0) >> (at & 7)) & 1;
    taken[i >> 3] = (taken[i >> 3] ?? 0) | (bit << (i & 7));
  }
  return taken;
}

/** Copies the values of these rows. A row has `stride` elements. */
function takeValues(
  values: ArrayLike<unknown>,
  stride: number,
  rows: readonly number[],
  make: new (length: number) => { [index: number]: unknown },
): object {
  const taken = new make(rows.length * stride);
  let at = 0;
  for (const row of rows)
    for (let from = row * stride; from < (row + 1) * stride; from++) taken[at++] = values[from];
  return taken;
}

type Run = readonly [start: number, end: number];

function takeBytes(bytes: Uint8Array, runs: readonly Run[], length: number): Uint8Array {
  const taken = new Uint8Array(length);
  let at = 0;
  for (const [start, end] of runs) {
    taken.set(bytes.subarray(start, end), at);
    at += end - start;
  }
  return taken;
}

/** Returns 0 and then the end of each run, as if the runs were placed one after the other. */
function endsOf(runs: readonly Run[]): number[] {
  let end = 0;
  return [0, ...runs.map(([from, to]) => (end += to - from))];
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}
