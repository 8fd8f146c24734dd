import * as z from "zod";

/** Which events are generated and how they are read. */
export interface EventsOptions {
  /** Start of the stream, ISO 8601. */
  readonly start: string;
  /**
   * End of the stream, ISO 8601. By default the stream has no end, and a batch is read up to the
   * current time.
   */
  readonly until?: string;
  /** Number of events per second, from 0.000001 to 1000000. Default 1. */
  readonly eventsPerSecond?: number;
  /**
   * Seed of the random numbers, 0 to 2^32 - 1. Different seeds produce different events. Default 0.
   */
  readonly seed?: number;
  /** Length of a partition in seconds. Default 3600. */
  readonly partitionSeconds?: number;
  /** Maximum number of partitions in a stream's batch. Default 100. */
  readonly maxPartitionsPerBatch?: number;
  /**
   * Seconds that the stream stays behind the current time. Default 0, because these events never
   * arrive late.
   */
  readonly lagSeconds?: number;
  /** The end of each batch is rounded down to a multiple of this many seconds. Default 1. */
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

/** The options with their defaults. */
export type ParsedOptions = z.output<typeof OPTIONS>;
