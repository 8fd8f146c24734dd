import type { RecordBatch, Table } from "apache-arrow";
import type { TaskContext } from "./context.ts";
import type { JsonValue } from "./json.ts";
import type { Offset } from "./offset.ts";
import { ReadAllAvailable, type ReadLimit } from "./read-limit.ts";

/** A result now or later. */
export type Awaitable<T> = T | PromiseLike<T>;

/** Rows, or Arrow record batches or tables, as they come. */
export type RowSource = AsyncIterable<Row | RecordBatch | Table> | Iterable<Row | RecordBatch | Table>;

/** A row by field name. */
export type NamedRow = { readonly [field: string]: unknown };

/**
 * One row: values by field name, or by position. `null` is no value; a missing field is an error.
 */
export type Row = NamedRow | readonly unknown[];

/**
 * One slice of a batch, read by one task: any JSON value. It is stored, and a replay gets it back.
 */
export type InputPartition = JsonValue;

/**
 * Reads a stream in micro-batches. Semantics of Spark's `DataSourceStreamReader`: the engine
 * records offsets and partitions before it reads, and replays the recorded ones after a failure, so
 * `read` must give the same rows for the same partition. The reader that plans and the readers that
 * read are different objects, in different threads or machines.
 */
export abstract class DataSourceStreamReader<O extends object = Offset, P = InputPartition> {
  /** Where a pipeline that never ran begins. */
  abstract initialOffset(): Awaitable<O>;
  /**
   * The end of the next batch, after `start` and within `limit`; `start` itself if nothing is
   * new.
   */
  abstract latestOffset(start: O, limit: ReadLimit): Awaitable<O>;
  /**
   * The limit for `latestOffset`, asked once a run: everything there is, unless it is overridden. A
   * run of the trigger `once`, and one of `availableNow` whose reader is no
   * `SupportsTriggerAvailableNow`, asks for everything all the same: it has one batch.
   */
  getDefaultReadLimit(): Awaitable<ReadLimit> {
    return new ReadAllAvailable();
  }
  /**
   * The end of all that is there, whatever the limit: for the progress of the run. Asked after each
   * `latestOffset`; `undefined` if it is not known.
   */
  reportLatestOffset(): Awaitable<O | null | undefined> {
    return undefined;
  }
  /**
   * The slices of the range from `start` (inclusive) to `end` (exclusive); together they hold each
   * row once.
   */
  abstract partitions(start: O, end: O): Awaitable<readonly P[]>;
  /** The rows of one partition. */
  abstract read(partition: P, task: TaskContext): RowSource | PromiseLike<RowSource>;
  /**
   * Called after the batch that ends at `end` was committed, again until it succeeds: the source
   * may forget rows before `end`.
   */
  commit(_end: O): Awaitable<void> {}
  /** Called once when the run ends, best effort: release what the reader holds. */
  stop(): Awaitable<void> {}
  /**
   * Negative if `a` comes before `b`, 0 if they are equal. With it the planner refuses an end
   * before its start.
   */
  compareOffsets?(a: O, b: O): number;
}

/** What a `SimpleDataSourceStreamReader` read. */
export interface SimpleRead<O extends object = Offset> {
  /** The rows from `start` on. */
  readonly rows: RowSource;
  /** Where the next read begins: beyond these rows, or `start` itself if there are none. */
  readonly offset: O;
}

/**
 * Reads a small stream in one place, without partitions. Semantics of Spark's
 * `SimpleDataSourceStreamReader`: planning a batch reads its rows, which are kept beside the plan,
 * in the pipeline's store, so that the batch and each replay of it writes exactly these.
 */
export abstract class SimpleDataSourceStreamReader<O extends object = Offset> {
  /** Where a pipeline that never ran begins. */
  abstract initialOffset(): Awaitable<O>;
  /**
   * The rows that there are from `start` (inclusive) on, as many as one batch should have, and the
   * offset after them. They are held in memory together.
   */
  abstract read(start: O): Awaitable<SimpleRead<O>>;
  /**
   * The rows that `read` gave between these offsets, again. Asked only if a batch is replayed
   * whose rows are no longer in the pipeline's store; in Spark, wherever one is replayed.
   */
  abstract readBetweenOffsets(start: O, end: O): RowSource | PromiseLike<RowSource>;
  /**
   * Called after the batch that ends at `end` was committed, again until it succeeds: the source
   * may forget rows before `end`.
   */
  commit(_end: O): Awaitable<void> {}
}

/**
 * A reader that fixes, once per run, what "available now" is. Without it such a run is a single
 * batch, as in Spark. (Spark: `SupportsTriggerAvailableNow`.)
 */
export interface SupportsTriggerAvailableNow {
  /**
   * Called once, before any offset is asked: from now on `latestOffset` must not go beyond what is
   * there at this moment.
   */
  prepareForTriggerAvailableNow(): Awaitable<void>;
  /**
   * What was fixed, as JSON of at most 16 KiB; asked after `latestOffset`. On AWS each batch of a
   * run is planned by another call of Lambda: a reader without this prepares anew there, so that
   * the run follows a source that grows.
   */
  availableNowTarget?(): Awaitable<JsonValue | undefined>;
  /**
   * Called instead of `prepareForTriggerAvailableNow` if `availableNowTarget` answered earlier
   * in the same run.
   */
  restoreAvailableNow?(target: JsonValue): Awaitable<void>;
}
