import { Data, DataType, type Field, UnionMode } from "apache-arrow";
import { bitAt, isViewType, offsetClassOf } from "./layout.ts";

type TypedArray = ArrayLike<unknown> & { readonly length: number };

/**
 * Joins columns of the same type into one. The chunks must have the same dictionaries, as chunks of
 * one dictionary have.
 */
export function concatData(type: DataType, chunks: readonly Data[]): Data {
  const [first] = chunks;
  if (first !== undefined && chunks.length === 1) return first;
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (DataType.isNull(type)) return new Data(type, 0, length, length);
  const validity = chunks.some((chunk) => !DataType.isUnion(type) && chunk.nullCount > 0)
    ? bitsOf(chunks, length, (chunk, i) => chunk.getValid(i))
    : undefined;
  const { buffers, children = [], variadic = [] } = parts(type, chunks, length);
  const nullCount = validity === undefined ? 0 : -1;
  const all = { ...buffers, ...(validity === undefined ? {} : { 2: validity }) } as never;
  return new Data(type, 0, length, nullCount, all, children, first?.dictionary, variadic);
}

interface Parts {
  readonly buffers: object;
  readonly children?: Data[];
  readonly variadic?: Uint8Array[];
}

function parts(type: DataType, chunks: readonly Data[], length: number): Parts {
  const child = (i: number, slice: (chunk: Data) => Data) =>
    concatData((type.children[i] as Field).type, chunks.map(slice));
  const childAt = (chunk: Data, i: number) => chunk.children[i] as Data;

  if (DataType.isBool(type)) {
    const bit = ({ values, offset }: Data, i: number) => bitAt(values, offset + i);
    return { buffers: { 1: bitsOf(chunks, length, bit) } };
  }
  if (DataType.isStruct(type)) {
    return {
      buffers: {},
      children: type.children.map((_, i) => child(i, (chunk) => childAt(chunk, i).slice(0, chunk.length))),
    };
  }
  if (DataType.isFixedSizeList(type)) {
    const slice = (chunk: Data) => childAt(chunk, 0).slice(0, chunk.length * type.listSize);
    return { buffers: {}, children: [child(0, slice)] };
  }
  if (DataType.isUnion(type)) return unionParts(type.mode, type.children as Field[], chunks);
  if (isViewType(type)) return viewParts(chunks);
  if (offsetClassOf(type) === undefined) {
    return {
      buffers: { 1: joined(chunks.map(({ values, stride, length }) => values.subarray(0, length * stride))) },
    };
  }
  const begin = ({ valueOffsets }: Data) => Number(valueOffsets[0]);
  const end = ({ valueOffsets, length }: Data) => Number(valueOffsets[length]);
  const offsets = joinedOffsets(chunks);
  if (type.children?.length > 0) {
    const slice = (chunk: Data) => childAt(chunk, 0).slice(begin(chunk), end(chunk) - begin(chunk));
    return { buffers: { 0: offsets }, children: [child(0, slice)] };
  }
  return {
    buffers: {
      0: offsets,
      1: joined(chunks.map((chunk) => chunk.values.subarray(begin(chunk), end(chunk)))),
    },
  };
}

function unionParts(mode: UnionMode, fields: readonly Field[], chunks: readonly Data[]): Parts {
  const typeIds = joined(chunks.map(({ typeIds, length }) => typeIds.subarray(0, length)));
  const children = fields.map(({ type }, i) =>
    concatData(
      type,
      chunks.map((chunk) => {
        const child = chunk.children[i] as Data;
        return mode === UnionMode.Sparse ? child.slice(0, chunk.length) : child;
      }),
    ),
  );
  if (mode === UnionMode.Sparse) return { buffers: { 3: typeIds }, children };
  const before = fields.map(() => 0);
  const offsets = chunks.flatMap((chunk) => {
    const { typeIdToChildIndex } = chunk.type as DataType & { typeIdToChildIndex: Record<number, number> };
    const shifted = Array.from({ length: chunk.length }, (_, i) => {
      const child = typeIdToChildIndex[chunk.typeIds[i] ?? 0] ?? 0;
      return Number(chunk.valueOffsets[i]) + (before[child] ?? 0);
    });
    for (const [i, child] of chunk.children.entries()) before[i] = (before[i] ?? 0) + child.length;
    return shifted;
  });
  return { buffers: { 0: Int32Array.from(offsets), 3: typeIds }, children };
}

/** Views name their buffers by number, which moves up by the buffers of the chunks before. */
function viewParts(chunks: readonly Data[]): Parts {
  const variadic: Uint8Array[] = [];
  const views = chunks.map(({ values, length, variadicBuffers }) => {
    const copy = Uint8Array.from(values.subarray(0, length * 16));
    const view = new DataView(copy.buffer);
    for (let at = 0; at < copy.length; at += 16) {
      if (view.getInt32(at, true) > 12)
        view.setInt32(at + 8, view.getInt32(at + 8, true) + variadic.length, true);
    }
    variadic.push(...variadicBuffers);
    return copy;
  });
  return { buffers: { 1: joined(views) }, variadic };
}

function joinedOffsets(chunks: readonly Data[]): TypedArray {
  let last = 0;
  const offsets = [0];
  for (const { valueOffsets, length } of chunks) {
    const shift = last - Number(valueOffsets[0]);
    for (let i = 1; i <= length; i++) offsets.push(Number(valueOffsets[i]) + shift);
    last = offsets.at(-1) ?? 0;
  }
  return chunks[0]?.valueOffsets instanceof BigInt64Array
    ? BigInt64Array.from(offsets, BigInt)
    : Int32Array.from(offsets);
}

function bitsOf(
  chunks: readonly Data[],
  length: number,
  bit: (chunk: Data, index: number) => boolean,
): Uint8Array {
  const bits = new Uint8Array((length + 7) >> 3);
  let at = 0;
  for (const chunk of chunks) {
    for (let i = 0; i < chunk.length; i++, at++)
      if (bit(chunk, i)) bits[at >> 3] = (bits[at >> 3] ?? 0) | (1 << (at & 7));
  }
  return bits;
}

function joined<T extends TypedArray>(arrays: readonly T[]): T {
  const [first] = arrays as readonly (T & {
    readonly constructor: new (length: number) => T & { set(a: T, at: number): void };
  })[];
  if (first === undefined) throw new RangeError("there is nothing to join");
  const all = new first.constructor(arrays.reduce((sum, array) => sum + array.length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
}
