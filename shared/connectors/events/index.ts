import type { Schema } from "apache-arrow";
import type { DataSourceReader } from "../../contract/batch-reader.ts";
import { DataSource } from "../../contract/data-source.ts";
import type { OptionsSchema } from "../../contract/options/parse.ts";
import type { DataSourceStreamReader } from "../../contract/stream-reader.ts";
import { type EventsOptions, OPTIONS, type ParsedOptions } from "./options.ts";
import { EventsReader } from "./reader.ts";
import { SCHEMA } from "./series.ts";
import { EventsStreamReader } from "./stream-reader.ts";

export type { EventsOptions } from "./options.ts";

/**
 * Generated events of a shop with timestamps, as a stream and batch source that needs no external
 * service. The same time range and seed always produce the same events. Guide: docs/events.md.
 * Error: `OPTIONS_INVALID`.
 */
export class Events extends DataSource<ParsedOptions> {
  /** The name for `.format("events")` once the class is registered. */
  static override readonly name: string = "events";
  /** The schema that validates `EventsOptions`. */
  static readonly optionsSchema = OPTIONS as OptionsSchema<EventsOptions, ParsedOptions>;

  /** Returns the schema: `id`, `time`, `kind`, `user_id`, and `amount` (of purchases only). */
  override schema(): string {
    return SCHEMA;
  }

  /**
   * Returns a batch reader of the events from `start` to `until` or, without `until`, to the
   * current time.
   */
  override reader(_schema: Schema): DataSourceReader<unknown> {
    return new EventsReader(this.options, this.runtime);
  }

  /** Returns a stream reader of the events up to the current time. */
  override streamReader(_schema: Schema): DataSourceStreamReader<object, unknown> {
    return new EventsStreamReader(this.options, this.runtime);
  }
}
