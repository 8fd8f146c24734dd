import type { Schema } from "apache-arrow";
import type { DataSourceReader } from "../../contract/batch-reader.ts";
import { DataSource } from "../../contract/data-source.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { OptionsSchema } from "../../contract/options/parse.ts";
import type { DataSourceStreamReader } from "../../contract/stream-reader.ts";
import type { DataSourceStreamWriter } from "../../contract/stream-writer.ts";
import { requiredSchema } from "../kit/required-schema.ts";
import { environmentOf } from "../kit/secrets.ts";
import { RestAutoCdc } from "./auto-cdc.ts";
import { ListReader, TimeRangeBatchReader } from "./batch-reader.ts";
import { RestClient } from "./client.ts";
import { OPTIONS, type ParsedOptions, type RestApiOptions, sinkOptions, sourceOptions } from "./options.ts";
import { PositionReader } from "./position-reader.ts";
import { checkColumns } from "./records.ts";
import { sampleRecords } from "./sample.ts";
import { TimeRangeReader } from "./time-range-reader.ts";
import { RestWriter, type Sent } from "./writer.ts";

export type { JsonPath } from "../kit/json-path.ts";
export type { FromEnvironment } from "../kit/secrets.ts";
export type { ChangeRequest, ChangeRequests } from "./change-options.ts";
export type {
  ColumnPath,
  RestApiOptions,
  RestApiSinkOptions,
  RestApiSourceOptions,
} from "./options.ts";
export type { CountedEnd, EndProofs, LinkedEnd, LinkedPages, Pagination } from "./pagination.ts";
export type { OAuth2Options, RestApiRequestOptions } from "./request-options.ts";
export type { TimeRangeOptions as TimeRange } from "./time-range-options.ts";
export type { Sent } from "./writer.ts";

/**
 * A JSON API over HTTP. As a stream source it reads a paginated list by time ranges (`timeRange`),
 * or by position if the list only grows at its end. As a batch source it reads any list. As a sink
 * it sends rows in requests with idempotency keys. Guide: docs/rest-api.md. Error:
 * `OPTIONS_INVALID`.
 */
export class RestApi extends DataSource<ParsedOptions> {
  /** The name for `.format("rest-api")` once the class is registered. */
  static override readonly name: string = "rest-api";
  /** The schema that validates `RestApiOptions`. */
  static readonly optionsSchema = OPTIONS as OptionsSchema<RestApiOptions, ParsedOptions>;

  /** Returns the option `schema`. Error: `SCHEMA_REQUIRED`. */
  override schema(): string {
    const { schema } = this.options;
    return requiredSchema(schema, "RestApi", "id string NOT NULL, time timestamp, mag double");
  }

  /** Returns the names of the variables that the options name as `{ env: "NAME" }`. */
  override requiredEnvironment(): readonly string[] {
    return environmentOf(this.options);
  }

  /** Returns the records of the list, without a schema. */
  override sample(): AsyncIterable<object> {
    const options = sourceOptions(this.options);
    return sampleRecords(options, new RestClient(options, this.runtime), this.runtime);
  }

  /** Returns a batch reader of a time range or of the whole list. */
  override reader(schema: Schema): DataSourceReader<unknown> {
    const options = sourceOptions(this.options);
    checkColumns(schema, options);
    const client = new RestClient(options, this.runtime);
    const { timeRange } = options;
    if (timeRange === undefined) return new ListReader(schema, options, client);
    const stream = new TimeRangeReader(schema, options, timeRange, client, this.runtime);
    return new TimeRangeBatchReader(schema, timeRange, stream, this.runtime);
  }

  /** Returns a stream reader by time ranges or by position. */
  override streamReader(schema: Schema): DataSourceStreamReader<object, unknown> {
    const options = sourceOptions(this.options);
    checkColumns(schema, options);
    const client = new RestClient(options, this.runtime);
    return options.timeRange === undefined
      ? new PositionReader(schema, options, client)
      : new TimeRangeReader(schema, options, options.timeRange, client, this.runtime);
  }

  /** Returns the target of a stream of changes. Error: `OPTIONS_INVALID`. */
  override autoCdcTable(_schema: Schema): RestAutoCdc {
    const options = sinkOptions(this.options);
    return new RestAutoCdc(options, new RestClient(options, this.runtime));
  }

  /** Returns the same writer as `streamWriter`. */
  override writer(schema: Schema, overwrite: boolean): DataSourceStreamWriter<Sent> {
    return this.streamWriter(schema, overwrite);
  }

  /**
   * Returns a writer that sends rows. Error: `NOT_SUPPORTED` with `overwrite`, because an API
   * cannot replace all rows.
   */
  override streamWriter(_schema: Schema, overwrite: boolean): DataSourceStreamWriter<Sent> {
    if (overwrite) {
      throw new MillraceError("NOT_SUPPORTED", 'RestApi cannot be written in the mode "overwrite"', {
        hint: 'An API is sent rows; what it has stays. Choose .mode("append"), or .outputMode("append") in a stream.',
      });
    }
    const options = sinkOptions(this.options);
    if (options.changes !== undefined) {
      throw new MillraceError(
        "OPTIONS_INVALID",
        "RestApi: changes is set, but the pipeline has no .merge()",
        {
          hint: "Add .merge({ keys, sequenceBy }), or remove changes, which says how a merge is sent.",
        },
      );
    }
    return new RestWriter(options, new RestClient(options, this.runtime));
  }
}
