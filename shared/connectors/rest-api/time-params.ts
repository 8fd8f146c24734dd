import { MillraceError } from "../../contract/errors.ts";
import { floorTo, toIso, toMicros } from "../../contract/time.ts";
import type { TimeRange } from "../../contract/time-range.ts";
import { type ParsedTimeRange, UNITS } from "./time-range-options.ts";

const SECOND = 1_000_000n;

/** The range of time that a request asks for, in microseconds. */
export interface AskedRange {
  readonly from: bigint;
  readonly to: bigint;
}

/**
 * Returns the range that the API is asked for, in microseconds. With `column` it is wider than the
 * partition by a second or a day at both ends, because rows outside the partition are dropped
 * later. Without it the range is exact. Error: `OPTIONS_INVALID` if the format cannot express it.
 */
export function askedRange(
  { from, to }: Pick<TimeRange, "from" | "to">,
  options: ParsedTimeRange,
): AskedRange {
  const unit = UNITS[options.format];
  if (options.column !== undefined) {
    // Some APIs round their parameters to seconds, in whichever direction, and some take a date as
    // one of another time zone.
    const margin = unit > SECOND ? unit : SECOND;
    return { from: floorTo(from, margin) - margin, to: floorTo(to + margin - 1n, margin) + margin };
  }
  if (from % unit !== 0n || to % unit !== 0n) throw tooFine(from, to, options);
  const { startExclusive, endInclusive, start } = options;
  if (startExclusive && endInclusive) {
    // Such ranges join. Only the row at the very start of the list would be in none of them.
    return { from: from === toMicros(start) ? from - unit : from, to };
  }
  return { from: startExclusive ? from - unit : from, to: endInclusive ? to - unit : to };
}

/**
 * Returns the range that the API is asked for without a margin; `undefined` if the format cannot
 * express it.
 */
export function exactRange(
  range: Pick<TimeRange, "from" | "to">,
  { column: _none, ...options }: ParsedTimeRange,
): AskedRange | undefined {
  const unit = UNITS[options.format];
  return range.from % unit === 0n && range.to % unit === 0n ? askedRange(range, options) : undefined;
}

function tooFine(from: bigint, to: bigint, { format }: ParsedTimeRange): MillraceError {
  return new MillraceError(
    "OPTIONS_INVALID",
    `the range of time from ${toIso(from)} to ${toIso(to)} cannot be asked for exactly in the format "${format}"`,
    {
      hint: "Set timeRange.column to the timestamp column with each row's time: rows outside the range are then dropped.",
    },
  );
}

/** Formats a time as the value of a parameter. */
export function formatTime(micros: bigint, { format }: ParsedTimeRange): string | number {
  switch (format) {
    case "iso":
      return toIso(micros);
    case "isoSeconds":
      return toIso(micros).replace(".000Z", "Z");
    case "date":
      return toIso(micros).slice(0, 10);
    default:
      return Number(micros / UNITS[format]);
  }
}
