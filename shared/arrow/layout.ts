import { DataType } from "apache-arrow";

/** A class of typed arrays. */
export type TypedArrayClass<T = ArrayBufferView & { readonly length: number }> = {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): T;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
};

/**
 * Returns the class of a type's offsets, or `undefined` for types whose values do not differ in
 * length. The field `OffsetArrayType` of apache-arrow is there for every type.
 */
export function offsetClassOf(type: DataType): TypedArrayClass<Int32Array | BigInt64Array> | undefined {
  const isLarge = DataType.isLargeUtf8(type) || DataType.isLargeBinary(type) || DataType.isLargeList(type);
  if (isLarge) return BigInt64Array;
  const isSmall =
    DataType.isUtf8(type) || DataType.isBinary(type) || DataType.isList(type) || DataType.isMap(type);
  return isSmall ? Int32Array : undefined;
}

/** True for text and bytes whose values are views into several buffers. */
export function isViewType(type: DataType): boolean {
  return DataType.isUtf8View(type) || DataType.isBinaryView(type);
}

/** Returns the number of bytes that hold a number of bits. */
export function bytesOf(bits: number): number {
  return Math.ceil(bits / 8);
}

/** True if a bit of a bitmap is set. */
export function bitAt(bits: Uint8Array, index: number): boolean {
  return (((bits[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
}
