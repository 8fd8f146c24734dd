import type { IsoMoment } from "../../contract/iso.ts";
import { ValueMismatch } from "./builder.ts";
import { parseMoment } from "./iso.ts";
import { temporalClass, temporalText } from "./temporal.ts";

/**
 * Converts a Date, an ISO string with a zone, a `Temporal.Instant`, a `Temporal.ZonedDateTime`, or
 * a bigint of microseconds to microseconds since the epoch. Throws `ValueMismatch`.
 */
export function toMicrosUtc(value: unknown): bigint {
  if (typeof value === "bigint") return checkRange("timestamp", value, value);
  if (value instanceof Date) {
    const millis = value.getTime();
    if (Number.isNaN(millis)) throw new ValueMismatch("timestamp", value, "an invalid Date");
    return BigInt(millis) * 1000n;
  }
  if (typeof value === "string") {
    const { seconds, micros } = parseZoned(value);
    return checkRange("timestamp", value, BigInt(seconds) * 1_000_000n + BigInt(micros));
  }
  const name = temporalClass(value);
  const { epochNanoseconds } = (value ?? {}) as { readonly epochNanoseconds?: unknown };
  if ((name !== "Instant" && name !== "ZonedDateTime") || typeof epochNanoseconds !== "bigint")
    throw notATimestamp(value);
  if (epochNanoseconds % 1000n !== 0n)
    throw new ValueMismatch("timestamp (microseconds)", value, "a time with nanoseconds");
  return epochNanoseconds / 1000n;
}

/**
 * Converts an ISO string without a zone, a `Temporal.PlainDateTime`, or a bigint of microseconds to
 * microseconds of a wall clock since 1970-01-01T00:00:00. Throws `ValueMismatch`.
 */
export function toMicrosLocal(value: unknown): bigint {
  if (typeof value === "bigint") return checkRange("timestamp_ntz", value, value);
  const { seconds, micros } = parseLocal(value);
  return checkRange("timestamp_ntz", value, BigInt(seconds) * 1_000_000n + BigInt(micros));
}

/**
 * Parses an ISO string with a zone into UTC seconds since the epoch, and microseconds within the
 * second. Throws `ValueMismatch`.
 */
export function parseZoned(text: string): Pick<IsoMoment, "seconds" | "micros"> {
  const moment = parseMoment(text, "timestamp", text);
  if (moment === undefined) throw notATimestamp(text);
  const { seconds, micros, offset } = moment;
  if (offset === undefined)
    throw new ValueMismatch("timestamp (with a zone, such as …Z)", text, "a time without zone");
  return { seconds: seconds - offset, micros };
}

/**
 * Parses an ISO string without a zone, or a `Temporal.PlainDateTime`, into wall-clock seconds and
 * microseconds. Throws `ValueMismatch`.
 */
export function parseLocal(value: unknown): Pick<IsoMoment, "seconds" | "micros"> {
  const text = temporalText(value, "PlainDateTime");
  const moment = text === undefined ? undefined : parseMoment(text, "timestamp_ntz", value);
  if (moment === undefined)
    throw new ValueMismatch("timestamp_ntz (an ISO string without zone, or bigint microseconds)", value);
  if (moment.offset !== undefined)
    throw new ValueMismatch("timestamp_ntz (without a zone)", value, "a time with a zone");
  return moment;
}

function checkRange(type: string, value: unknown, micros: bigint): bigint {
  if (BigInt.asIntN(64, micros) === micros) return micros;
  throw new ValueMismatch(`${type} (64 bits of microseconds)`, value, "a time outside it");
}

function notATimestamp(value: unknown): ValueMismatch {
  return new ValueMismatch("timestamp (an ISO string with zone, a Date, or bigint microseconds)", value);
}
