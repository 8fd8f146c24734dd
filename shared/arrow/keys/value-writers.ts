import { type Data, DataType, IntervalUnit, Precision } from "apache-arrow";
import { viewBytes } from "../check-data.ts";
import { presenceOf } from "../conform.ts";
import { dictionaryOf } from "../dictionary-data.ts";
import { float16At } from "../float16.ts";
import { bitAt, isViewType, offsetClassOf } from "../layout.ts";

/**
 * Writes values as bytes that have the order of the values. No value's bytes begin with those of
 * another value, so bytes of several columns can follow each other.
 */
export interface ValueWriter {
  /** Number of bytes if it is the same for all values. */
  readonly width?: number;
  /** Returns the number of bytes of a value. */
  size(index: number): number;
  /** Writes a value and returns where it ends. */
  put(out: Uint8Array, at: number, index: number): number;
}

/** Returns the writer of a column's values that are not null. */
export function valueWriter(data: Data): ValueWriter {
  const { type } = data;
  if (DataType.isNull(type)) return fixed(0, (_, at) => at);
  if (DataType.isDictionary(type)) return dictionaryWriter(data);
  if (DataType.isStruct(type)) return structWriter(data);
  if (DataType.isList(type) || DataType.isLargeList(type) || DataType.isFixedSizeList(type))
    return listWriter(type, data);
  if (isViewType(type)) return bytesWriter((index) => viewBytes(data, index) ?? new Uint8Array());
  if (DataType.isFixedSizeBinary(type)) {
    const { values, stride } = data;
    return fixed(stride, (out, at, index) => {
      for (let i = 0; i < stride; i++) out[at + i] = values[index * stride + i];
      return at + stride;
    });
  }
  if (offsetClassOf(type) !== undefined) return textWriter(data);
  return numberWriter(type, data);
}

/** Returns the writer of values that may be null: 0 for null, or 1 and the value. */
function nullableWriter(data: Data): ValueWriter {
  const isPresent = presenceOf(data.type, data);
  const inner = valueWriter(data);
  return {
    size: (index) => (isPresent?.(index) === false ? 1 : 1 + inner.size(index)),
    put(out, at, index) {
      const isNull = isPresent?.(index) === false;
      out[at] = isNull ? 0 : 1;
      return isNull ? at + 1 : inner.put(out, at + 1, index);
    },
  };
}

function fixed(width: number, put: ValueWriter["put"]): ValueWriter {
  return { width, size: () => width, put };
}

function dictionaryWriter(data: Data): ValueWriter {
  const dictionary = dictionaryOf(data);
  const inner = valueWriter(dictionary);
  const { values } = data;
  return {
    ...(inner.width === undefined ? {} : { width: inner.width }),
    size: (index) => inner.size(Number(values[index])),
    put: (out, at, index) => inner.put(out, at, Number(values[index])),
  };
}

function structWriter({ children }: Data): ValueWriter {
  const fields = children.map(nullableWriter);
  return {
    size: (index) => fields.reduce((sum, field) => sum + field.size(index), 0),
    put: (out, at, index) => fields.reduce((end, field) => field.put(out, end, index), at),
  };
}

/** An end is 0, so that a list comes before those that begin with it. */
function listWriter(type: DataType, { children, valueOffsets, stride }: Data): ValueWriter {
  const item = nullableWriter(children[0] as Data);
  const begin = DataType.isFixedSizeList(type)
    ? (index: number) => index * stride
    : (index: number) => Number(valueOffsets[index]);
  return {
    size(index) {
      let size = 1;
      for (let i = begin(index); i < begin(index + 1); i++) size += 1 + item.size(i);
      return size;
    },
    put(out, at, index) {
      let end = at;
      for (let i = begin(index); i < begin(index + 1); i++) {
        out[end] = 1;
        end = item.put(out, end + 1, i);
      }
      out[end] = 0;
      return end + 1;
    },
  };
}

/**
 * Bytes end with 0 0, and a zero among them is 0 255, so that a text comes before those that begin
 * with it.
 */
