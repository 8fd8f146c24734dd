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
 * Made-up events of a shop with their times, as a source of streams and batches that needs nothing:
 * the same events for the same time and seed, always and everywhere. Guide: docs/events.md. Error:
 * `OPTIONS_INVALID`.
 */
export class Events extends DataSource<ParsedOptions> {
  /** For `.format("events")`, once it is registered. */
  static override readonly name: string = "events";
  /** See `EventsOptions`. */
  static readonly optionsSchema = OPTIONS as OptionsSchema<EventsOptions, ParsedOptions>;

  /** `id`, `time`, `kind`, `user_id`, and the `amount` of a purchase. */
  override schema(): string {
    return SCHEMA;
  }

  /** A reader of the events from `start` up to `until`, or the clock. */
  override reader(_schema: Schema): DataSourceReader<unknown> {
    return new EventsReader(this.options, this.runtime);
  }

  /** A reader that follows the clock. */
  override streamReader(_schema: Schema): DataSourceStreamReader<object, unknown> {
    return new EventsStreamReader(this.options, this.runtime);
  }
}
