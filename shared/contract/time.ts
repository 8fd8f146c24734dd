import { parseDuration } from "./duration.ts";
import { MillraceError, show } from "./errors.ts";
import { epochMicros, exists, scanMoment } from "./iso.ts";
import { kindOf } from "./json.ts";

/**
 * A point in time: an ISO 8601 string with a zone (`"2026-11-21T09:30:00.123456+01:00"`), a Date, a
 * `Temporal.Instant`, or microseconds since 1970-01-01T00:00:00Z as a bigint.
 */
export type InstantLike = string | Date | bigint | { readonly epochNanoseconds: bigint };

/** First and last microsecond of the years 0000 to 9999, which ISO 8601 writes with four digits. */
const FIRST = -62_167_219_200_000_000n;
const LAST = 253_402_300_799_999_999n;

/**
 * Converts to microseconds since the epoch. Throws `TIME_INVALID`, also for a time with nanoseconds
 * or outside the years 0000 to 9999.
 */
export function toMicros(instant: InstantLike): bigint {
  const { micros, isFiner } = read(instant);
  if (isFiner) throw invalid("a time with nanoseconds", instant, "Give a time of whole microseconds.");
  if (micros < FIRST || micros > LAST) throw invalid("a time outside the years 0000 to 9999", instant);
  return micros;
}

/** Converts to microseconds since the epoch and rounds nanoseconds down. Throws `TIME_INVALID`. */
export function floorMicros(instant: InstantLike): bigint {
  return read(instant).micros;
}

/**
 * Formats microseconds since the epoch as ISO 8601 in UTC. Equal times have equal text:
 * milliseconds are always written, microseconds only if they are not zero.
 */
export function toIso(micros: bigint): string {
  const rest = micros - floorTo(micros, 1000n);
  const text = new Date(Number((micros - rest) / 1000n)).toISOString();
  return rest === 0n ? text : `${text.slice(0, -1)}${String(rest).padStart(3, "0")}Z`;
}

/**
 * Returns the greatest multiple of `step` that is not greater than `value`. `step` must be
 * positive.
 */
export function floorTo(value: bigint, step: bigint): bigint {
  const rest = value % step;
  return value - (rest < 0n ? rest + step : rest);
}

/** Converts a duration to microseconds. Throws `DURATION_INVALID`, also for a duration of zero. */
export function stepMicros(duration: string): bigint {
  const millis = parseDuration(duration);
  if (millis > 0) return BigInt(millis) * 1000n;
  throw new MillraceError("DURATION_INVALID", `"${duration}" is too short to be a step`, {
    hint: "Choose 1ms or more.",
  });
}

/**
 * Rounds a time down to a multiple of `duration` since 1970-01-01T00:00:00Z, and returns ISO 8601
 * in UTC. Throws `TIME_INVALID` or `DURATION_INVALID`.
 */
export function roundDown(instant: InstantLike, duration: string): string {
  return toIso(toMicros(floorTo(floorMicros(instant), stepMicros(duration))));
}

/**
 * Returns the time up to which a source may be read at `now` (epoch milliseconds): `now` minus
 * `lag`, rounded down to `step`, but not later than `until`. The result is ISO 8601 in UTC. Calls
 * within one step return equal text, so it can be used as an offset. Throws `DURATION_INVALID` or
 * `TIME_INVALID`.
 */
export function settledNow(
  now: number,
  options: {
    /** How late rows may arrive: a duration such as `"2 minutes"`. */
    readonly lag: string;
    /** Unit to which the time is rounded down. Default: `"1s"`. */
    readonly step?: string;
    /** Latest time to return. Default: no limit. */
    readonly until?: InstantLike | undefined;
  },
): string {
  const { lag, step = "1s", until } = options;
  const late = BigInt(Math.floor(now) - parseDuration(lag)) * 1000n;
  const settled = floorTo(late, stepMicros(step));
  const last = until === undefined ? settled : toMicros(until);
  return toIso(last < settled ? last : settled);
}

/** Microseconds since the epoch, rounded down. `isFiner` is true if nanoseconds were cut off. */
interface Reading {
  readonly micros: bigint;
  readonly isFiner: boolean;
}

function read(instant: unknown): Reading {
  if (typeof instant === "string") return readIso(instant);
  if (typeof instant === "bigint") return { micros: instant, isFiner: false };
  if (instant instanceof Date) {
    const millis = instant.getTime();
    if (Number.isNaN(millis)) throw invalid("an invalid Date", instant);
    return { micros: BigInt(millis) * 1000n, isFiner: false };
  }
  if (typeof instant === "object" && instant !== null && "epochNanoseconds" in instant) {
    const { epochNanoseconds } = instant;
    if (typeof epochNanoseconds === "bigint")
      return { micros: floorTo(epochNanoseconds, 1000n) / 1000n, isFiner: epochNanoseconds % 1000n !== 0n };
  }
  throw invalid(kindOf(instant), instant);
}

function readIso(text: string): Reading {
  const moment = scanMoment(text);
  if (moment?.offset === undefined) throw invalid(kindOf(text), text);
  if (!exists(moment)) throw invalid("a time that does not exist", text);
  return { micros: epochMicros(moment), isFiner: moment.isFiner };
}

function invalid(
  problem: string,
  found: unknown,
  hint = 'Give ISO 8601 with its zone, such as "2026-11-21T09:30:00Z", a Date, a Temporal.Instant, or microseconds since 1970 as a bigint.',
): MillraceError {
  return new MillraceError("TIME_INVALID", `expected a time, found ${problem}`, { hint, found: show(found) });
}
