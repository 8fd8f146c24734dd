import type { Schema } from "apache-arrow";
import { DataSource } from "../../contract/data-source.ts";
import type { OptionsSchema } from "../../contract/options.ts";
import type { DataSourceStreamReader } from "../../contract/stream-reader.ts";
import { RestClient } from "./client.ts";
import { OPTIONS, type ParsedOptions, type RestApiOptions } from "./options.ts";
import { PositionReader } from "./position-reader.ts";
import { TimeRangeReader } from "./time-range-reader.ts";

export type { ColumnPath, FromEnvironment, Pagination, RestApiOptions, TimeRange } from "./options.ts";

/**
 * A paginated JSON API over HTTP as a streaming source: by ranges of time (`timeRange`), or by position in a list that only grows.
 * Guide: docs/rest-api.md. Error: `OPTIONS_INVALID`.
 */
export class RestApi extends DataSource<ParsedOptions> {
  /** For `.format("rest-api")`, once it is registered. */
  static override readonly name: string = "rest-api";
  /** See `RestApiOptions`. */
  static readonly optionsSchema = OPTIONS as OptionsSchema<RestApiOptions, ParsedOptions>;

  /** The option `schema`. */
  override schema(): string {
    return this.options.schema;
  }

  /** A reader by ranges of time, or by position. */
  override streamReader(schema: Schema): DataSourceStreamReader<object, unknown> {
    const { options } = this;
    const client = new RestClient(options, this.runtime);
    return options.timeRange === undefined
      ? new PositionReader(schema, options, client)
      : new TimeRangeReader(schema, options, options.timeRange, client, this.runtime);
  }
}
