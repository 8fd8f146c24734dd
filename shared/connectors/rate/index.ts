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
 * So many numbered rows a second, as Spark's `rate`. Guide: docs/rate.md. Error: `OPTIONS_INVALID`.
 */
export class Rate extends DataSource<ParsedRateOptions> {
  /** For `.format("rate")`, once it is registered. */
  static override readonly name: string = "rate";
  /** See `RateOptions`. */
  static readonly optionsSchema = RATE_OPTIONS as OptionsSchema<RateOptions, ParsedRateOptions>;

  /** `timestamp`, `value`. */
  override schema(): string {
    return SCHEMA;
  }

  /** A reader that follows the clock from the moment at which the pipeline began. */
  override streamReader(_schema: Schema): DataSourceStreamReader<object, unknown> {
    return new RateReader(this.options, this.runtime);
  }
}

/**
 * So many numbered rows each batch, as Spark's `rate-micro-batch`. Guide: docs/rate.md. Error:
 * `OPTIONS_INVALID`.
 */
export class RateMicroBatch extends DataSource<ParsedMicroBatchOptions> {
  /** For `.format("rate-micro-batch")`, once it is registered. */
  static override readonly name: string = "rate-micro-batch";
  /** See `RateMicroBatchOptions`. */
  static readonly optionsSchema = MICRO_BATCH_OPTIONS as OptionsSchema<
    RateMicroBatchOptions,
    ParsedMicroBatchOptions
  >;

  /** `timestamp`, `value`. */
  override schema(): string {
    return SCHEMA;
  }

  /** A reader that has a next batch whenever it is asked. */
  override streamReader(_schema: Schema): DataSourceStreamReader<object, unknown> {
    return new RateMicroBatchReader(this.options);
  }
}
