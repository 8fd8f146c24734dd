import { DataSourceReader } from "../../contract/batch-reader.ts";
import type { Runtime } from "../../contract/context.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { TimeRange, type TimeRangeJson } from "../../contract/time-range.ts";
import type { ParsedOptions } from "./options.ts";
import { eventsIn, partitionsOf, settledTime } from "./stream-reader.ts";

/** Reads the events from `start` to `until` or, without `until`, to the current time. */
export class EventsReader extends DataSourceReader<TimeRangeJson> {
  readonly #options: ParsedOptions;
  readonly #runtime: Runtime;

  constructor(options: ParsedOptions, runtime: Runtime) {
    super();
    this.#options = options;
    this.#runtime = runtime;
  }

  override partitions(): TimeRangeJson[] {
    const { start } = this.#options;
    return partitionsOf(TimeRange.upTo(start, settledTime(this.#options, this.#runtime)), this.#options);
  }

  override read(partition: TimeRangeJson): Iterable<Row> {
    return eventsIn(partition, this.#options);
  }
}
