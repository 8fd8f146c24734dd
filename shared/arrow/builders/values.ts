import { ValueMismatch } from "./builder.ts";

const INSTANT =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(?:([Zz])|([+-])(\d\d):?(\d\d)?)?$/;
const DAY = /^(\d{4})-(\d\d)-(\d\d)$/;
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;
const MILLIS_PER_DAY = 86_400_000;

/** Converts integers of `bits` bits from numbers and bigints; what does not fit is an error, never cut. */
export function toInteger(type: string, bits: 8 | 16 | 32, signed: boolean): (value: unknown) => number {
  const min = signed ? -(2 ** (bits - 1)) : 0;
  const max = 2 ** (signed ? bits - 1 : bits) - 1;
  return (value) => {
    const number = typeof value === "bigint" ? Number(value) : value;
    if (typeof number !== "number" || !Number.isInteger(number)) throw new ValueMismatch(type, value);
    if (number < min || number > max)
      throw new ValueMismatch(`${type} (${min} to ${max})`, value, "a number outside it");
    return number;
  };
}

/** Converts 64-bit integers from bigints and from numbers up to 2^53, beyond which a number has lost its last digits. */
export function toInt64(value: unknown): bigint {
  const big = wholeNumber("bigint", value);
  if (big < MIN_INT64 || big > MAX_INT64)
    throw new ValueMismatch("bigint (64 bits)", value, "a number outside it");
  return big;
}

export function toUint64(value: unknown): bigint {
  const big = wholeNumber("uint64", value);
  if (big < 0n || big >= 2n ** 64n) throw new ValueMismatch("uint64", value, "a number outside it");
  return big;
}

function wholeNumber(type: string, value: unknown): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value !== "number" || !Number.isInteger(value)) throw new ValueMismatch(type, value);
  if (!Number.isSafeInteger(value))
    throw new ValueMismatch(`${type} (use a bigint)`, value, "a number beyond 2^53");
  return BigInt(value);
}

export function toDouble(value: unknown): number {
  if (typeof value !== "number") throw new ValueMismatch("double", value);
  return value;
}

/** Rounds to the nearest float, as floats do; a finite number that would become infinite is an error. */
export function toFloat(value: unknown): number {
  if (typeof value !== "number") throw new ValueMismatch("float", value);
  if (Number.isFinite(value) && !Number.isFinite(Math.fround(value))) {
    throw new ValueMismatch("float", value, "a number outside it");
  }
  return value;
}

/** Days since 1970-01-01 from `"2026-11-21"`, a Date at midnight UTC, or a `Temporal.PlainDate`. */
export function toDays(value: unknown): number {
  if (value instanceof Date) {
    const days = value.getTime() / MILLIS_PER_DAY;
    if (!Number.isInteger(days)) throw new ValueMismatch("date", value, "a Date that is not midnight UTC");
    return days;
  }
  const match = DAY.exec(textOf(value, "Temporal.PlainDate") ?? "");
  if (match === null) throw new ValueMismatch('date (such as "2026-11-21")', value);
  return utc("date", value, match) / MILLIS_PER_DAY;
}

/** Microseconds since the epoch from a Date, an ISO string with its zone, a `Temporal.Instant`, or a bigint of microseconds. */
export function toMicrosUtc(value: unknown): bigint {
  if (value instanceof Date) {
    const millis = value.getTime();
    if (Number.isNaN(millis)) throw new ValueMismatch("timestamp", value, "an invalid Date");
    return BigInt(millis) * 1000n;
  }
  if (typeof value === "bigint") return toInt64(value);
  const match = INSTANT.exec(textOf(value, "Temporal.Instant") ?? "");
  if (match === null)
    throw new ValueMismatch("timestamp (an ISO string with zone, a Date, or bigint microseconds)", value);
  if (match[8] === undefined && match[9] === undefined) {
    throw new ValueMismatch("timestamp (with a zone, such as …Z)", value, "a time without zone");
  }
  const [hours, rest] = [Number(match[10] ?? 0), Number(match[11] ?? 0)];
  if (hours > 23 || rest > 59) throw new ValueMismatch("timestamp", value, "a zone that does not exist");
  const minutes = hours * 60 + rest;
  const offset = BigInt(match[9] === "-" ? -minutes : minutes) * 60_000_000n;
  return micros("timestamp", value, match) - offset;
}

/** Microseconds of a wall clock from an ISO string without zone, a `Temporal.PlainDateTime`, or a bigint of microseconds. */
export function toMicrosLocal(value: unknown): bigint {
  if (typeof value === "bigint") return toInt64(value);
  const match = INSTANT.exec(textOf(value, "Temporal.PlainDateTime") ?? "");
  if (match === null)
    throw new ValueMismatch("timestamp_ntz (an ISO string without zone, or bigint microseconds)", value);
  if (match[8] !== undefined || match[9] !== undefined) {
    throw new ValueMismatch("timestamp_ntz (without a zone)", value, "a time with a zone");
  }
  return micros("timestamp_ntz", value, match);
}

function micros(type: string, value: unknown, match: RegExpExecArray): bigint {
  const fraction = (match[7] ?? "").padEnd(6, "0");
  if (/[1-9]/.test(fraction.slice(6)))
    throw new ValueMismatch(`${type} (microseconds)`, value, "a time with nanoseconds");
  return BigInt(utc(type, value, match)) * 1000n + BigInt(fraction.slice(0, 6));
}

/** Epoch milliseconds of the fields year, month, day, hour, minute, second of a match; they must exist in the calendar. */
function utc(type: string, value: unknown, match: RegExpExecArray): number {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((text) => Number(text ?? 0));
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (
    date.getUTCMonth() !== month - 1 ||
    date.getUTCDate() !== day ||
    hour > 23 ||
    minute > 59 ||
    second > 59
  ) {
    throw new ValueMismatch(type, value, "a date that does not exist");
  }
  return date.getTime() + ((hour * 60 + minute) * 60 + second) * 1000;
}

/** The text of a string, or of an object of the Temporal class `tag` (Node has none of its own yet; polyfills set the tag). */
function textOf(value: unknown, tag: string): string | undefined {
  if (typeof value === "string") return value;
  const isTemporal =
    typeof value === "object" &&
    value !== null &&
    Object.prototype.toString.call(value) === `[object ${tag}]`;
  return isTemporal ? String(value) : undefined;
}
