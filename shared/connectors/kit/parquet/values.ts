import { MalformedFileError } from "../malformed.ts";
import { readDeltaBytes, readDeltaLengths, readDeltas } from "./delta.ts";
import { readPlain, readSplitStreams, type Values } from "./plain.ts";
import { readRuns } from "./rle.ts";
import type { Leaf } from "./tree.ts";
import { NotSupportedError } from "./unsupported.ts";

type Decode = (bytes: Uint8Array, count: number, element: Leaf["element"]) => Values;

const split: Decode = (bytes, count, { type, typeLength }) =>
  readSplitStreams(bytes, type, typeLength, count);

/** Decoders by encoding and type. Only these pairs exist in the format. */
const DECODERS: ReadonlyMap<string, Decode> = new Map<string, Decode>([
  ["RLE BOOLEAN", booleanRuns],
  ["DELTA_BINARY_PACKED INT32", (bytes, count) => deltas(bytes, new Int32Array(count))],
  ["DELTA_BINARY_PACKED INT64", (bytes, count) => deltas(bytes, new BigInt64Array(count))],
  ["DELTA_LENGTH_BYTE_ARRAY BYTE_ARRAY", readDeltaLengths],
  ["DELTA_BYTE_ARRAY BYTE_ARRAY", readDeltaBytes],
  ["DELTA_BYTE_ARRAY FIXED_LEN_BYTE_ARRAY", fixedDeltaBytes],
  ["BYTE_STREAM_SPLIT FLOAT", split],
  ["BYTE_STREAM_SPLIT DOUBLE", split],
  ["BYTE_STREAM_SPLIT INT32", split],
  ["BYTE_STREAM_SPLIT INT64", split],
  ["BYTE_STREAM_SPLIT FIXED_LEN_BYTE_ARRAY", split],
]);

/**
 * Decodes the values of a page that has no dictionary. Errors: `MalformedFileError`,
 * `NotSupportedError`.
 */
export function decodeValues(
  encoding: string,
  bytes: Uint8Array,
  element: Leaf["element"],
  count: number,
): Values {
  const { type, typeLength } = element;
  if (encoding === "PLAIN") return readPlain(bytes, type, typeLength, count);
  const decode = DECODERS.get(`${encoding} ${type}`);
  if (decode === undefined) throw new NotSupportedError(`it has ${type} values in the encoding ${encoding}`);
  return decode(bytes, count, element);
}

function deltas(bytes: Uint8Array, out: Int32Array | BigInt64Array): Values {
  readDeltas(bytes, out);
  return out;
}

function fixedDeltaBytes(bytes: Uint8Array, count: number, { typeLength }: Leaf["element"]): Values {
  const values = readDeltaBytes(bytes, count);
  const wrong = values.find(({ length }) => length !== typeLength);
  if (wrong === undefined) return values;
  throw new MalformedFileError(`it has a value of ${wrong.length} bytes, and the type has ${typeLength}`);
}

function booleanRuns(bytes: Uint8Array, count: number): Values {
  const length = bytes.length < 4 ? -1 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  if (length < 0 || length + 4 > bytes.length) throw new MalformedFileError("its values end too early");
  const bits = new Uint8Array(count);
  readRuns(bytes.subarray(4, 4 + length), 1, bits);
  return Array.from(bits, (bit) => bit === 1);
}
