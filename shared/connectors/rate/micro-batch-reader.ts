import { CompositeOffset, type OffsetOf } from "../../contract/composite-offset.ts";
import type { Offset } from "../../contract/offset.ts";
import {
  DataSourceStreamReader,
  type Row,
  type SupportsTriggerAvailableNow,
} from "../../contract/stream-reader.ts";
import { toIso, toMicros } from "../../contract/time.ts";
import { type Numbers, slicesOf } from "../kit/slices.ts";
import type { ParsedMicroBatchOptions } from "./options.ts";

/** The offset: the first value of the next batch and the timestamp of its rows. */
const ORDER = new CompositeOffset({ value: "number", timestamp: "timestamp" });
type Position = OffsetOf<typeof ORDER>;
/**
 * The values of one partition. `first` is the first value of its batch, whose rows have this
 * timestamp.
 */
type Slice = Numbers & { readonly first: number; readonly timestamp: string };

/** Reads a fixed number of rows per batch, independent of the current time. */
export class RateMicroBatchReader
  extends DataSourceStreamReader<Position, Slice>
  implements SupportsTriggerAvailableNow
{
  readonly #options: ParsedMicroBatchOptions;
  #isBounded = false;
  #availableNow: Position | undefined;

  constructor(options: ParsedMicroBatchOptions) {
    super();
    this.#options = options;
  }

  override initialOffset(): Position {
    return { value: 0, timestamp: toIso(BigInt(this.#options.startTimestamp) * 1000n) };
  }

  override latestOffset(start: Position): Position {
    if (this.#availableNow !== undefined) return ORDER.max(start, this.#availableNow);
    const { rowsPerBatch, advanceMillisPerBatch } = this.#options;
    const timestamp = toMicros(start.timestamp) + BigInt(advanceMillisPerBatch) * 1000n;
    const end = { value: start.value + rowsPerBatch, timestamp: toIso(timestamp) };
    if (this.#isBounded) this.#availableNow = end;
    return end;
  }

  override partitions({ value: first, timestamp }: Position, { value: to }: Position): Slice[] {
    const slices = slicesOf({ from: first, to }, this.#options.numPartitions);
    return slices.map((slice) => ({ ...slice, first, timestamp }));
  }

  override *read({ first, timestamp, from, to }: Slice): Generator<Row> {
    const { rowsPerBatch, advanceMillisPerBatch } = this.#options;
    const start = toMicros(timestamp);
    for (let value = from; value < to; value++) {
      const steps = Math.floor((value - first) / rowsPerBatch);
      yield { timestamp: start + BigInt(steps * advanceMillisPerBatch) * 1000n, value };
    }
  }

  override compareOffsets: (a: Position, b: Position) => number = ORDER.compare;

  override deserializeOffset: (json: Offset) => Position = ORDER.deserialize;

  /** Makes exactly one batch available, as in Spark. */
  prepareForTriggerAvailableNow(): void {
    this.#isBounded = true;
    this.#availableNow = undefined;
  }

  availableNowTarget(): Position | undefined {
    return this.#availableNow;
  }

  restoreAvailableNow(target: Position): void {
    this.#availableNow = target;
  }
}
