import type { RecordBatch, Table } from "apache-arrow";
import type { BadRow } from "./bad-rows.ts";
import type { TaskContext } from "./context.ts";
import type { JsonValue } from "./json.ts";
import type { Offset } from "./offset.ts";
import { ReadAllAvailable, type ReadLimit } from "./read-limit.ts";

/** A value or a promise of it. */
export type Awaitable<T> = T | PromiseLike<T>;

/**
 * Rows, Arrow record batches or Arrow tables, in any mixture; and a `BadRow` for what cannot be
 * read. Async iterables are read as they arrive.
 */
export type RowSource =
  | AsyncIterable<Row | BadRow | RecordBatch | Table>
  | Iterable<Row | BadRow | RecordBatch | Table>;

/** A row as an object, keyed by field name. */
export type NamedRow = { readonly [field: string]: unknown };

/**
 * A row: an object keyed by field name, or an array in field order. Use `null` for a missing value;
 * a missing field is an error.
 */
export type Row = NamedRow | readonly unknown[];

/**
 * A slice of a batch that one task reads: any JSON value. It is stored, and a replay receives the
 * same value.
 */
export type InputPartition = JsonValue;

/**
 * Reads a stream in micro-batches. Works like Spark's `DataSourceStreamReader`: the engine records
 * offsets and partitions before it reads, and after a failure it replays the recorded ones. So
 * `read` must return the same rows for the same partition. One instance plans the batches and other
 * instances read the partitions, in other threads or on other machines.
 */
export abstract class DataSourceStreamReader<O extends object = Offset, P = InputPartition> {
  /** Returns the offset at which a new pipeline starts. */
  abstract initialOffset(): Awaitable<O>;
  /**
   * Returns the end of the next batch, which must respect `limit`, or `start` itself if there is no
   * new data.
   */
  abstract latestOffset(start: O, limit: ReadLimit): Awaitable<O>;
  /**
   * Returns the limit that `latestOffset` receives; called once per run. The default is all
   * available data. A run that can have only one batch ignores the limit and asks for all data.
   * This is the case with the trigger `once`, and with `availableNow` if the reader is not a
   * `SupportsTriggerAvailableNow`.
   */
  getDefaultReadLimit(): Awaitable<ReadLimit> {
    return new ReadAllAvailable();
  }
  /**
   * Returns the end of all available data regardless of the limit, or `undefined` if it is unknown.
   * Progress reports show it. Called after each `latestOffset`.
   */
  reportLatestOffset(): Awaitable<O | null | undefined> {
    return undefined;
  }
  /**
   * Returns the slices of the range from `start` (inclusive) to `end` (exclusive), which together
   * contain each row exactly once.
   */
  abstract partitions(start: O, end: O): Awaitable<readonly P[]>;
  /** Returns the rows of one partition. */
  abstract read(partition: P, task: TaskContext): RowSource | PromiseLike<RowSource>;
  /**
   * Tells the source that the batch ending at `end` is committed, so it may delete rows before
   * `end`. Called again until it succeeds.
   */
  commit(_end: O): Awaitable<void> {}
  /**
   * Releases the resources of the reader. Called once when the run ends, unless the process was
   * killed.
   */
  stop(): Awaitable<void> {}
  /**
   * Returns a negative number if `a` comes before `b`, and 0 if they are equal. If it is
   * implemented, a batch whose end lies before its start is refused.
   */
  compareOffsets?(a: O, b: O): number;
  /**
   * Returns the offset that this JSON is, as the reader itself writes it. Throws if it cannot read
   * it, because a field is missing, unknown or of another type. Called for an offset that a person
   * gives, before it is recorded; without it, the next batch is planned from there as a trial.
   * (Spark: `deserializeOffset`.)
   */
  deserializeOffset?(json: Offset): Awaitable<O>;
}

/** The rows that `SimpleDataSourceStreamReader.read` returns, and the offset after them. */
export interface SimpleRead<O extends object = Offset> {
  /** The rows from `start` on. */
  readonly rows: RowSource;
  /**
   * The offset after these rows, at which the next read begins, or `start` itself if there are no
   * rows.
   */
  readonly offset: O;
}

