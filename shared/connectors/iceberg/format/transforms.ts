import { MillraceError } from "../../../contract/errors.ts";
import { murmur3, murmur3Long } from "./murmur3.ts";
import { type Primitive, primitiveOf } from "./primitive.ts";
import { fewestBytes } from "./single-value.ts";
import type { IcebergValue, PrimitiveType } from "./types.ts";

/** A partition transform: `kind` is its name, and `width` its parameter. */
export type Transform =
  | { readonly kind: "identity" | "year" | "month" | "day" | "hour" | "void" }
  | { readonly kind: "bucket" | "truncate"; readonly width: number };

const SIMPLE = ["identity", "year", "month", "day", "hour", "void"] as const;
const MICROS_PER_HOUR = 3_600_000_000n;
const MICROS_PER_DAY = 86_400_000_000n;
const MAX_INT = 0x7fffffff;

/** Parses a transform as metadata writes it, such as `bucket[16]`. */
export function parseTransform(text: string): Transform {
  const kind = SIMPLE.find((name) => name === text);
  if (kind !== undefined) return { kind };
  const match = /^(bucket|truncate)\[(\d{1,10})\]$/.exec(text);
  const width = Number(match?.[2]);
  if (match !== null && width > 0 && width <= MAX_INT) {
    return { kind: match[1] === "bucket" ? "bucket" : "truncate", width };
  }
  throw new MillraceError("TRANSFORM_NOT_SUPPORTED", `the partition transform "${text}" is not known`, {
    hint: "Known are identity, bucket[N], truncate[W], year, month, day, hour and void. Write to another table.",
  });
}

/** The types that each transform takes. */
const TAKES: Readonly<Record<Transform["kind"], readonly Primitive["kind"][]>> = {
  identity: [
    ...["boolean", "int", "long", "float", "double", "date", "time", "timestamp", "timestamptz"],
    ...["string", "uuid", "binary", "decimal", "fixed"],
  ] as Primitive["kind"][],
  void: [],
  bucket: [
    ...["int", "long", "decimal", "date", "time", "timestamp", "timestamptz"],
    ...["string", "uuid", "fixed", "binary"],
  ] as Primitive["kind"][],
  truncate: ["int", "long", "decimal", "string", "binary"],
  year: ["date", "timestamp", "timestamptz"],
  month: ["date", "timestamp", "timestamptz"],
  day: ["date", "timestamp", "timestamptz"],
  hour: ["timestamp", "timestamptz"],
};

/**
 * Returns the type of a transform's results, or `undefined` if it does not take values of the type.
 */
export function resultType(transform: Transform, type: PrimitiveType): PrimitiveType | undefined {
  if (transform.kind === "void") return type;
  if (!TAKES[transform.kind].includes(primitiveOf(type).kind)) return undefined;
  switch (transform.kind) {
    case "identity":
    case "truncate":
      return type;
    case "day":
      return "date";
    default:
      return "int";
  }
}

/** A result that its type cannot hold. */
export class TransformOverflow extends Error {}

/**
 * Returns the result of a transform for a value of a type that it takes. Throws
 * `TransformOverflow`.
 */
export function transformed(
  transform: Transform,
  type: PrimitiveType,
  value: IcebergValue | null,
): IcebergValue | null {
  if (value === null || transform.kind === "void") return null;
  switch (transform.kind) {
    case "identity":
      return value;
    case "bucket":
      return bucketOf(hashOf(type, value), transform.width);
    case "truncate":
      return truncated(type, value, transform.width);
    case "hour":
      return hourOf(value as bigint);
    default:
      return datePart(transform.kind, daysOf(type, value));
  }
}

function hourOf(micros: bigint): number {
  const hour = Number(floorDivision(micros, MICROS_PER_HOUR));
  if (hour >= -MAX_INT && hour <= MAX_INT) return hour;
  throw new TransformOverflow("an hour that an int cannot hold");
}

/** Returns the bucket of a hash. */
export function bucketOf(hash: number, width: number): number {
  return (hash & 0x7fffffff) % width;
}

/** Returns Iceberg's hash of a value. */
export function hashOf(type: PrimitiveType, value: IcebergValue): number {
  if (typeof value === "string") return murmur3(Buffer.from(value));
  if (value instanceof Uint8Array) return murmur3(value);
  if (type.startsWith("decimal")) return murmur3(fewestBytes(BigInt(value)));
  const long = BigInt.asUintN(64, BigInt(value));
  return murmur3Long(Number(long & 0xffffffffn) | 0, Number(long >> 32n) | 0);
}

