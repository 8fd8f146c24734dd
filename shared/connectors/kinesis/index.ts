import type { Schema } from "apache-arrow";
import { DataSource } from "../../contract/data-source.ts";
import { loadingFirst } from "../../contract/optional-package.ts";
import type { OptionsSchema } from "../../contract/options/parse.ts";
import type { DataSourceStreamReader } from "../../contract/stream-reader.ts";
import { checkJsonColumns } from "../kit/json-columns.ts";
import { requiredSchema } from "../kit/required-schema.ts";
import { type KinesisOptions, OPTIONS, type ParsedOptions } from "./options.ts";
import { RAW_SCHEMA } from "./records.ts";
import { sampleRecords } from "./sample.ts";
import { loadSdk, Stream } from "./stream.ts";
import { KinesisReader } from "./stream-reader.ts";

export type { JsonColumn, JsonColumns } from "../kit/json-columns.ts";
export type { JsonPath } from "../kit/json-path.ts";
export type { KinesisOptions } from "./options.ts";

/**
 * A stream of Kinesis Data Streams as a streaming source. Each record is read once, in order for
 * each partition key. Guide: docs/kinesis.md. Error: `OPTIONS_INVALID`.
 */
export class Kinesis extends DataSource<ParsedOptions> {
  /** The name for `.format("kinesis")` once the class is registered. */
  static override readonly name: string = "kinesis";
  /** The schema that validates `KinesisOptions`. */
  static readonly optionsSchema: OptionsSchema<KinesisOptions, ParsedOptions> = loadingFirst(
    OPTIONS as OptionsSchema<KinesisOptions, ParsedOptions>,
    loadSdk,
  );

  /** Returns the option `schema`, or the columns of a raw record. Error: `SCHEMA_REQUIRED`. */
  override schema(): string {
    const { format, schema } = this.options;
    if (format === "raw") return RAW_SCHEMA;
    return requiredSchema(schema, "Kinesis", "id bigint NOT NULL, time timestamp");
  }

  /** Returns the objects in the oldest records. Raw records have a schema. */
  override sample(): AsyncIterable<object> | undefined {
    return this.options.format === "raw" ? undefined : sampleRecords(this.options, this.runtime);
  }

  /** Returns a stream reader of all shards. Error: `OPTIONS_INVALID`. */
  override streamReader(schema: Schema): DataSourceStreamReader<object, unknown> {
    checkJsonColumns("Kinesis", schema, this.options.columns ?? {});
    const stream = new Stream(this.options, this.runtime);
    return new KinesisReader(schema, this.options, stream, this.runtime);
  }
}
