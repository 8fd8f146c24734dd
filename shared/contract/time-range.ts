import { MillraceError } from "./errors.ts";
import { firstOverlap } from "./intervals.ts";
import { floorMicros, floorTo, type InstantLike, stepMicros, toIso, toMicros } from "./time.ts";

/**
 * A range of time as JSON: ISO 8601 in UTC, with up to six digits of a second. `from` is in it,
 * `to` is not.
 */
export type TimeRangeJson = { readonly from: string; readonly to: string };

/**
 * A half-open range of time, exact to the microsecond: `from` is in it, `to` is not, so that ranges
 * that follow each other neither overlap nor leave a gap. Immutable. As a partition it travels as
 * `toJSON()`.
 */
export class TimeRange {
  /** Microseconds since 1970-01-01T00:00:00Z. */
  readonly from: bigint;
  /** Microseconds since 1970-01-01T00:00:00Z. */
  readonly to: bigint;

  /** Errors: `TIME_INVALID`, `TIME_RANGE_INVALID` if it would end before it begins. */
  constructor(from: InstantLike, to: InstantLike) {
    this.from = toMicros(from);
    this.to = toMicros(to);
    if (this.to >= this.from) return;
    throw new MillraceError(
      "TIME_RANGE_INVALID",
      `a range of time from ${toIso(this.from)} cannot end before it begins, at ${toIso(this.to)}`,
      {
        hint: "Swap its ends. What may lie before the start, such as a clock's time: TimeRange.upTo(from, to).",
      },
    );
  }

  /**
   * The range up to `to`; the empty one at `from` if `to` lies before it, such as the time of a
   * clock that was set back. Error: `TIME_INVALID`.
   */
  static upTo(from: InstantLike, to: InstantLike): TimeRange {
    return new TimeRange(from, toMicros(to) < toMicros(from) ? from : to);
  }

  /**
   * The range that `toJSON` gave, or a part of it as a request's body or an option has it. Errors
   * as the constructor.
   */
  static fromJSON({ from, to }: TimeRangeJson): TimeRange {
    return new TimeRange(from, to);
  }

  /**
   * The range that `toString` gave: ISO 8601, such as `2026-11-21T00:00:00Z/2026-11-22T00:00:00Z`.
   * Errors as the constructor.
   */
  static parse(text: string): TimeRange {
    const [from = "", to = ""] = text.split(/\/(.*)/s);
    return new TimeRange(from, to);
  }

  /**
   * The first two ranges that have a moment in common, ordered by their start; `undefined` if no
   * two have. For the tests of a source: partitions that overlap give rows twice.
   */
  static overlaps(ranges: Iterable<TimeRange>): readonly [TimeRange, TimeRange] | undefined {
    return firstOverlap(ranges);
  }

  /** True if no moment is in it. */
  get isEmpty(): boolean {
    return this.from === this.to;
  }

  /** Whether the moment is in it; nanoseconds are taken into account. Error: `TIME_INVALID`. */
  contains(instant: InstantLike): boolean {
    const micros = floorMicros(instant);
    return micros >= this.from && micros < this.to;
  }

  /** True if `next` begins where this one ends: no gap, no overlap. */
  meets(next: TimeRange): boolean {
    return this.to === next.from;
  }

  /** What both have in common; `undefined` if that is not one moment. */
  intersect(other: TimeRange): TimeRange | undefined {
    const from = this.from > other.from ? this.from : other.from;
    const to = this.to < other.to ? this.to : other.to;
    return from < to ? new TimeRange(from, to) : undefined;
  }

  /**
   * This range in pieces of `duration`, such as `"1 hour"`, in order; the last may be shorter. An
   * empty range has none. Error: `DURATION_INVALID`.
   */
  split(
    duration: string,
    options: {
      /**
       * True to cut at multiples of the duration since 1970-01-01T00:00:00Z: on the hour, at
       * midnight UTC. The first may then be shorter, too. Default: counted from the start.
       */
      readonly aligned?: boolean;
      /** Gives only so many, from the start on. Default: all. */
      readonly limit?: number;
    } = {},
  ): TimeRange[] {
    const { aligned = false, limit = Number.POSITIVE_INFINITY } = options;
    const length = stepMicros(duration);
    const pieces: TimeRange[] = [];
    let from = this.from;
    while (from < this.to && pieces.length < limit) {
      const end = (aligned ? floorTo(from, length) : from) + length;
      const piece = new TimeRange(from, end < this.to ? end : this.to);
      pieces.push(piece);
      from = piece.to;
    }
    return pieces;
  }

  /** As JSON. */
  toJSON(): TimeRangeJson {
    return { from: toIso(this.from), to: toIso(this.to) };
  }

  /** ISO 8601: `from/to`. */
  toString(): string {
    const { from, to } = this.toJSON();
    return `${from}/${to}`;
  }
}
