import type { Schema } from "apache-arrow";
import { DataSource } from "../../contract/data-source.ts";
import type { OptionsSchema } from "../../contract/options/parse.ts";
import type { DataSourceStreamReader } from "../../contract/stream-reader.ts";
import { RateMicroBatchReader } from "./micro-batch-reader.ts";
import {
  MICRO_BATCH_OPTIONS,
  type ParsedMicroBatchOptions,
  type ParsedRateOptions,
  RATE_OPTIONS,
  type RateMicroBatchOptions,
  type RateOptions,
} from "./options.ts";
import { RateReader } from "./rate-reader.ts";

export type { RateMicroBatchOptions, RateOptions } from "./options.ts";

const SCHEMA = "timestamp timestamp NOT NULL, value bigint NOT NULL";

/**
 * Generates a fixed number of numbered rows per second, like Spark's `rate` source. Guide:
 * docs/rate.md. Error: `OPTIONS_INVALID`.
 */
export class Rate extends DataSource<ParsedRateOptions> {
  /** The name for `.format("rate")` once the class is registered. */
  static override readonly name: string = "rate";
  /** The schema that validates `RateOptions`. */
  static readonly optionsSchema = RATE_OPTIONS as OptionsSchema<RateOptions, ParsedRateOptions>;

  /** Returns the schema, with the columns `timestamp` and `value`. */
  override schema(): string {
    return SCHEMA;
  }

  /**
   * Returns a stream reader of the rows up to the current time, counted from the pipeline's first
   * start.
   */
  override streamReader(_schema: Schema): DataSourceStreamReader<object, unknown> {
    return new RateReader(this.options, this.runtime);
  }
}

/**
 * Generates a fixed number of numbered rows per batch, like Spark's `rate-micro-batch` source.
 * Guide: docs/rate.md. Error: `OPTIONS_INVALID`.
 */
export class RateMicroBatch extends DataSource<ParsedMicroBatchOptions> {
  /** The name for `.format("rate-micro-batch")` once the class is registered. */
  static override readonly name: string = "rate-micro-batch";
  /** The schema that validates `RateMicroBatchOptions`. */
  static readonly optionsSchema = MICRO_BATCH_OPTIONS as OptionsSchema<
    RateMicroBatchOptions,
    ParsedMicroBatchOptions
  >;

  /** Returns the schema, with the columns `timestamp` and `value`. */
  override schema(): string {
    return SCHEMA;
  }

  /** Returns a stream reader that always has another batch. */
  override streamReader(_schema: Schema): DataSourceStreamReader<object, unknown> {
    return new RateMicroBatchReader(this.options);
  }
}
