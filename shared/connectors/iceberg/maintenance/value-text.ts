import { decimalText } from "../../../arrow/number-text.ts";
import { primitiveOf } from "../format/primitive.ts";
import type { IcebergValue, PrimitiveType } from "../format/types.ts";

const MICROS_PER_DAY = 86_400_000_000n;
const MILLIS_PER_DAY = 86_400_000;

/** Formats a value for people: dates and times as ISO 8601, bytes in hexadecimal digits. */
export function valueText(type: PrimitiveType, value: IcebergValue): string {
  const primitive = primitiveOf(type);
  if (value instanceof Uint8Array) {
    const hex = Buffer.from(value).toString("hex");
    return primitive.kind === "uuid" ? hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-") : hex;
  }
  switch (primitive.kind) {
    case "date":
      return dayText(Number(value));
    case "decimal":
      return decimalText(BigInt(value), primitive.scale);
    case "time":
      return timeText(BigInt(value));
    case "timestamp":
    case "timestamptz":
      return timestampText(BigInt(value), primitive.kind === "timestamptz");
    default:
      return Object.is(value, -0) ? "-0" : String(value);
  }
}

/**
 * Formats a value of a partition: what the transform `hour` made of a time is not just a number.
 */
export function partitionText(transform: string, type: PrimitiveType, value: IcebergValue): string {
  const ordinal = Number(value);
  if (transform === "year") return String(1970 + ordinal);
  if (transform === "month") {
    const year = 1970 + Math.floor(ordinal / 12);
    return `${year}-${String(1 + ordinal - 12 * Math.floor(ordinal / 12)).padStart(2, "0")}`;
  }
  if (transform === "hour") {
    const day = Math.floor(ordinal / 24);
    return `${dayText(day)}-${String(ordinal - 24 * day).padStart(2, "0")}`;
  }
  return transform === "day" ? dayText(ordinal) : valueText(type, value);
}

function dayText(days: number): string {
  return new Date(days * MILLIS_PER_DAY).toISOString().replace(/T.*/, "");
}

function timestampText(micros: bigint, isUtc: boolean): string {
  const ofDay = ((micros % MICROS_PER_DAY) + MICROS_PER_DAY) % MICROS_PER_DAY;
  const day = dayText(Number((micros - ofDay) / MICROS_PER_DAY));
  return `${day}T${timeText(ofDay)}${isUtc ? "Z" : ""}`;
}

function timeText(micros: bigint): string {
  const [seconds, rest] = [Number(micros / 1_000_000n), micros % 1_000_000n];
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const text = parts.map((part) => String(part).padStart(2, "0")).join(":");
  return rest === 0n ? text : `${text}.${String(rest).padStart(6, "0").replace(/0+$/, "")}`;
}
