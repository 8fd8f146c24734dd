import type { BackfillRange } from "../../contract/backfill.ts";
import { nextBound, parseBound, rangeInvalid, valueOfBound } from "../../contract/bounds.ts";
import type { TaskContext } from "../../contract/context.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { Offset } from "../../contract/offset.ts";
import {
  DataSourceStreamReader,
  type RowSource,
  type SupportsBackfill,
  type SupportsBadRows,
  type SupportsTriggerAvailableNow,
} from "../../contract/stream-reader.ts";

/** The offset of a backfill: records before the bound have been read. */
type Reached = { readonly bound: string };
export type StreamReader = DataSourceStreamReader<object, unknown>;
type BackfillableReader = StreamReader & SupportsBackfill<object>;

/** True if `millrace backfill` can use the reader. */
export function canBackfill(reader: object): reader is BackfillableReader {
  return "offsetAt" in reader && "completeUpTo" in reader;
}

/**
 * Reads one range of a stream in chunks, each of which is a batch. The source is never told that it
 * may forget rows: the stream itself does that.
 */
export class BackfillReader
  extends DataSourceStreamReader<Reached, unknown>
  implements SupportsTriggerAvailableNow
{
  readonly #reader: StreamReader;
  readonly #range: BackfillRange | undefined;
  readonly #where: ErrorLocation;

  constructor(reader: StreamReader, range: BackfillRange | undefined, where: ErrorLocation) {
    super();
    this.#reader = reader;
    this.#range = range;
    this.#where = where;
  }

  override initialOffset(): Reached {
    return { bound: this.#known.from };
  }

  override latestOffset({ bound }: Reached): Reached {
    const { to, chunk } = this.#known;
    return valueOfBound(bound) < valueOfBound(to) ? { bound: nextBound(bound, chunk, to) } : { bound };
  }

  override reportLatestOffset(): Reached {
    return { bound: this.#known.to };
  }

  override async partitions(start: Reached, end: Reached): Promise<readonly unknown[]> {
    const reader = this.#reader;
    if (!canBackfill(reader)) throw notSupported(this.#where);
    return await reader.partitions(await reader.offsetAt(start.bound), await reader.offsetAt(end.bound));
  }

  override read(partition: unknown, task: TaskContext): RowSource | PromiseLike<RowSource> {
    return this.#reader.read(partition, task);
  }

  override async stop(): Promise<void> {
    await this.#reader.stop();
  }

  override compareOffsets(a: Reached, b: Reached): number {
    const [left, right] = [valueOfBound(a.bound), valueOfBound(b.bound)];
    return left < right ? -1 : left > right ? 1 : 0;
  }

  override deserializeOffset(json: Offset): Reached {
    const { from, to } = this.#known;
    const bound = parseBound(String(json["bound"]), "bound");
    const value = valueOfBound(bound);
    if (value >= valueOfBound(from) && value <= valueOfBound(to)) return { bound };
    throw rangeInvalid(`${bound} is not in the range of the backfill`, `It is from ${from} to ${to}.`);
  }

  /** Nothing to fix: the range ends where it ends. */
  prepareForTriggerAvailableNow(): void {}

  /** Present if the reader can make rows of what was no row before. */
  get readBadRows(): SupportsBadRows["readBadRows"] | undefined {
    const reader = this.#reader as Partial<SupportsBadRows>;
    return reader.readBadRows?.bind(reader);
  }

  get #known(): BackfillRange {
    if (this.#range !== undefined) return this.#range;
    throw new MillraceError("BACKFILL_NOT_SUPPORTED", "the range of the backfill is not known", {
      where: this.#where,
      hint: "Begin it by `millrace backfill`, which records its range.",
    });
  }
}

export function notSupported(where: ErrorLocation): MillraceError {
  return new MillraceError("BACKFILL_NOT_SUPPORTED", "the source cannot read a range that is asked for", {
    where,
    hint: "Of the connectors, rest-api with timeRange, events, and postgres with a cursorColumn of times or whole numbers can. In a source of your own, give the stream reader offsetAt() and completeUpTo(): docs/backfill.md.",
  });
}
