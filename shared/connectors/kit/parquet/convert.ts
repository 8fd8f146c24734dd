import { DataType } from "apache-arrow";
import { decimalText } from "../../../arrow/number-text.ts";
import { MalformedRowError } from "../malformed.ts";
import type { TimeUnit } from "./annotation.ts";
import type { Convert } from "./cursor.ts";
import type { Leaf } from "./tree.ts";

const MILLIS_PER_DAY = 86_400_000;
const NANOS_PER_DAY = 86_400_000_000_000n;
/** The Julian day of 1970-01-01. */
const EPOCH_DAY = 2_440_588;

/** Integers of up to so many bytes are exact as doubles. */
const EXACT_BYTES = 6;

// `ignoreBOM` keeps a byte order mark, which is part of the value.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const same: Convert = (value) => value;

/** Returns the function that converts a stored value of a column for the builder of `target`. */
export function converterOf(leaf: Leaf, target: DataType): Convert {
  const { type, annotation } = leaf.element;
  switch (annotation?.kind) {
    case undefined:
      return type === "INT96" ? (value) => julianMicros(value as Uint8Array) : same;
    case "STRING":
    case "ENUM":
    case "JSON":
      return (value) => textOf(value as Uint8Array, leaf);
    case "UUID":
      return (value) => uuidText(value as Uint8Array);
    case "DECIMAL":
      return decimalConverter(annotation.scale, DataType.isInt(target));
    case "INTEGER":
      return annotation.isSigned ? same : annotation.bits === 64 ? unsigned64 : unsigned32;
    case "DATE":
      return (value) => new Date((value as number) * MILLIS_PER_DAY);
    case "TIME":
    case "TIMESTAMP":
      return timeConverter(annotation.unit);
    case "FLOAT16":
      return (value) => halfFloat(value as Uint8Array);
    case "UNKNOWN":
      return () => {
        throw new MalformedRowError(`it has a value in the column "${leaf.path.join(".")}" of nulls`);
      };
    default:
      return same;
  }
}

function textOf(bytes: Uint8Array, { path }: Leaf): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new MalformedRowError(`the text in its column "${path.join(".")}" is not UTF-8`);
  }
}

function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function unsigned32(value: unknown): number {
  return (value as number) >>> 0;
}

function unsigned64(value: unknown): bigint {
  return BigInt.asUintN(64, value as bigint);
}

/** Returns microseconds, as the builders of times and timestamps take bigints. */
function timeConverter(unit: TimeUnit): Convert {
  if (unit === "MILLIS") return (value) => BigInt(value as number | bigint) * 1000n;
  return unit === "MICROS" ? same : (value) => wholeMicros(value as bigint);
}

function wholeMicros(nanos: bigint): bigint {
  if (nanos % 1000n === 0n) return nanos / 1000n;
  throw new MalformedRowError("it has a time with nanoseconds, and times are of microseconds here");
}

/** Converts an INT96: nanoseconds of the day in 8 bytes, and the Julian day in 4. */
function julianMicros(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const nanos = view.getBigInt64(0, true);
  const days = view.getInt32(8, true) - EPOCH_DAY;
  return wholeMicros(BigInt(days) * NANOS_PER_DAY + nanos);
}

/**
 * Converts an unscaled number, an integer or big-endian bytes, to decimal text, or to a bigint if
 * the column of the schema has integers.
 */
function decimalConverter(scale: number, isInteger: boolean): Convert {
  return (value) => {
    const unscaled = value instanceof Uint8Array ? bigEndian(value) : BigInt(value as number | bigint);
    return isInteger || scale === 0 ? unscaled : decimalText(unscaled, scale);
  };
}

function bigEndian(bytes: Uint8Array): bigint {
  if (bytes.length <= EXACT_BYTES) {
    let value = ((bytes[0] ?? 0) << 24) >> 24;
    for (let i = 1; i < bytes.length; i++) value = value * 256 + (bytes[i] ?? 0);
    return BigInt(value);
  }
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${hex}`));
}

function halfFloat(bytes: Uint8Array): number {
  const bits = (bytes[0] ?? 0) | ((bytes[1] ?? 0) << 8);
  const sign = bits >> 15 === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
