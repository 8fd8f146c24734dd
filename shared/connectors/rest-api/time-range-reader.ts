import { DataType, type Schema } from "apache-arrow";
import { toMicrosLocal, toMicrosUtc } from "../../arrow/builders/values.ts";
import type { Runtime, TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { JsonValue } from "../../contract/json.ts";
import {
  DataSourceStreamReader,
  type Row,
  type SupportsTriggerAvailableNow,
} from "../../contract/stream-reader.ts";
import type { RestClient } from "./client.ts";
import type { ParsedOptions } from "./options.ts";
import { Pages } from "./pages.ts";
import { rowReader } from "./records.ts";

/** The stream was read up to here (exclusive), ISO 8601 in UTC. */
type TimeOffset = { readonly time: string };
/** A half-open range, ISO 8601 in UTC: `from` is in it, `to` is not. */
type TimePartition = { readonly from: string; readonly to: string };

/** Reads a list by ranges of time. Planning asks nothing of the API. */
export class TimeRangeReader
  extends DataSourceStreamReader<TimeOffset, TimePartition>
  implements SupportsTriggerAvailableNow
{
  readonly #schema: Schema;
  readonly #options: ParsedOptions;
  readonly #range: NonNullable<ParsedOptions["timeRange"]>;
  readonly #client: RestClient;
  readonly #runtime: Runtime;
  #availableNow: number | undefined;

  constructor(
    schema: Schema,
    options: ParsedOptions,
    range: NonNullable<ParsedOptions["timeRange"]>,
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

  availableNowTarget(): number | undefined {
    return this.#availableNow;
  }

  restoreAvailableNow(target: JsonValue): void {
    this.#availableNow = Number(target);
  }

  override initialOffset(): TimeOffset {
    return { time: iso(Date.parse(this.#range.start)) };
  }

  override latestOffset(start: TimeOffset): TimeOffset {
    const { partitionSeconds, maxPartitionsPerBatch } = this.#range;
    const from = Date.parse(start.time);
    const longest = from + partitionSeconds * 1000 * maxPartitionsPerBatch;
    const end = Math.min(longest, this.#availableNow ?? this.#readable());
    // A clock that was set back, or an `until` that was moved, is no reason to go back.
    return end > from ? { time: iso(end) } : start;
  }

  /** Rows before this are all there, as far as `lagSeconds` goes. Whole seconds: what any API's parameters can say. */
  #readable(): number {
    const { until, lagSeconds } = this.#range;
    const settled = Math.floor((this.#runtime.now() - lagSeconds * 1000) / 1000) * 1000;
    return until === undefined ? settled : Math.min(settled, Date.parse(until));
  }

  override partitions(start: TimeOffset, end: TimeOffset): TimePartition[] {
    const length = this.#range.partitionSeconds * 1000;
    const to = Date.parse(end.time);
    const partitions: TimePartition[] = [];
    for (let from = Date.parse(start.time); from < to; from += length) {
      partitions.push({ from: iso(from), to: iso(Math.min(from + length, to)) });
    }
    return partitions;
  }

  override async *read(partition: TimePartition, task: TaskContext): AsyncGenerator<Row> {
    const from = Date.parse(partition.from);
    const to = Date.parse(partition.to);
    const params = {
      [this.#range.startParam]: this.#startParam(from),
      [this.#range.endParam]: this.#endParam(to),
    };
    const toRow = rowReader(this.#schema, this.#options.columns);
    const isInside = this.#insideTest(from, to);
    for await (const page of new Pages(this.#options, this.#client, params).from(null, task.signal)) {
      for (const record of page.records) {
        const row = toRow(record);
        if (isInside(row)) yield row;
      }
    }
  }

  override compareOffsets(a: TimeOffset, b: TimeOffset): number {
    return Date.parse(a.time) - Date.parse(b.time);
  }

  #startParam(from: number): string {
    return this.#format(Math.floor(from / this.#unit));
  }

  /**
   * With `column`, a range that is surely wide enough: what is too much is dropped. Without, the end of a range is asked for exactly as the
   * next one's start, or one unit less.
   */
  #endParam(to: number): string {
    const { column, endInclusive } = this.#range;
    if (column !== undefined) return this.#format(Math.ceil(to / this.#unit));
    return this.#format(Math.floor(to / this.#unit) - (endInclusive ? 1 : 0));
  }

  /** Milliseconds of the smallest step that the parameters can say. */
  get #unit(): number {
    return this.#range.format === "epochSeconds" ? 1000 : 1;
  }

  #format(units: number): string {
    return this.#range.format === "iso" ? iso(units) : String(units);
  }

  /** Whether a row's time lies in the range; without `column` the API is believed. Error: `OPTIONS_INVALID`. */
  #insideTest(from: number, to: number): (row: Row) => boolean {
    const { column } = this.#range;
    if (column === undefined) return () => true;
    const index = this.#schema.fields.findIndex((field) => field.name === column);
    const type = this.#schema.fields[index]?.type;
    if (!DataType.isTimestamp(type)) {
      const problem = type === undefined ? "the schema does not have" : "is no timestamp";
      throw new MillraceError(
        "OPTIONS_INVALID",
        `RestApi: timeRange.column is "${column}", which ${problem}`,
        {
          hint: "Name the timestamp column of the schema that holds each row's time.",
        },
      );
    }
    const toMicros = type.timezone ? toMicrosUtc : toMicrosLocal;
    const first = BigInt(from) * 1000n;
    const last = BigInt(to) * 1000n;
    return (row) => {
      const value = (row as readonly unknown[])[index];
      let time: bigint;
      try {
        time = toMicros(value);
      } catch {
        return true; // Not a time: the conversion to Arrow names row and field.
      }
      return time >= first && time < last;
    };
  }
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
