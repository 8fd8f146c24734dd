import type { RecordBatch, Schema } from "apache-arrow";
import { CompositeOffset, type OffsetOf } from "../../contract/composite-offset.ts";
import type { Runtime, TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { Offset } from "../../contract/offset.ts";
import { optional } from "../../contract/optional.ts";
import {
  DataSourceStreamReader,
  type Row,
  type SupportsBackfill,
  type SupportsTriggerAvailableNow,
} from "../../contract/stream-reader.ts";
import { settledNow, toIso, toMicros } from "../../contract/time.ts";
import { TimeRange, type TimeRangeJson } from "../../contract/time-range.ts";
import type { RestClient } from "./client.ts";
import type { SourceOptions } from "./options.ts";
import { FIRST_PLACE, type Page, Pages } from "./pages.ts";
import { readRecordsAgain, recordBatches } from "./records.ts";
import { timeColumn } from "./time-column.ts";
import { type AskedRange, askedRange, exactRange, formatTime } from "./time-params.ts";
import { type ParsedTimeRange, settledStep, UNITS } from "./time-range-options.ts";
import { walk } from "./walk.ts";

/** The offset: the stream was read up to `time` (exclusive), ISO 8601 in UTC. */
const ORDER = new CompositeOffset({ time: "timestamp" });
type TimeOffset = OffsetOf<typeof ORDER>;

/** Reads a list by time ranges. Planning sends no requests to the API. */
export class TimeRangeReader
  extends DataSourceStreamReader<TimeOffset, TimeRangeJson>
  implements SupportsTriggerAvailableNow, SupportsBackfill<TimeOffset>
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

  offsetAt(bound: string): TimeOffset {
    const { format, startExclusive, endInclusive, column } = this.#range;
    const isShifted = startExclusive && endInclusive && column === undefined;
    // The ranges of such an API contain their end, and not their start.
    return ORDER.of({ time: isShifted ? toIso(toMicros(bound) - UNITS[format]) : bound });
  }

  completeUpTo(): string {
    const { lagSeconds } = this.#range;
    return settledNow(this.#runtime.now(), { lag: `${lagSeconds}s`, step: settledStep(this.#range) });
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
   * rounded to whole seconds, or to what the parameter format can express.
   */
  #readableUpTo(): string {
    const { until, lagSeconds } = this.#range;
    return settledNow(this.#runtime.now(), { lag: `${lagSeconds}s`, step: settledStep(this.#range), until });
  }

  override partitions(start: TimeOffset, end: TimeOffset): TimeRangeJson[] {
    return new TimeRange(start.time, end.time).split(this.#partitionLength).map((range) => range.toJSON());
  }

  get #partitionLength(): string {
    return `${this.#range.partitionSeconds}s`;
  }

  override async *read(partition: TimeRangeJson, task: TaskContext): AsyncGenerator<RecordBatch> {
    const { column, rowsOutside } = this.#range;
    const range = TimeRange.fromJSON(partition);
    const outside = new OutsideRows(this.#range, range, this.#runtime.now());
    const keep = this.#rangeFilter(range, outside);
    const { badRows, leftOut, signal } = task;
    const rowsOf = (asked: AskedRange) =>
      recordBatches(this.#schema, this.#options.columns, this.#pagesOf(asked, signal), {
        keep,
        badRows,
        leftOut,
      });
    yield* rowsOf(askedRange(range, this.#range));
    // An API that gives the start it was asked for as the time of its rows has none in the range.
    const exact = outside.isMiss ? exactRange(range, this.#range) : undefined;
    if (exact !== undefined) yield* rowsOf(exact);
    if (column !== undefined && rowsOutside === "error" && outside.isAll) throw allOutside(column, outside);
  }

  /** Yields the pages of a partition, for a sample. */
  pagesOf(partition: TimeRangeJson): AsyncIterable<Page> {
    return this.#pagesOf(askedRange(TimeRange.fromJSON(partition), this.#range));
  }

  #pagesOf({ from, to }: AskedRange, signal?: AbortSignal): AsyncIterable<Page> {
    const { startParam, endParam } = this.#range;
    const params = { [startParam]: formatTime(from, this.#range), [endParam]: formatTime(to, this.#range) };
    return walk(new Pages(this.#options, this.#client, params), FIRST_PLACE, optional("signal", signal));
  }

  readBadRows(contents: readonly unknown[], task: TaskContext): AsyncGenerator<RecordBatch> {
    return readRecordsAgain(this.#schema, this.#options, contents, task);
  }

  override compareOffsets: (a: TimeOffset, b: TimeOffset) => number = ORDER.compare;

  override deserializeOffset: (json: Offset) => TimeOffset = ORDER.deserialize;

  /**
   * Returns a test whether a row's time is in the range. Without `column` every row passes. Error:
   * `OPTIONS_INVALID`. Error of the test: `ROW_MISMATCH` for a row without a time.
   */
  #rangeFilter(range: TimeRange, outside: OutsideRows): (row: Row) => boolean {
    const { column, rowsWithoutTime, start } = this.#range;
    if (column === undefined) return () => true;
    const { index, timeOf } = timeColumn(this.#schema, column);
    const keepsNull = rowsWithoutTime === "first" && range.from === toMicros(start);
    return (row) => {
      const value = (row as readonly unknown[])[index];
      if (value !== null && value !== undefined) {
        const time = timeOf(value);
        // A value that is not a time is kept; the conversion to Arrow then reports its row and
        // field.
        if (time === undefined) return true;
        return outside.add(time, range.contains(time));
      }
      if (rowsWithoutTime === "error") throw noTime(column);
      return keepsNull;
    };
  }
}

const DAY = 86_400_000_000n;

/** Counts rows whose time no partition of the list can have. */
class OutsideRows {
  readonly #from: bigint;
  readonly #to: bigint;
  #inside = 0;
  #kept = 0;
  count = 0;

  /** A backfill asks for ranges before the start of the list. `now` is in milliseconds. */
  constructor({ start, until }: ParsedTimeRange, asked: TimeRange, now: number) {
    const [current, end] = [BigInt(now) * 1000n, until === undefined ? 0n : toMicros(until)];
    this.#from = least(toMicros(start), asked.from) - DAY;
    this.#to = -least(-end, -current, -asked.to) + DAY;
  }

  /** Counts a row, and returns whether it is kept. */
  add(time: bigint, isKept: boolean): boolean {
    if (isKept) this.#kept++;
    if (time < this.#from || time > this.#to) this.count++;
    else this.#inside++;
    return isKept;
  }

  /** True if there were rows of other partitions, and none of this one. */
  get isMiss(): boolean {
    return this.#kept === 0 && this.#inside > 0;
  }

  get isAll(): boolean {
    return this.count > 0 && this.#inside === 0;
  }
}

function least(...values: readonly bigint[]): bigint {
  return values.reduce((a, b) => (a < b ? a : b));
}

function allOutside(column: string, { count }: OutsideRows): MillraceError {
  return new MillraceError(
    "ROW_MISMATCH",
    `the answer has ${count} ${count === 1 ? "row" : "rows"}, all with a "${column}" before the start of the list or in the future`,
    {
      where: { field: column },
      hint: "Check the unit of the column's epoch in columns, and timeRange.column. If the API answers such rows whatever it is asked for, set rowsOutside in timeRange.",
    },
  );
}

function noTime(column: string): MillraceError {
  return new MillraceError("ROW_MISMATCH", `a row has null in "${column}", so it is in no range of time`, {
    where: { field: column },
    hint: 'Correct timeRange.column. To leave such rows out, set `rowsWithoutTime: "drop"` in timeRange; to read those that the API answers for the first range, set it to "first".',
  });
}
