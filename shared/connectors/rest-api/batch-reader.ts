import type { RecordBatch, Schema } from "apache-arrow";
import { DataSourceReader } from "../../contract/batch-reader.ts";
import type { Runtime, TaskContext } from "../../contract/context.ts";
import type { Filter } from "../../contract/filters.ts";
import { settledNow, toIso } from "../../contract/time.ts";
import { TimeRange, type TimeRangeJson } from "../../contract/time-range.ts";
import type { RestClient } from "./client.ts";
import type { SourceOptions } from "./options.ts";
import { FIRST_PLACE, Pages } from "./pages.ts";
import { readRecordsAgain, recordBatches } from "./records.ts";
import { timeColumn } from "./time-column.ts";
import { type ParsedTimeRange, settledStep } from "./time-range-options.ts";
import type { TimeRangeReader } from "./time-range-reader.ts";
import { walk } from "./walk.ts";

/** Reads a list once, from the first page to the last, in one task. */
export class ListReader extends DataSourceReader<null> {
  readonly #schema: Schema;
  readonly #options: SourceOptions;
  readonly #client: RestClient;

  constructor(schema: Schema, options: SourceOptions, client: RestClient) {
    super();
    this.#schema = schema;
    this.#options = options;
    this.#client = client;
  }

  override read(_partition: null, { signal, badRows, leftOut }: TaskContext): AsyncGenerator<RecordBatch> {
    const pages = walk(new Pages(this.#options, this.#client), FIRST_PLACE, { signal });
    return recordBatches(this.#schema, this.#options.columns, pages, { badRows, leftOut });
  }

  readBadRows(contents: readonly unknown[], task: TaskContext): AsyncGenerator<RecordBatch> {
    return readRecordsAgain(this.#schema, this.#options, contents, task);
  }
}

/**
 * Reads a time range once, in the same partitions as a stream would. Planning sends no requests to
 * the API.
 */
export class TimeRangeBatchReader extends DataSourceReader<TimeRangeJson> {
  readonly #schema: Schema;
  readonly #range: ParsedTimeRange;
  readonly #stream: TimeRangeReader;
  readonly #runtime: Runtime;
  /** The bounds that the filters add to the range, in microseconds. */
  #from: bigint | undefined;
  #to: bigint | undefined;

  constructor(schema: Schema, range: ParsedTimeRange, stream: TimeRangeReader, runtime: Runtime) {
    super();
    this.#schema = schema;
    this.#range = range;
    this.#stream = stream;
    this.#runtime = runtime;
  }

  /**
   * Uses filters on the time column to skip parts of the range in which no row can match. All
   * filters are returned, so Millrace still applies them to each row, including to null values.
   */
  override pushFilters(filters: readonly Filter[]): readonly Filter[] {
    const { column } = this.#range;
    if (column === undefined) return filters;
    const { timeOf } = timeColumn(this.#schema, column);
    for (const filter of filters) {
      if (!("value" in filter) || filter.attribute.length !== 1 || filter.attribute[0] !== column) continue;
      const time = timeOf(filter.value);
      if (time === undefined) continue;
      if (LOWER.has(filter.kind)) this.#from = greatest(this.#from, time);
      if (UPPER.has(filter.kind)) this.#to = least(this.#to, filter.kind === "LessThan" ? time : time + 1n);
    }
    return filters;
  }

  override partitions(): TimeRangeJson[] {
    const { start, until, lagSeconds } = this.#range;
    const settled = { lag: `${lagSeconds}s`, step: settledStep(this.#range) };
    const whole =
      until === undefined
        ? TimeRange.upTo(start, settledNow(this.#runtime.now(), settled))
        : new TimeRange(start, until);
    const from = greatest(this.#from, whole.from);
    const to = least(this.#to, whole.to);
    return from < to ? this.#stream.partitions({ time: toIso(from) }, { time: toIso(to) }) : [];
  }

  override read(partition: TimeRangeJson, task: TaskContext): AsyncGenerator<RecordBatch> {
    return this.#stream.read(partition, task);
  }

  readBadRows(contents: readonly unknown[], task: TaskContext): AsyncGenerator<RecordBatch> {
    return this.#stream.readBadRows(contents, task);
  }
}

const LOWER: ReadonlySet<Filter["kind"]> = new Set(["EqualTo", "GreaterThan", "GreaterThanOrEqual"]);
const UPPER: ReadonlySet<Filter["kind"]> = new Set(["EqualTo", "LessThan", "LessThanOrEqual"]);

function greatest(a: bigint | undefined, b: bigint): bigint {
  return a !== undefined && a > b ? a : b;
}

function least(a: bigint | undefined, b: bigint): bigint {
  return a !== undefined && a < b ? a : b;
}
