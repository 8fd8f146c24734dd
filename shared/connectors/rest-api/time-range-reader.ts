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

/** The stream was read up to `time` (exclusive), ISO 8601 in UTC. */
const ORDER = new CompositeOffset({ time: "timestamp" });
type TimeOffset = OffsetOf<typeof ORDER>;

/** Reads a list by ranges of time. Planning asks nothing of the API. */
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
    this.#availableNow = this.#readable();
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
    // A clock that was set back, or an `until` that was moved, is no reason to go back.
    const ahead = TimeRange.upTo(start.time, this.#availableNow ?? this.#readable());
    const last = ahead.split(this.#partitionLength, { limit: this.#range.maxPartitionsPerBatch }).at(-1);
    return last === undefined ? start : { time: toIso(last.to) };
  }

  /**
   * Rows before this are all there, as far as `lagSeconds` goes. Whole seconds: what any API's
   * parameters can say.
   */
  #readable(): string {
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
    return recordBatches(this.#schema, this.#options.columns, pages, this.#insideTest(range));
  }

  override compareOffsets: (a: TimeOffset, b: TimeOffset) => number = ORDER.compare;

  #startParam(from: bigint): string {
    return this.#format(floorTo(from, this.#unit));
  }

  /**
   * With `column`, a range that is surely wide enough: what is too much is dropped. Without, the
   * end of a range is asked for exactly as the next one's start, or one unit less.
   */
  #endParam(to: bigint): string {
    const { column, endInclusive } = this.#range;
    const unit = this.#unit;
    if (column !== undefined) return this.#format(floorTo(to + unit - 1n, unit));
    return this.#format(floorTo(to, unit) - (endInclusive ? unit : 0n));
  }

  /** Microseconds of the smallest step that the parameters can say. */
  get #unit(): bigint {
    return this.#range.format === "epochSeconds" ? 1_000_000n : 1000n;
  }

  #format(micros: bigint): string {
    return this.#range.format === "iso" ? toIso(micros) : String(micros / this.#unit);
  }

  /**
   * Whether a row's time lies in the range; without `column` the API is believed. Error:
   * `OPTIONS_INVALID`.
   */
  #insideTest(range: TimeRange): (row: Row) => boolean {
    const { column } = this.#range;
    if (column === undefined) return () => true;
    const { index, timeOf } = timeColumn(this.#schema, column);
    return (row) => {
      const time = timeOf((row as readonly unknown[])[index]);
      // Not a time: the conversion to Arrow names row and field.
      return time === undefined || range.contains(time);
    };
  }
}
