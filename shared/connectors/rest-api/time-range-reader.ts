import type { RecordBatch, Schema } from "apache-arrow";
import { CompositeOffset, type OffsetOf } from "../../contract/composite-offset.ts";
import type { Runtime, TaskContext } from "../../contract/context.ts";
import {
  DataSourceStreamReader,
  type Row,
  type SupportsTriggerAvailableNow,
} from "../../contract/stream-reader.ts";
import { floorTo, settledNow, toIso } from "../../contract/time.ts";
import { TimeRange, type TimeRangeJson } from "../../contract/time-range.ts";
import type { RestClient } from "./client.ts";
import type { ParsedTimeRange, SourceOptions } from "./options.ts";
import { Pages } from "./pages.ts";
import { recordBatches } from "./records.ts";
import { timeColumn } from "./time-column.ts";

/** The offset: the stream was read up to `time` (exclusive), ISO 8601 in UTC. */
const ORDER = new CompositeOffset({ time: "timestamp" });
type TimeOffset = OffsetOf<typeof ORDER>;

/** Reads a list by time ranges. Planning sends no requests to the API. */
export class TimeRangeReader
  extends DataSourceStreamReader<TimeOffset, TimeRangeJson>
  implements SupportsTriggerAvailableNow
{
  readonly #schema: Schema;
  readonly #options: SourceOptions;
  readonly #range: ParsedTimeRange;
  readonly #client: RestClient;
  readonly #runtime: Runtime;
  #availableNow: string | undefined;

  constructor(
    schema: Schema,
    options: SourceOptions,
    range: ParsedTimeRange,
    client: RestClient,
    runtime: Runtime,
  ) {
    super();
    this.#schema = schema;
    this.#options = options;
    this.#range = range;
    this.#client = client;
    this.#runtime = runtime;
  }

  prepareForTriggerAvailableNow(): void {
    this.#availableNow = this.#readableUpTo();
  }

  availableNowTarget(): string | undefined {
    return this.#availableNow;
  }

  restoreAvailableNow(target: string): void {
    this.#availableNow = target;
  }

  override initialOffset(): TimeOffset {
    return ORDER.of({ time: this.#range.start });
  }

  override latestOffset(start: TimeOffset): TimeOffset {
    // The offset must not go back, even if the clock was set back or `until` was changed to an
    // earlier time.
    const ahead = TimeRange.upTo(start.time, this.#availableNow ?? this.#readableUpTo());
    const last = ahead.split(this.#partitionLength, { limit: this.#range.maxPartitionsPerBatch }).at(-1);
    return last === undefined ? start : { time: toIso(last.to) };
  }

  /**
   * Returns the time before which all rows should have arrived, according to `lagSeconds`. It is
   * rounded to whole seconds, which every parameter format can express.
   */
  #readableUpTo(): string {
    const { until, lagSeconds } = this.#range;
    return settledNow(this.#runtime.now(), { lag: `${lagSeconds}s`, step: "1s", until });
  }

  override partitions(start: TimeOffset, end: TimeOffset): TimeRangeJson[] {
    return new TimeRange(start.time, end.time).split(this.#partitionLength).map((range) => range.toJSON());
  }

  get #partitionLength(): string {
    return `${this.#range.partitionSeconds}s`;
  }

  override read(partition: TimeRangeJson, task: TaskContext): AsyncGenerator<RecordBatch> {
    const range = TimeRange.fromJSON(partition);
    const params = {
      [this.#range.startParam]: this.#startParam(range.from),
      [this.#range.endParam]: this.#endParam(range.to),
    };
    const pages = new Pages(this.#options, this.#client, params).from(null, task.signal);
    return recordBatches(this.#schema, this.#options.columns, pages, this.#rangeFilter(range));
  }

  override compareOffsets: (a: TimeOffset, b: TimeOffset) => number = ORDER.compare;

  #startParam(from: bigint): string {
    return this.#format(floorTo(from, this.#unit));
  }

  /**
   * Formats the end of a range. With `column`, it is rounded up, because rows outside the range are
   * dropped later. Without it, the end is exactly the start of the next range, or one unit earlier
   * if `endInclusive` is set.
   */
  #endParam(to: bigint): string {
    const { column, endInclusive } = this.#range;
    const unit = this.#unit;
    if (column !== undefined) return this.#format(floorTo(to + unit - 1n, unit));
    return this.#format(floorTo(to, unit) - (endInclusive ? unit : 0n));
  }

  /** The smallest step that the parameter format can express, in microseconds. */
  get #unit(): bigint {
    return this.#range.format === "epochSeconds" ? 1_000_000n : 1000n;
  }

  #format(micros: bigint): string {
    return this.#range.format === "iso" ? toIso(micros) : String(micros / this.#unit);
  }

  /**
   * Returns a test whether a row's time is in the range. Without `column` every row passes. Error:
   * `OPTIONS_INVALID`.
   */
  #rangeFilter(range: TimeRange): (row: Row) => boolean {
    const { column } = this.#range;
    if (column === undefined) return () => true;
    const { index, timeOf } = timeColumn(this.#schema, column);
    return (row) => {
      const time = timeOf((row as readonly unknown[])[index]);
      // A value that is not a time is kept; the conversion to Arrow then reports its row and field.
      return time === undefined || range.contains(time);
    };
  }
}
