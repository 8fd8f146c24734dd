import { type Data, DataType } from "apache-arrow";
import { offsetClassOf } from "../../../arrow/layout.ts";
import { murmur3, murmur3Long } from "../format/murmur3.ts";
import { bucketOf, datePart, type Transform } from "../format/transforms.ts";

const MICROS_PER_HOUR = 3_600_000_000;
const MICROS_PER_DAY = 86_400_000_000;
/** Upper halves below this belong to numbers that a double holds exactly. */
const EXACT_UPPER = 2 ** 20;

/** Returns the result of a transform for a row that is not null. */
type ResultAt = (row: number) => number;

/**
 * Returns a function that computes a transform's result from the bytes of a column, without a
 * JavaScript value for each row. Returns `undefined` if there is none for the transform and type.
 */
export function fastResults(transform: Transform, data: Data): ResultAt | undefined {
  switch (transform.kind) {
    case "bucket": {
      const hashAt = hashReader(data);
      return hashAt && ((row) => bucketOf(hashAt(row), transform.width));
    }
    case "year":
    case "month":
    case "day":
      return dateReader(transform.kind, data);
    case "hour":
      return microsReader(data, MICROS_PER_HOUR);
    case "identity":
      return has32Bits(data) ? (row) => (data.values as Int32Array)[row] as number : undefined;
    default:
      return undefined;
  }
}

function has32Bits({ type }: Data): boolean {
  return DataType.isDate(type) || (DataType.isInt(type) && type.bitWidth === 32);
}

function hashReader(data: Data): ResultAt | undefined {
  const { type, values, valueOffsets: offsets, stride } = data;
  if (has32Bits(data)) return (row) => murmur3Long(values[row], values[row] >> 31);
  const halves = halvesOf(data);
  if (halves !== undefined) {
    return (row) => murmur3Long(halves[2 * row] as number, halves[2 * row + 1] as number);
  }
  if (DataType.isFixedSizeBinary(type)) {
    return (row) => murmur3(values, row * stride, (row + 1) * stride);
  }
  if (offsetClassOf(type) !== Int32Array || data.children.length > 0) return undefined;
  return (row) => murmur3(values, offsets[row], offsets[row + 1]);
}

/** Returns the lower and upper halves of a column of 64-bit integers. */
function halvesOf({ type, values }: Data): Int32Array | undefined {
  const isLong = DataType.isTimestamp(type) || DataType.isTime(type) || DataType.isInt(type);
  if (!isLong || !(values instanceof BigInt64Array)) return undefined;
  return new Int32Array(values.buffer, values.byteOffset, values.length * 2);
}

function dateReader(kind: "year" | "month" | "day", data: Data): ResultAt | undefined {
  const dayAt = has32Bits(data)
    ? (row: number) => (data.values as Int32Array)[row] as number
    : microsReader(data, MICROS_PER_DAY);
  return dayAt && ((row) => datePart(kind, dayAt(row)));
}

/**
 * Returns how often a number of microseconds goes into each value, or `undefined` for far times.
 */
function microsReader(data: Data, micros: number): ResultAt | undefined {
  const halves = halvesOf(data);
  if (halves === undefined || !isExact(halves)) return undefined;
  return (row) => {
    const value = (halves[2 * row + 1] as number) * 2 ** 32 + ((halves[2 * row] as number) >>> 0);
    const rest = value % micros;
    // A quotient alone could be rounded up to the next whole number.
    return (value - (rest < 0 ? rest + micros : rest)) / micros;
  };
}

function isExact(halves: Int32Array): boolean {
  for (let i = 1; i < halves.length; i += 2) {
    const upper = halves[i] as number;
    if (upper < -EXACT_UPPER || upper >= EXACT_UPPER) return false;
  }
  return true;
}