function daysOf(type: PrimitiveType, value: IcebergValue): number {
  return type === "date" ? Number(value) : Number(floorDivision(value as bigint, MICROS_PER_DAY));
}

/** Returns the year, month or day since 1970 of a number of days. */
export function datePart(kind: "year" | "month" | "day", days: number): number {
  if (kind === "day") return days;
  const { year, month } = civilDay(days);
  return kind === "year" ? year - 1970 : (year - 1970) * 12 + month - 1;
}

/** A day of the proleptic Gregorian calendar. Month and day begin with 1. */
interface CivilDay {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

const DAYS_PER_ERA = 146_097;
/** Days from March 1st of the year 0 to January 1st, 1970. */
const DAYS_BEFORE_EPOCH = 719_468;

/**
 * Returns the date of a number of days since 1970. JavaScript's own dates end in the year 275,760,
 * and Iceberg's do not. Years are counted from March 1st here, so a leap day is the last of a year.
 */
function civilDay(days: number): CivilDay {
  const shifted = days + DAYS_BEFORE_EPOCH;
  const era = Math.floor(shifted / DAYS_PER_ERA);
  const dayOfEra = shifted - era * DAYS_PER_ERA;
  const leapDays =
    Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * fromMarch + 2) / 5) + 1,
  };
}

function truncated(type: PrimitiveType, value: IcebergValue, width: number): IcebergValue {
  if (typeof value === "string") return firstCodePoints(value, width);
  if (value instanceof Uint8Array) return value.slice(0, width);
  const number = BigInt(value);
  const result = number - modulo(number, BigInt(width));
  const limit = lowestOf(type);
  if (result < limit) throw new TransformOverflow(`a truncated value that is less than ${limit}`);
  return typeof value === "number" ? Number(result) : result;
}

/** Returns the lowest value of a type of numbers. */
function lowestOf(name: PrimitiveType): bigint {
  const type = primitiveOf(name);
  if (type.kind === "int") return -(2n ** 31n);
  return type.kind === "decimal" ? 1n - 10n ** BigInt(type.precision) : -(2n ** 63n);
}

/** Returns the first code points of a text. */
export function firstCodePoints(text: string, count: number): string {
  if (text.length <= count) return text;
  let end = 0;
  for (let i = 0; i < count && end < text.length; i++)
    end += (text.codePointAt(end) as number) > 0xffff ? 2 : 1;
  return text.slice(0, end);
}

function floorDivision(value: bigint, by: bigint): bigint {
  return (value - modulo(value, by)) / by;
}

/** Returns the remainder that is not negative. */
function modulo(value: bigint, by: bigint): bigint {
  const rest = value % by;
  return rest < 0n ? rest + by : rest;
}

/**
 * Returns a result as people read it, as Iceberg's Java library prints it: `2026`, `2026-11`,
 * `2026-11-28` or `2026-11-28-03` for times, and `null`.
 */
export function humanText(transform: Transform, type: PrimitiveType, value: IcebergValue | null): string {
  if (value === null) return "null";
  switch (transform.kind) {
    case "year":
      return yearText(1970 + Number(value));
    case "month":
      return monthText(Number(value));
    case "day":
      return dayText(Number(value));
    case "hour": {
      const hour = Number(value);
      const days = Math.floor(hour / 24);
      return `${dayText(days)}-${twoDigits(hour - 24 * days)}`;
    }
    default:
      return plainText(type, value);
  }
}

function plainText(type: PrimitiveType, value: IcebergValue): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  const primitive = primitiveOf(type);
  if (primitive.kind === "date") return dayText(Number(value));
  return String(value);
}

function yearText(year: number): string {
  return String(year).padStart(4, "0");
}

function monthText(months: number): string {
  const year = Math.floor(months / 12);
  return `${yearText(1970 + year)}-${twoDigits(months - 12 * year + 1)}`;
}

function dayText(days: number): string {
  const { year, month, day } = civilDay(days);
  return [yearText(year), twoDigits(month), twoDigits(day)].join("-");
}

function twoDigits(number: number): string {
  return String(number).padStart(2, "0");
}
