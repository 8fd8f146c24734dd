import { MillraceError } from "./errors.ts";
import { firstOverlap } from "./intervals.ts";
import { floorMicros, floorTo, type InstantLike, stepMicros, toIso, toMicros } from "./time.ts";

/**
 * A time range as JSON: two ISO 8601 times in UTC with up to six fractional digits. The range
 * contains `from` but not `to`.
 */
export type TimeRangeJson = { readonly from: string; readonly to: string };

/**
 * A half-open time range with microsecond precision: it contains `from` but not `to`, so that
 * consecutive ranges neither overlap nor leave a gap. Immutable. To use it as a partition, convert
 * it with `toJSON()`.
 */
export class TimeRange {
  /** Start of the range, in microseconds since 1970-01-01T00:00:00Z. */
  readonly from: bigint;
  /** End of the range, in microseconds since 1970-01-01T00:00:00Z. */
  readonly to: bigint;

  /** Throws `TIME_INVALID`, or `TIME_RANGE_INVALID` if `to` lies before `from`. */
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
   * Returns the range from `from` to `to`, or an empty range at `from` if `to` lies before it, for
   * example because a clock was set back. Throws `TIME_INVALID`.
   */
  static upTo(from: InstantLike, to: InstantLike): TimeRange {
    return new TimeRange(from, toMicros(to) < toMicros(from) ? from : to);
  }

  /** Rebuilds a range from the result of `toJSON`. Throws the errors of the constructor. */
  static fromJSON({ from, to }: TimeRangeJson): TimeRange {
    return new TimeRange(from, to);
  }

  /**
   * Parses the text that `toString` returns, such as `2026-11-21T00:00:00Z/2026-11-22T00:00:00Z`.
   * Throws the errors of the constructor.
   */
  static parse(text: string): TimeRange {
    const [from = "", to = ""] = text.split(/\/(.*)/s);
    return new TimeRange(from, to);
  }

  /**
   * Returns the first two ranges that overlap, ordered by their start, or `undefined`. Useful in
   * tests of a source, because overlapping partitions return rows twice.
   */
  static overlaps(ranges: Iterable<TimeRange>): readonly [TimeRange, TimeRange] | undefined {
    return firstOverlap(ranges);
  }

  /** True if the range has no duration. */
  get isEmpty(): boolean {
    return this.from === this.to;
  }

  /**
   * True if the range contains the time. Nanoseconds are taken into account. Throws `TIME_INVALID`.
   */
  contains(instant: InstantLike): boolean {
    const micros = floorMicros(instant);
    return micros >= this.from && micros < this.to;
  }

  /** True if `next` begins exactly where this range ends. */
  meets(next: TimeRange): boolean {
    return this.to === next.from;
  }

  /** Returns the overlap of both ranges, or `undefined` if they do not overlap. */
  intersect(other: TimeRange): TimeRange | undefined {
    const from = this.from > other.from ? this.from : other.from;
    const to = this.to < other.to ? this.to : other.to;
    return from < to ? new TimeRange(from, to) : undefined;
  }

  /**
   * Splits the range into consecutive pieces of `duration`, such as `"1 hour"`. The last piece may
   * be shorter. An empty range has no pieces. Throws `DURATION_INVALID`.
   */
  split(
    duration: string,
    options: {
      /**
       * Cuts at multiples of the duration since 1970-01-01T00:00:00Z, for example on the hour or at
       * midnight UTC. The first piece may then be shorter too. By default the pieces are counted
       * from the start of the range.
       */
      readonly aligned?: boolean;
      /** Maximum number of pieces, counted from the start. Default: no limit. */
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

  /** Returns the range as JSON. */
  toJSON(): TimeRangeJson {
    return { from: toIso(this.from), to: toIso(this.to) };
  }

  /** Returns ISO 8601 text: `from/to`. */
  toString(): string {
    const { from, to } = this.toJSON();
    return `${from}/${to}`;
  }
}