/**
 * Reads a small stream without partitions. Works like Spark's `SimpleDataSourceStreamReader`:
 * planning a batch already reads its rows. They are stored beside the plan in the pipeline's store,
 * and the batch and each replay of it write exactly these rows.
 */
export abstract class SimpleDataSourceStreamReader<O extends object = Offset> {
  /** Returns the offset at which a new pipeline starts. */
  abstract initialOffset(): Awaitable<O>;
  /**
   * Returns the available rows from `start` (inclusive), as many as one batch should contain, and
   * the offset after them. All of them are held in memory at once.
   */
  abstract read(start: O): Awaitable<SimpleRead<O>>;
  /**
   * Returns the rows between two offsets that `read` returned earlier. It is only called when a
   * batch is replayed and its stored rows have been deleted; Spark calls it for every replay.
   */
  abstract readBetweenOffsets(start: O, end: O): RowSource | PromiseLike<RowSource>;
  /**
   * Tells the source that the batch ending at `end` is committed, so it may delete rows before
   * `end`. Called again until it succeeds.
   */
  commit(_end: O): Awaitable<void> {}
  /** Like `DataSourceStreamReader.deserializeOffset`; without it, `read(start)` is the trial. */
  deserializeOffset?(json: Offset): Awaitable<O>;
}

/**
 * A stream reader whose source forgets rows once it is told that they are committed, such as a
 * queue, and that can keep the rows of a batch that is skipped by hand.
 */
export interface SupportsSetAside<O extends object = Offset> {
  /**
   * Copies the rows from `start` to `end` to a place where a person finds them. Returns the place.
   * Called before the batch is skipped; the source is then told to forget the rows. It may be
   * called again.
   */
  setAside(start: O, end: O): Awaitable<string>;
}

/**
 * A reader that can make rows of what it yielded as `BadRow`s, after a fix of its options, its
 * schema or its code.
 */
export interface SupportsBadRows {
  /** Returns the rows of these contents. What still cannot be read is a `BadRow` again. */
  readBadRows(contents: readonly unknown[], task: TaskContext): Awaitable<RowSource>;
}

/**
 * A stream reader that fixes the end of an `availableNow` run when the run starts. Without it such
 * a run is a single batch, as in Spark. (Spark: `SupportsTriggerAvailableNow`.)
 */
export interface SupportsTriggerAvailableNow {
  /**
   * Fixes the end of the run. Called once, before any offset is asked for; from then on
   * `latestOffset` must not go beyond the data that exists at this moment.
   */
  prepareForTriggerAvailableNow(): Awaitable<void>;
  /**
   * Returns the fixed end as JSON of at most 16 KiB. Called after `latestOffset`. On AWS each batch
   * of a run is planned by another Lambda invocation. A reader without this method fixes a new end
   * in each of them, so the run does not end while the source grows.
   */
  availableNowTarget?(): Awaitable<JsonValue | undefined>;
  /**
   * Restores the end that `availableNowTarget` returned earlier in the same run. Called instead of
   * `prepareForTriggerAvailableNow`.
   */
  restoreAvailableNow?(target: JsonValue): Awaitable<void>;
}

/**
 * A stream reader whose source keeps old records, and that can tell which offset stands for a time
 * or a number. `millrace backfill` reads a range of such a source beside the stream. A bound is
 * ISO 8601 in UTC, such as `2026-01-01T00:00:00.000Z`, or a whole number as text.
 */
export interface SupportsBackfill<O extends object = Offset> {
  /**
   * Returns the offset from which the records at and after the bound are read, whether there are
   * any or not. Records before it belong to the range that ends there.
   */
  offsetAt(bound: string): Awaitable<O>;
  /**
   * Returns the bound before which no more records can arrive, so that a range up to it is
   * complete. Its kind, a time or a number, is that of all bounds of this source.
   */
  completeUpTo(): Awaitable<string>;
  /**
   * Compares offsets like `compareOffsets`, but may ask the source. Needed only if neither
   * `compareOffsets` nor a single number or UTC time tells their order.
   */
  comparePositions?(a: O, b: O): Awaitable<number>;
}
