import * as z from "zod";
import { parseDuration } from "../../contract/duration.ts";
import { MillraceError } from "../../contract/errors.ts";

/** How many rows are generated per second. */
export interface RateOptions {
  /** Number of rows per second. Default: 1. */
  readonly rowsPerSecond?: number;
  /**
   * How long the rate increases before it reaches `rowsPerSecond`, in whole seconds: `"30s"`.
   * Default `"0s"`.
   */
  readonly rampUpTime?: string;
  /** Maximum number of partitions in a batch. Default 1. */
  readonly numPartitions?: number;
  /**
   * Maximum number of rows in a batch, which always has the rows of at least one second. Default:
   * no limit.
   */
  readonly maxRowsPerBatch?: number;
}

/** Options that set the number of rows of each batch. */
export interface RateMicroBatchOptions {
  /** Number of rows in each batch. */
  readonly rowsPerBatch: number;
  /** Maximum number of partitions in a batch. Default 1. */
  readonly numPartitions?: number;
  /** The timestamp of the first batch's rows, in epoch milliseconds. Default 0. */
  readonly startTimestamp?: number;
  /** Milliseconds between the timestamps of one batch and the next. Default 1000. */
  readonly advanceMillisPerBatch?: number;
}

const count = z.int().positive();

const wholeSeconds = z.string().transform((text, context) => {
  try {
    return Math.floor(parseDuration(text) / 1000);
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    context.addIssue("expected a number and a unit, such as 30s");
    return z.NEVER;
  }
});

export const RATE_OPTIONS = z.strictObject({
  rowsPerSecond: count.default(1),
  rampUpTime: wholeSeconds.prefault("0s"),
  numPartitions: count.default(1),
  maxRowsPerBatch: count.optional(),
});

export const MICRO_BATCH_OPTIONS = z.strictObject({
  rowsPerBatch: count,
  numPartitions: count.default(1),
  startTimestamp: z.int().default(0),
  advanceMillisPerBatch: z.int().nonnegative().default(1000),
});

/** The options with their defaults. `rampUpTime` is in seconds. */
export type ParsedRateOptions = z.output<typeof RATE_OPTIONS>;
/** The options with their defaults. */
export type ParsedMicroBatchOptions = z.output<typeof MICRO_BATCH_OPTIONS>;
