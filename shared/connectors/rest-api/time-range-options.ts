import * as z from "zod";
import { floorMicros } from "../../contract/time.ts";

/**
 * Reads the list by time ranges. Each range has its own requests, so many tasks can read in
 * parallel.
 */
export interface TimeRangeOptions {
  /** Query parameter for the start of a range. */
  readonly startParam: string;
  /** Query parameter for the end of a range. */
  readonly endParam: string;
  /**
   * Format of the two parameters: `iso` is `2026-11-21T00:00:00.000Z`, `isoSeconds`
   * `2026-11-21T00:00:00Z`, and `date` `2026-11-21`. Default `iso`.
   */
  readonly format?: "iso" | "isoSeconds" | "date" | "epochSeconds" | "epochMilliseconds";
  /**
   * True if the API leaves out rows at exactly the start time. Only needed without `column`: the
   * start that is sent is then one unit of `format` earlier, or with `endInclusive` as it is.
   * Default false.
   */
  readonly startExclusive?: boolean;
  /**
   * True if the API includes rows at exactly the end time. Only needed without `column`: the end
   * that is sent is then one unit of `format` earlier, or with `startExclusive` as it is. Default
   * false.
   */
  readonly endInclusive?: boolean;
  /**
   * The timestamp column with each row's time. If set, the range that is asked for is wider, and
   * rows outside the half-open range are dropped, because another partition has them. Each row is
   * then read once, however the API rounds and compares its parameters.
   */
  readonly column?: string;
  /**
   * What becomes of rows that have null in `column`: `error`; `first`, which keeps them only in the
   * partition that begins at `start`; or `drop`. Default `error`.
   */
  readonly rowsWithoutTime?: "error" | "first" | "drop";
  /**
   * What becomes of an answer whose rows all lie more than a day before `start` or after now, in
   * `column`: `error`, because the unit or the column is then wrong; or `drop`. Default `error`.
   */
  readonly rowsOutside?: "error" | "drop";
  /** Start of the stream or the batch, ISO 8601. */
  readonly start: string;
  /**
   * End of the stream or the batch, ISO 8601. By default a stream has no end, and a batch ends
   * `lagSeconds` before the current time.
   */
  readonly until?: string;
  /**
   * Length of a partition in seconds. Ranges are half-open, so partitions do not overlap. Default
   * 3600.
   */
  readonly partitionSeconds?: number;
  /** Maximum number of partitions in a stream's batch. Default 100. */
  readonly maxPartitionsPerBatch?: number;
  /**
   * Seconds that rows may arrive late. A stream stays this far behind the current time. Default 60.
   */
  readonly lagSeconds?: number;
}

const count = z.int().positive();
const instant = z.iso.datetime({ offset: true });

const BORDERS = z.looseObject({ start: instant, until: instant.optional(), partitionSeconds: count });

/** The smallest step that each format can express, in microseconds. */
export const UNITS = {
  iso: 1000n,
  isoSeconds: 1_000_000n,
  date: 86_400_000_000n,
  epochSeconds: 1_000_000n,
  epochMilliseconds: 1000n,
} as const;

/** The schema of the option `timeRange`. */
export const TIME_RANGE = z
  .strictObject({
    startParam: z.string().min(1),
    endParam: z.string().min(1),
    format: z.enum(["iso", "isoSeconds", "date", "epochSeconds", "epochMilliseconds"]).default("iso"),
    startExclusive: z.boolean().default(false),
    endInclusive: z.boolean().default(false),
    column: z.string().min(1).optional(),
    rowsWithoutTime: z.enum(["error", "first", "drop"]).default("error"),
    rowsOutside: z.enum(["error", "drop"]).default("error"),
    start: instant,
    until: instant.optional(),
    partitionSeconds: count.default(3600),
    maxPartitionsPerBatch: count.default(100),
    lagSeconds: z.number().nonnegative().default(60),
  })
  .superRefine((range, context) => {
    // Other checks have already reported a wrong time.
    if (range.column !== undefined || !BORDERS.safeParse(range).success) return;
    const unit = UNITS[range.format];
    const borders = {
      start: floorMicros(range.start),
      until: range.until === undefined ? 0n : floorMicros(range.until),
      partitionSeconds: BigInt(range.partitionSeconds) * 1_000_000n,
    };
    for (const [name, micros] of Object.entries(borders)) {
      if (micros % unit === 0n) continue;
      context.addIssue({
        code: "custom",
        path: [name],
        message: `Must be a whole number of ${WHOLE[range.format]} in the format "${range.format}", unless column is set`,
      });
    }
  });

const WHOLE = {
  iso: "milliseconds",
  isoSeconds: "seconds",
  date: "days in UTC",
  epochSeconds: "seconds",
  epochMilliseconds: "milliseconds",
} as const satisfies Readonly<Record<keyof typeof UNITS, string>>;

/** The option `timeRange` with its defaults. */
export type ParsedTimeRange = z.output<typeof TIME_RANGE>;

/**
 * Returns the step to which the current time is rounded down, so that it can be the end of a range.
 */
export function settledStep({ format, column }: ParsedTimeRange): string {
  return format === "date" && column === undefined ? "1 day" : "1s";
}