function textWriter({ values, valueOffsets: offsets }: Data): ValueWriter {
  const bytes = values as Uint8Array;
  return {
    size: (index) => escapedSize(bytes, Number(offsets[index]), Number(offsets[index + 1])),
    put: (out, at, index) => putEscaped(out, at, bytes, Number(offsets[index]), Number(offsets[index + 1])),
  };
}

function bytesWriter(bytesAt: (index: number) => Uint8Array): ValueWriter {
  return {
    size(index) {
      const bytes = bytesAt(index);
      return escapedSize(bytes, 0, bytes.length);
    },
    put(out, at, index) {
      const bytes = bytesAt(index);
      return putEscaped(out, at, bytes, 0, bytes.length);
    },
  };
}

function escapedSize(bytes: Uint8Array, begin: number, end: number): number {
  let size = end - begin + 2;
  for (let i = begin; i < end; i++) if (bytes[i] === 0) size++;
  return size;
}

function putEscaped(out: Uint8Array, start: number, bytes: Uint8Array, begin: number, end: number): number {
  let at = start;
  for (let i = begin; i < end; i++) {
    const byte = bytes[i] as number;
    out[at++] = byte;
    if (byte === 0) out[at++] = 255;
  }
  out[at] = 0;
  out[at + 1] = 0;
  return at + 2;
}

function numberWriter(type: DataType, data: Data): ValueWriter {
  const { values, offset, stride } = data;
  if (DataType.isBool(type)) {
    return fixed(1, (out, at, index) => {
      out[at] = bitAt(values, offset + index) ? 1 : 0;
      return at + 1;
    });
  }
  if (DataType.isFloat(type)) return floatWriter(type.precision, values);
  if (DataType.isInterval(type) && type.unit === IntervalUnit.DAY_TIME) return dayTimeWriter(values);
  const sign = DataType.isInt(type) && !type.isSigned ? 0 : 0x80;
  const size = values.BYTES_PER_ELEMENT * stride;
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  if (size === 8) return longWriter(values, sign);
  return fixed(size, (out, at, index) => {
    // The buffers are little-endian, and numbers of several words have the lowest word first.
    let from = (index + 1) * size;
    for (let i = 0; i < size; i++) out[at + i] = bytes[--from] as number;
    out[at] = (out[at] as number) ^ sign;
    return at + size;
  });
}

function longWriter(values: BigInt64Array, sign: number): ValueWriter {
  const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
  return fixed(8, (out, at, index) => {
    putWord(out, at, (words[2 * index + 1] as number) ^ (sign << 24));
    return putWord(out, at + 4, words[2 * index] as number);
  });
}

function putWord(out: Uint8Array, at: number, word: number): number {
  out[at] = word >>> 24;
  out[at + 1] = word >>> 16;
  out[at + 2] = word >>> 8;
  out[at + 3] = word;
  return at + 4;
}

const float = new Float64Array(1);
const floatWords = new Int32Array(float.buffer);

/** Floats of all widths are written as doubles, which keep their order. */
function floatWriter(precision: Precision, values: Uint16Array | Float32Array | Float64Array): ValueWriter {
  const isHalf = precision === Precision.HALF;
  return fixed(8, (out, at, index) => {
    const value = isHalf ? float16At(values[index] as number) : (values[index] as number);
    // There is one zero, and one NaN, which is greater than all other numbers.
    float[0] = value === 0 ? 0 : value;
    const isNegative = value < 0;
    const high = Number.isNaN(value) ? 0x7ff80000 : (floatWords[1] as number);
    const low = Number.isNaN(value) ? 0 : (floatWords[0] as number);
    putWord(out, at, isNegative ? ~high : high ^ 0x80000000);
    return putWord(out, at + 4, isNegative ? ~low : low);
  });
}

const DAY_MS = 86_400_000n;
const longView = new DataView(new ArrayBuffer(8));

/** An interval is as long as its days and milliseconds together. */
function dayTimeWriter(values: Int32Array): ValueWriter {
  return fixed(8, (out, at, index) => {
    const total = BigInt(values[2 * index] as number) * DAY_MS + BigInt(values[2 * index + 1] as number);
    longView.setBigInt64(0, total);
    putWord(out, at, longView.getInt32(0) ^ 0x80000000);
    return putWord(out, at + 4, longView.getInt32(4));
  });
}
