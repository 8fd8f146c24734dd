import { DataSourceReader } from "../../contract/batch-reader.ts";
import { CompositeOffset, type OffsetOf } from "../../contract/composite-offset.ts";
import type { Offset } from "../../contract/offset.ts";
import { ReadAllAvailable, type ReadLimit, ReadMaxRows } from "../../contract/read-limit.ts";
import {
  DataSourceStreamReader,
  type Row,
  type SupportsTriggerAvailableNow,
} from "../../contract/stream-reader.ts";
import { type Numbers, slicesOf } from "../kit/slices.ts";
import { findStream, notInMemory } from "./stream.ts";

/** The offset: how many rows of the stream were read. */
const ORDER = new CompositeOffset({ rows: "number" });
type Position = OffsetOf<typeof ORDER>;
/** The rows from `from` (inclusive) to `to` (exclusive) of the stream with the id `stream`. */
type Slice = Numbers & { readonly stream: string };

/** The options that both readers use. */
export interface MemorySource {
  /** Name of the stream. */
  readonly stream: string;
  readonly numPartitions: number;
  readonly maxRowsPerBatch?: number | undefined;
}

export class MemoryStreamReader
  extends DataSourceStreamReader<Position, Slice>
  implements SupportsTriggerAvailableNow
{
  readonly #source: MemorySource;
  #availableNow: number | undefined;

  constructor(source: MemorySource) {
    super();
    this.#source = source;
  }

  override initialOffset(): Position {
    return { rows: 0 };
  }

  override getDefaultReadLimit(): ReadLimit {
    const { maxRowsPerBatch } = this.#source;
    return maxRowsPerBatch === undefined ? new ReadAllAvailable() : new ReadMaxRows(maxRowsPerBatch);
  }

  override latestOffset(start: Position, limit: ReadLimit): Position {
    const last = Math.max(start.rows, this.#availableNow ?? this.#size());
    return { rows: limit.kind === "ReadMaxRows" ? Math.min(last, start.rows + limit.maxRows) : last };
  }

  override reportLatestOffset(): Position {
    return { rows: this.#size() };
  }

  override partitions(start: Position, end: Position): Slice[] {
    return partitionsOf(this.#source, start.rows, end.rows);
  }

  override read(slice: Slice): Iterable<Row> {
    return readSlice(this.#source, slice);
  }

  override compareOffsets: (a: Position, b: Position) => number = ORDER.compare;

  override deserializeOffset: (json: Offset) => Position = ORDER.deserialize;

  prepareForTriggerAvailableNow(): void {
    this.#availableNow = this.#size();
  }

  availableNowTarget(): number | undefined {
    return this.#availableNow;
  }

  restoreAvailableNow(target: number): void {
    this.#availableNow = target;
  }

  #size(): number {
    return findStream(this.#source.stream).size;
  }
}

export class MemoryReader extends DataSourceReader<Slice> {
  readonly #source: MemorySource;

  constructor(source: MemorySource) {
    super();
    this.#source = source;
  }

  override partitions(): Slice[] {
    return partitionsOf(this.#source, 0, findStream(this.#source.stream).size);
  }

  override read(slice: Slice): Iterable<Row> {
    return readSlice(this.#source, slice);
  }
}

function partitionsOf({ stream, numPartitions }: MemorySource, from: number, to: number): Slice[] {
  const { id } = findStream(stream);
  return slicesOf({ from, to }, numPartitions).map((slice) => ({ stream: id, ...slice }));
}

function readSlice({ stream: name }: MemorySource, { stream: id, from, to }: Slice): readonly Row[] {
  const stream = findStream(name);
  if (stream.id === id) return stream.slice(from, to);
  throw notInMemory(`the memory stream "${name}" that the batch was planned with`);
}
