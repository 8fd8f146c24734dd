import type { IsoMoment } from "../../contract/iso.ts";
import { ValueMismatch } from "./builder.ts";
import { parseMoment } from "./iso.ts";
import { temporalClass, temporalText } from "./temporal.ts";

/**
 * Microseconds since the epoch from a Date, an ISO string with its zone, a `Temporal.Instant` or
 * `Temporal.ZonedDateTime`, or a bigint of microseconds. Error: `ValueMismatch`.
 */
export function toMicrosUtc(value: unknown): bigint {
  if (typeof value === "bigint") return inRange("timestamp", value, value);
  if (value instanceof Date) {
    const millis = value.getTime();
    if (Number.isNaN(millis)) throw new ValueMismatch("timestamp", value, "an invalid Date");
    return BigInt(millis) * 1000n;
  }
  if (typeof value === "string") {
    const { seconds, micros } = parseZoned(value);
    return inRange("timestamp", value, BigInt(seconds) * 1_000_000n + BigInt(micros));
  }
  const name = temporalClass(value);
  const { epochNanoseconds } = (value ?? {}) as { readonly epochNanoseconds?: unknown };
  if ((name !== "Instant" && name !== "ZonedDateTime") || typeof epochNanoseconds !== "bigint")
    throw noTimestamp(value);
  if (epochNanoseconds % 1000n !== 0n)
    throw new ValueMismatch("timestamp (microseconds)", value, "a time with nanoseconds");
  return epochNanoseconds / 1000n;
}

/**
 * Microseconds of a wall clock from an ISO string without zone, a `Temporal.PlainDateTime`, or a
 * bigint of microseconds. Error: `ValueMismatch`.
 */
export function toMicrosLocal(value: unknown): bigint {
  if (typeof value === "bigint") return inRange("timestamp_ntz", value, value);
  const { seconds, micros } = parseLocal(value);
  return inRange("timestamp_ntz", value, BigInt(seconds) * 1_000_000n + BigInt(micros));
}

/** A moment of UTC from an ISO string with its zone. Error: `ValueMismatch`. */
export function parseZoned(text: string): Pick<IsoMoment, "seconds" | "micros"> {
  const moment = parseMoment(text, "timestamp", text);
  if (moment === undefined) throw noTimestamp(text);
  const { seconds, micros, offset } = moment;
  if (offset === undefined)
    throw new ValueMismatch("timestamp (with a zone, such as …Z)", text, "a time without zone");
  return { seconds: seconds - offset, micros };
}

/**
 * A moment of a wall clock from an ISO string without zone, or a `Temporal.PlainDateTime`. Error:
 * `ValueMismatch`.
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

function inRange(type: string, value: unknown, micros: bigint): bigint {
  if (BigInt.asIntN(64, micros) === micros) return micros;
  throw new ValueMismatch(`${type} (64 bits of microseconds)`, value, "a time outside it");
}

function noTimestamp(value: unknown): ValueMismatch {
  return new ValueMismatch("timestamp (an ISO string with zone, a Date, or bigint microseconds)", value);
}
