import * as z from "zod";
import { parseDuration } from "../../contract/duration.ts";
import { MillraceError } from "../../contract/errors.ts";

/** How fast rows come. */
export interface RateOptions {
  /** Default 1. */
  readonly rowsPerSecond?: number;
  /** How long it takes until they come that fast, in whole seconds: `"30s"`. Default `"0s"`. */
  readonly rampUpTime?: string;
  /** Partitions of a batch at most. Default 1. */
  readonly numPartitions?: number;
  /** Rows of a batch at most, but at least those of a second. Default: all that are due. */
  readonly maxRowsPerBatch?: number;
}

/** How many rows a batch has. */
export interface RateMicroBatchOptions {
  /** Rows of each batch. */
  readonly rowsPerBatch: number;
  /** Partitions of a batch at most. Default 1. */
  readonly numPartitions?: number;
  /** The time of the first batch's rows, epoch milliseconds. Default 0. */
  readonly startTimestamp?: number;
  /** How much later those of the next batch are. Default 1000. */
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

/** Options with their defaults; `rampUpTime` in seconds. */
export type ParsedRateOptions = z.output<typeof RATE_OPTIONS>;
/** Options with their defaults. */
export type ParsedMicroBatchOptions = z.output<typeof MICRO_BATCH_OPTIONS>;
