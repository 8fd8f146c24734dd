import { type ExactNumber, floorNumber, wholeNumber } from "./json-number.ts";

/** The unit of a time that is a number since 1970-01-01T00:00:00Z. */
export type EpochUnit = "seconds" | "milliseconds" | "microseconds" | "nanoseconds";

/** Microseconds in a unit, as a power of 10. */
const POWERS: Readonly<Record<EpochUnit, number>> = {
  seconds: 6,
  milliseconds: 3,
  microseconds: 0,
  nanoseconds: -3,
};

/** First and last microsecond of the years 0001 to 9999. A number beyond them has another unit. */
const FIRST = -62_135_596_800_000_000n;
const LAST = 253_402_300_799_999_999n;

/** The problem of a number for which `microsOfEpoch` returns `undefined`. */
export const OUTSIDE_YEARS = "a time outside the years 0001 to 9999";

/** The unit that a number outside of the years most likely has instead. */
export const LIKELIER_UNIT: Readonly<Record<EpochUnit, EpochUnit>> = {
  seconds: "milliseconds",
  milliseconds: "microseconds",
  microseconds: "nanoseconds",
  nanoseconds: "microseconds",
};

/**
 * Converts a number of a unit to microseconds, rounded down. `isFiner` is true if digits below the
 * microsecond are lost by that. Returns `undefined` for a time outside the years 0001 to 9999.
 */
export function microsOfEpoch(
  number: ExactNumber | string,
  unit: EpochUnit,
): { readonly micros: bigint; readonly isFiner: boolean } | undefined {
  const micros = floorNumber(number, POWERS[unit]);
  if (micros === undefined || micros < FIRST || micros > LAST) return undefined;
  return { micros, isFiner: wholeNumber(number, POWERS[unit]) !== micros };
}
