import * as z from "zod";

/** Which events there are, and how they are read. */
export interface EventsOptions {
  /** Where the stream begins, ISO 8601. */
  readonly start: string;
  /** Where it ends, ISO 8601. Default: it does not; a batch is read up to the clock. */
  readonly until?: string;
  /** One millionth to one million. Default 1. */
  readonly eventsPerSecond?: number;
  /** Other events for another one: 0 to 2^32 - 1. Default 0. */
  readonly seed?: number;
  /** Length of a partition. Default 3600. */
  readonly partitionSeconds?: number;
  /** Partitions of one batch of a stream at most. Default 100. */
  readonly maxPartitionsPerBatch?: number;
  /** The stream stays this far behind the clock. Default 0: here nothing comes late. */
  readonly lagSeconds?: number;
  /** The end of a batch is a multiple of it. Default 1. */
  readonly stepSeconds?: number;
}

const count = z.int().positive();
const instant = z.iso.datetime({ offset: true });

export const OPTIONS = z.strictObject({
  start: instant,
  until: instant.optional(),
  eventsPerSecond: z.number().min(0.000001).max(1_000_000).default(1),
  seed: z.uint32().default(0),
  partitionSeconds: count.default(3600),
  maxPartitionsPerBatch: count.default(100),
  lagSeconds: z.number().nonnegative().default(0),
  stepSeconds: count.default(1),
});

/** Options with their defaults. */
export type ParsedOptions = z.output<typeof OPTIONS>;
