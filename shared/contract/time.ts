import { parseDuration } from "./duration.ts";
import { MillraceError, show } from "./errors.ts";
import { epochMicros, exists, scanMoment } from "./iso.ts";
import { kindOf } from "./json.ts";

/**
 * A moment: ISO 8601 with its zone (`"2026-11-21T09:30:00.123456+01:00"`), a Date, a
 * `Temporal.Instant`, or microseconds since 1970-01-01T00:00:00Z as a bigint.
 */
export type InstantLike = string | Date | bigint | { readonly epochNanoseconds: bigint };

/** The years 0000 to 9999: those that ISO 8601 can write with four digits. */
const FIRST = -62_167_219_200_000_000n;
const LAST = 253_402_300_799_999_999n;

/**
 * Microseconds since the epoch. Error: `TIME_INVALID`, also for what is finer than a microsecond,
 * and outside the years 0000 to 9999.
 */
export function toMicros(instant: InstantLike): bigint {
  const { micros, isFiner } = read(instant);
  if (isFiner) throw invalid("a time with nanoseconds", instant, "Give a time of whole microseconds.");
  if (micros < FIRST || micros > LAST) throw invalid("a time outside the years 0000 to 9999", instant);
  return micros;
}

/** Microseconds since the epoch; what is finer is rounded down. Error: `TIME_INVALID`. */
export function floorMicros(instant: InstantLike): bigint {
  return read(instant).micros;
}

/**
 * ISO 8601 in UTC of a time that `toMicros` returns: equal times have equal text. Milliseconds are
 * always written, microseconds if there are any.
 */
export function toIso(micros: bigint): string {
  const rest = micros - floorTo(micros, 1000n);
  const text = new Date(Number((micros - rest) / 1000n)).toISOString();
  return rest === 0n ? text : `${text.slice(0, -1)}${String(rest).padStart(3, "0")}Z`;
}

/** The greatest multiple of `step`, which is positive, that is not above `value`. */
export function floorTo(value: bigint, step: bigint): bigint {
  const rest = value % step;
  return value - (rest < 0n ? rest + step : rest);
}

/** Microseconds of a duration that is not zero. Error: `DURATION_INVALID`. */
export function stepMicros(duration: string): bigint {
  const millis = parseDuration(duration);
  if (millis > 0) return BigInt(millis) * 1000n;
  throw new MillraceError("DURATION_INVALID", `"${duration}" is too short to be a step`, {
    hint: "Choose 1ms or more.",
  });
}

/**
 * The last multiple of `duration`, counted from 1970-01-01T00:00:00Z, that is not after `instant`:
 * ISO 8601 in UTC. Errors: `TIME_INVALID`, `DURATION_INVALID`.
 */
export function roundDown(instant: InstantLike, duration: string): string {
  return toIso(toMicros(floorTo(floorMicros(instant), stepMicros(duration))));
}

/**
 * Up to when a stream by time may be read at `now` (epoch milliseconds): `lag` behind it, rounded
 * down to `step`, and not beyond `until`. ISO 8601 in UTC, fit for an offset: calls within one step
 * give the same text. Errors: `DURATION_INVALID`, `TIME_INVALID`.
 */
export function settledNow(
  now: number,
  options: {
    /** How long rows may come late. */
    readonly lag: string;
    /** Default `"1s"`. */
    readonly step?: string;
    /** Default: there is no end. */
    readonly until?: InstantLike | undefined;
  },
): string {
  const { lag, step = "1s", until } = options;
  const late = BigInt(Math.floor(now) - parseDuration(lag)) * 1000n;
  const settled = floorTo(late, stepMicros(step));
  const last = until === undefined ? settled : toMicros(until);
  return toIso(last < settled ? last : settled);
}

/** Microseconds since the epoch, rounded down if there is more. */
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
