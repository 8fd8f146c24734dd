import { CompositeOffset, type OffsetOf } from "../../contract/composite-offset.ts";
import type { Runtime } from "../../contract/context.ts";
import type { Offset } from "../../contract/offset.ts";
import { ReadAllAvailable, type ReadLimit, ReadMaxRows } from "../../contract/read-limit.ts";
import {
  DataSourceStreamReader,
  type Row,
  type SupportsTriggerAvailableNow,
} from "../../contract/stream-reader.ts";
import { toIso, toMicros } from "../../contract/time.ts";
import { type Numbers, slicesOf } from "../kit/slices.ts";
import type { ParsedRateOptions } from "./options.ts";

/**
 * The offset: the number of seconds since the pipeline's first start. The start time is part of the
 * offset, so later processes know it.
 */
const ORDER = new CompositeOffset({ startTime: "timestamp", seconds: "number" });
type Position = OffsetOf<typeof ORDER>;
/** The values of one partition in a batch that starts at `second`. */
type Slice = Numbers & { readonly startTime: string; readonly second: number };

/** Generates a fixed number of rows per second. Batches consist of whole seconds. */
export class RateReader
  extends DataSourceStreamReader<Position, Slice>
  implements SupportsTriggerAvailableNow
{
  readonly #options: ParsedRateOptions;
  readonly #runtime: Runtime;
  #availableNow: string | undefined;

  constructor(options: ParsedRateOptions, runtime: Runtime) {
    super();
    this.#options = options;
    this.#runtime = runtime;
  }

  override initialOffset(): Position {
    return { startTime: this.#now(), seconds: 0 };
  }

  override getDefaultReadLimit(): ReadLimit {
    const { maxRowsPerBatch } = this.#options;
    return maxRowsPerBatch === undefined ? new ReadAllAvailable() : new ReadMaxRows(maxRowsPerBatch);
  }

  override latestOffset(start: Position, limit: ReadLimit): Position {
    const elapsed = toMicros(this.#availableNow ?? this.#now()) - toMicros(start.startTime);
    const last = Number(elapsed / 1_000_000n);
    if (last <= start.seconds) return start;
    if (limit.kind !== "ReadMaxRows") return { ...start, seconds: last };
    const maxValue = this.#valuesBefore(start.seconds) + limit.maxRows;
    let seconds = start.seconds + 1;
    while (seconds < last && this.#valuesBefore(seconds + 1) <= maxValue) seconds++;
    return { ...start, seconds };
  }

  override partitions({ startTime, seconds: second }: Position, end: Position): Slice[] {
    const values = { from: this.#valuesBefore(second), to: this.#valuesBefore(end.seconds) };
    const slices = slicesOf(values, this.#options.numPartitions);
    return slices.map((slice) => ({ ...slice, startTime, second }));
  }

  override *read({ startTime, second: firstSecond, from, to }: Slice): Generator<Row> {
    const start = toMicros(startTime);
    let value = from;
    for (let second = firstSecond; value < to; second++) {
      const [first, next] = [this.#valuesBefore(second), this.#valuesBefore(second + 1)];
      for (; value < Math.min(next, to); value++) {
        const micros = second * 1_000_000 + Math.floor(((value - first) * 1_000_000) / (next - first));
        yield { timestamp: start + BigInt(micros), value };
      }
    }
  }

  override compareOffsets: (a: Position, b: Position) => number = ORDER.compare;

  override deserializeOffset: (json: Offset) => Position = ORDER.deserialize;

  prepareForTriggerAvailableNow(): void {
    this.#availableNow = this.#now();
  }

  availableNowTarget(): string | undefined {
    return this.#availableNow;
  }

  restoreAvailableNow(target: string): void {
    this.#availableNow = target;
  }

  #now(): string {
    return toIso(BigInt(Math.floor(this.#runtime.now())) * 1000n);
  }

  /**
   * Returns the number of rows before a second, as Spark's `RateStreamProvider.valueAtSecond` does:
   * during the ramp-up, the rate increases by a whole number of rows each second.
   */
  #valuesBefore(second: number): number {
    const { rowsPerSecond, rampUpTime } = this.#options;
    const gain = Math.floor(rowsPerSecond / (rampUpTime + 1));
    const ramp = Math.min(second, rampUpTime);
    return (gain * ramp * (ramp + 1)) / 2 + (second - ramp) * rowsPerSecond;
  }
}
