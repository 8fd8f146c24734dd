import { MalformedFileError } from "../malformed.ts";
import type { PhysicalType } from "./footer.ts";

/** Decoded values of a page, without nulls. */
export type Values = ArrayLike<unknown>;

/** Bytes of a value, for types whose values all have the same length. */
export function widthOf(type: PhysicalType, typeLength: number): number | undefined {
  switch (type) {
    case "INT32":
    case "FLOAT":
      return 4;
    case "INT64":
    case "DOUBLE":
      return 8;
    case "INT96":
      return 12;
    case "FIXED_LEN_BYTE_ARRAY":
      return typeLength;
    default:
      return undefined;
  }
}

/** Reads values in the encoding `PLAIN`. Error: `MalformedFileError` if there are fewer. */
export function readPlain(bytes: Uint8Array, type: PhysicalType, typeLength: number, count: number): Values {
  const width = widthOf(type, typeLength);
  if (width !== undefined) return fixedWidth(take(bytes, count * width), type, width, count);
  return type === "BOOLEAN" ? booleans(take(bytes, Math.ceil(count / 8)), count) : byteArrays(bytes, count);
}

/**
 * Reads values in the encoding `BYTE_STREAM_SPLIT`: first all first bytes, then all second ones.
 */
export function readSplitStreams(
  bytes: Uint8Array,
  type: PhysicalType,
  typeLength: number,
  count: number,
): Values {
  const width = widthOf(type, typeLength) ?? 0;
  const split = take(bytes, count * width);
  const joined = new Uint8Array(count * width);
  for (let b = 0; b < width; b++)
    for (let i = 0; i < count; i++) joined[i * width + b] = split[b * count + i] ?? 0;
  return fixedWidth(joined, type, width, count);
}

function take(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length >= length) return bytes.subarray(0, length);
  throw new MalformedFileError(`its values need ${length} bytes, and it has ${bytes.length}`);
}

function fixedWidth(bytes: Uint8Array, type: PhysicalType, width: number, count: number): Values {
  // A copy, because typed arrays must be aligned. `slice` of a Buffer would not copy.
  const aligned = () => new Uint8Array(bytes).buffer;
  switch (type) {
    case "INT32":
      return new Int32Array(aligned());
    case "FLOAT":
      return new Float32Array(aligned());
    case "INT64":
      return new BigInt64Array(aligned());
    case "DOUBLE":
      return new Float64Array(aligned());
    default:
      return Array.from({ length: count }, (_, i) => bytes.subarray(i * width, (i + 1) * width));
  }
}

function booleans(bytes: Uint8Array, count: number): boolean[] {
  return Array.from({ length: count }, (_, i) => (((bytes[i >> 3] ?? 0) >> (i & 7)) & 1) === 1);
}

function byteArrays(bytes: Uint8Array, count: number): Uint8Array[] {
  take(bytes, count * 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const values = new Array<Uint8Array>(count);
  let offset = 0;
  for (let i = 0; i < count; i++) {
    if (offset + 4 > bytes.length) throw new MalformedFileError("its data ends too early");
    const end = offset + 4 + view.getUint32(offset, true);
    if (end > bytes.length)
      throw new MalformedFileError(`its value ${i + 1} needs ${end} bytes, and it has ${bytes.length}`);
    values[i] = bytes.subarray(offset + 4, end);
    offset = end;
  }
  return values;
}
