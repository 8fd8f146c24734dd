import { CompositeOffset, type OffsetOf } from "../../contract/composite-offset.ts";
import type { Runtime } from "../../contract/context.ts";
import type { Offset } from "../../contract/offset.ts";
import {
  DataSourceStreamReader,
  type Row,
  type SupportsBackfill,
  type SupportsTriggerAvailableNow,
} from "../../contract/stream-reader.ts";
import { settledNow } from "../../contract/time.ts";
import { TimeRange, type TimeRangeJson } from "../../contract/time-range.ts";
import type { ParsedOptions } from "./options.ts";
import { EventSeries } from "./series.ts";

/** The offset of a stream: all events before `time` have been read. */
const ORDER = new CompositeOffset({ time: "timestamp" });
type Position = OffsetOf<typeof ORDER>;

/** Reads events by time ranges. Any source whose rows have a timestamp can work in this way. */
export class EventsStreamReader
  extends DataSourceStreamReader<Position, TimeRangeJson>
  implements SupportsTriggerAvailableNow, SupportsBackfill<Position>
{
  readonly #options: ParsedOptions;
  readonly #runtime: Runtime;
  #availableNow: string | undefined;

  constructor(options: ParsedOptions, runtime: Runtime) {
    super();
    this.#options = options;
    this.#runtime = runtime;
  }

  override initialOffset(): Position {
    return ORDER.of({ time: this.#options.start });
  }

  override latestOffset(start: Position): Position {
    const { partitionSeconds, maxPartitionsPerBatch } = this.#options;
    const ahead = TimeRange.upTo(start.time, this.#availableNow ?? settledTime(this.#options, this.#runtime));
    const last = ahead.split(`${partitionSeconds}s`, { limit: maxPartitionsPerBatch }).at(-1);
    return last === undefined ? start : { time: last.toJSON().to };
  }

  override reportLatestOffset(): Position {
    return { time: settledTime(this.#options, this.#runtime) };
  }

  override partitions(start: Position, end: Position): TimeRangeJson[] {
    return partitionsOf(new TimeRange(start.time, end.time), this.#options);
  }

  override read(partition: TimeRangeJson): Iterable<Row> {
    return eventsIn(partition, this.#options);
  }

  override compareOffsets: (a: Position, b: Position) => number = ORDER.compare;

  override deserializeOffset: (json: Offset) => Position = ORDER.deserialize;

  offsetAt(bound: string): Position {
    return ORDER.of({ time: bound });
  }

  completeUpTo(): string {
    return settledTime({ ...this.#options, until: undefined }, this.#runtime);
  }

  prepareForTriggerAvailableNow(): void {
    this.#availableNow = settledTime(this.#options, this.#runtime);
  }

  availableNowTarget(): string | undefined {
    return this.#availableNow;
  }

  restoreAvailableNow(target: string): void {
    this.#availableNow = target;
  }
}

/** Returns the time up to which events may be read, ISO 8601. */
export function settledTime({ lagSeconds, stepSeconds, until }: ParsedOptions, runtime: Runtime): string {
  return settledNow(runtime.now(), { lag: `${lagSeconds}s`, step: `${stepSeconds}s`, until });
}

export function partitionsOf(range: TimeRange, { partitionSeconds }: ParsedOptions): TimeRangeJson[] {
  return range.split(`${partitionSeconds}s`).map((part) => part.toJSON());
}

export function eventsIn(partition: TimeRangeJson, { eventsPerSecond, seed }: ParsedOptions): Iterable<Row> {
  return new EventSeries(eventsPerSecond, seed).within(TimeRange.fromJSON(partition));
}
