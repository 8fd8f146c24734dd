import type { RecordBatch, Schema, Table } from "apache-arrow";
import { encodeSchema } from "../../arrow/ipc-file.ts";
import { nameKeyFields } from "../../arrow/key-fields.ts";
import type { LeftOut, LeftOutFields } from "../../arrow/left-out.ts";
import { toRecordBatches } from "../../arrow/record-batches.ts";
import { onAbort } from "../../contract/abort.ts";
import { type BadRow, withBadRowHint } from "../../contract/bad-rows.ts";
import type { TaskContext } from "../../contract/context.ts";
import { type ErrorLocation, MillraceError, toMillraceError } from "../../contract/errors.ts";
import { optional } from "../../contract/optional.ts";
import type { Awaitable, Row, RowSource, SupportsBadRows } from "../../contract/stream-reader.ts";
import { Places } from "../bad-rows/places.ts";
import type { RetryPartition } from "../bad-rows/retry-partitions.ts";
import { type RetriedRows, retriedRows, retriedSource, rowsAfterSteps } from "../bad-rows/retry-rows.ts";
import { SinkBadRows } from "../bad-rows/sink-rows.ts";
import { onBadRowOf } from "../bad-rows/step-rows.ts";
import { hasMisfits, storedRows } from "../bad-rows/stored-rows.ts";
import { filterRows } from "../filters.ts";
import type { PlannedTask } from "../partitions-file.ts";
import type { Ports } from "../ports/runtime.ts";
import { findRowsProblem, rowsFile } from "../rows-file.ts";
import { guard } from "../sessions/guard.ts";
import type { Sessions } from "../sessions/open-sessions.ts";
import type { SimplePartition } from "../sessions/simple-planner.ts";
import { stopReader } from "../sessions/source-session.ts";
import { readShuffled } from "../shuffle/read.ts";
import type { ShuffledPartition } from "../shuffle/spec.ts";
import type { TaskWatch } from "./watch.ts";

/** The objects from which the rows of a task are read. */
export interface TaskSource {
  readonly sessions: Sessions;
  readonly ports: Ports;
  readonly planned: PlannedTask;
  readonly context: TaskContext;
  /** The location that errors contain. */
  readonly where: ErrorLocation;
  readonly watch: TaskWatch;
  /** Collects what the rows have and the schema lacks. */
  readonly leftOut: LeftOutFields;
  /** Called with each record batch that the sink receives. */
  onProgress?(progress: { readonly rows: number; readonly bytes: number }): void;
  onBatch?(batch: RecordBatch): void;
}

/** A partition while it is being read. */
interface OpenPartition {
  next(): Promise<IteratorResult<RecordBatch, unknown>>;
  close(): Promise<void>;
}

/** Starts to read a partition: from exchanged rows, or from the source's rows after all steps. */
async function openPartition(task: TaskSource): Promise<OpenPartition> {
  const { ports, planned, context, watch, where } = task;
  if (planned.exchangedSchema !== undefined) {
    const rows = readShuffled(ports.store, planned.exchangedSchema, planned.partition as ShuffledPartition, {
      signal: context.signal,
      where,
    });
    return openPartitionOf(toRecordBatches(planned.exchangedSchema, watch.watchRows(rows), where));
  }
  const source = await openSource(task, planned.sourceSchema ?? planned.schema);
  try {
    const made = withSteps(task, source);
    return planned.isRetry === true ? chained(made, openAfterSteps(task)) : made;
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** Starts to read the source's rows: those stored for a simple reader, or with a new reader. */
async function openSource(task: TaskSource, schema: Schema): Promise<OpenPartition> {
  const { sessions, ports, planned, context, watch, where } = task;
  const { partition, rowsKey, misfits, count } = planned;
  nameKeyFields(schema, await sessions.sink.keyColumns());
  if (count === 0) return openPartitionOf(toRecordBatches(schema, [], where));
  if (planned.isRetry === true) return await openRetry(task, schema);
  if (rowsKey !== undefined) {
    const file = rowsFile(ports.store, rowsKey, where);
    const stored = { store: ports.store, file, misfits, where };
    const isThere = (await findRowsProblem(file)) === undefined && (await hasMisfits(stored));
    const rows = isThere ? storedRows(stored, context.badRows) : rereadRows(task, schema);
    return openPartitionOf(toRecordBatches(schema, watch.watchRows(rows), where, context.badRows));
  }
  const guardRead = <T>(body: () => Awaitable<T>) =>
    guard("SOURCE_FAILED", "read() failed", where, body, true);
  const reader = await sessions.source.reader(schema, (rows) => watch.watchRows(rows));
  const stop = () => stopReader(reader, ports.runtime);
  try {
    const rows = (await guardRead(() => reader.read(partition, context))) as RowSource;
    const batches = toRecordBatches(schema, watch.watchRows(rows), where, context.badRows, task.leftOut);
    const { next, close } = openPartitionOf(batches);
    return { next: () => guardRead(next), close: () => close().then(stop) };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Starts to read quarantined rows again, except those after all steps. The reader is asked for what
 * it could make no row of.
 */
async function openRetry(task: TaskSource, schema: Schema): Promise<OpenPartition> {
  const { sessions, ports, context, watch, where } = task;
  const reader = await sessions.source.reader(schema).catch((error: unknown) => {
    // A simple reader has no other than itself.
    if (MillraceError.is(error) && error.code === "NOT_SUPPORTED") return undefined;
    throw error;
  });
  const asked = (reader ?? {}) as Partial<SupportsBadRows>;
  const retried = retriedOf(task);
  const rows = watch.watchRows(retriedSource(retriedRows(retried, asked)));
  const badRows = context.badRows && retried.places.before(context.badRows);
  const { filters = [] } = sessions.pipeline.source;
  const { next, close } = openPartitionOf(
    filters.length === 0
      ? toRecordBatches(schema, rows, where, badRows)
      : filterRows(schema, rows, filters, where, badRows),
  );
  return {
    next,
    close: () => close().then(() => (reader === undefined ? undefined : stopReader(reader, ports.runtime))),
  };
}

function retriedOf({ ports: { store }, planned, context, where }: TaskSource): RetriedRows {
  return {
    store,
    partition: planned.partition as RetryPartition,
    task: context,
    where,
    places: new Places(),
  };
}

/** Starts to read the quarantined rows that the sink had refused: they go to it as they are. */
function openAfterSteps(task: TaskSource): OpenPartition {
  const { planned, sessions, context, watch, where } = task;
  const retried = retriedOf(task);
  const rows = watch.watchRows(retriedSource(rowsAfterSteps(retried)));
  const badRows =
    context.badRows && retried.places.before(new SinkBadRows(context.badRows, sessions.pipeline));
  const opened = openPartitionOf(toRecordBatches(planned.schema, rows, where, badRows));
  if (sessions.pipeline.source.steps === undefined) return opened;
  const { next } = openPartitionOf(readBatches(opened, watch));
  return { next, close: () => opened.close() };
}

/** Returns a partition with the record batches of both, one after the other. */
function chained(first: OpenPartition, second: OpenPartition): OpenPartition {
  let isFirst = true;
  return {
    next: async () => {
      const next = isFirst ? await first.next() : undefined;
      if (next !== undefined && next.done !== true) return next;
      isFirst = false;
      return await second.next();
    },
    close: () => first.close().then(() => second.close()),
  };
}

/**
 * Returns the partition with the pipeline's steps applied to its rows. Throws `STEPS_CHANGED` if
 * they make other columns than those with which the batch was planned.
 */
function withSteps(task: TaskSource, source: OpenPartition): OpenPartition {
  const { sessions, planned, context, watch, where } = task;
  const { schema, sourceSchema = schema } = planned;
  const steps = sessions.source.rowPipeline(sourceSchema);
  if (steps === undefined && planned.sourceSchema === undefined) return source;
  if (encodeSchema(steps?.schema ?? sourceSchema) !== encodeSchema(schema)) throw stepsChanged(where);
  if (steps === undefined) return source;
  const stepTask = {
    where,
    signal: context.signal,
    ...optional("onBadRow", onBadRowOf(context.badRows)),
    onMove: () => watch.rowMoved(),
  };
  const rows = steps.apply(readBatches(source, watch), stepTask);
  const { next, close } = openPartitionOf(rows);
  return { next, close: () => close().then(() => source.close()) };
}

/** Yields the source's record batches, and counts their rows before the steps. */
async function* readBatches(source: OpenPartition, watch: TaskWatch): AsyncGenerator<RecordBatch> {
  for (;;) {
    const { done, value } = await source.next();
    if (done === true) return;
    watch.stepsReceive(value);
    yield value;
  }
}

function stepsChanged(where: ErrorLocation): MillraceError {
  return new MillraceError(
    "STEPS_CHANGED",
    "the batch was planned with steps that make other columns than those of the pipeline now",
    {
      where,
      hint: "Nothing was written. The next attempt of the batch has the columns of the steps as they are now.",
    },
  );
}

function openPartitionOf(batches: AsyncGenerator<RecordBatch>): OpenPartition {
  return {
    next: () => batches.next(),
    async close() {
      // Not awaited, because a source that hangs would never answer.
      batches.return(undefined).catch(() => undefined);
    },
  };
}

/**
 * The rows of a partition as record batches for the writer. Reading starts when the writer asks for
 * rows. Rows are counted and watched for a stall. When the task must stop, the iteration throws at
 * once, even if the source hangs.
 */
export class TaskRows implements AsyncIterable<RecordBatch> {
  /** The error of the source. It is kept here because a sink might swallow it. */
  failure: unknown;
  /** True if all rows of the source were read. */
  isComplete = false;
  readonly #task: TaskSource;

  /** What the rows had and the schema lacks, if anything. */
  get leftOut(): LeftOut | undefined {
    return this.#task.leftOut.found;
  }

  constructor(task: TaskSource) {
    this.#task = task;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<RecordBatch> {
    const { watch, context, onProgress, onBatch } = this.#task;
    const cancellation = new Cancellation(context.signal);
    let partition: OpenPartition | undefined;
    try {
      watch.sinkAsks();
      partition = await openPartition(this.#task);
      for (;;) {
        const { next: read } = partition;
        const next = await cancellation.race(read);
        if (next.done) break;
        watch.sinkReceives(next.value);
        onProgress?.({ rows: watch.rows, bytes: watch.bytes });
        onBatch?.(next.value);
        yield next.value;
        watch.sinkAsks();
      }
      watch.sinkReceives();
      this.isComplete = true;
    } catch (error) {
      this.failure = context.badRows === undefined ? withBadRowHint(error) : error;
      throw this.failure;
    } finally {
      cancellation.end();
      await partition?.close();
    }
  }
}

/**
 * Returns the error for a task that was told to stop: the signal's reason if it is a MillraceError,
 * otherwise `TASK_CANCELLED`.
 */
export function cancelled({ reason }: AbortSignal): MillraceError {
  if (MillraceError.is(reason)) return reason;
  return new MillraceError("TASK_CANCELLED", "the task was told to stop", {
    hint: "It runs again with the batch.",
  });
}

/** Rejects a pending wait as soon as a signal aborts. */
class Cancellation {
  readonly #signal: AbortSignal;
  // Each wait has its own promise. With `Promise.race` against one long-lived promise, that promise
  // would keep every wait in memory.
  #cancel: (() => void) | undefined;
  /** Stops listening to the signal. */
  readonly end: () => void;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    this.end = onAbort(signal, () => this.#cancel?.());
  }

  async race<T>(wait: () => Promise<T>): Promise<T> {
    if (this.#signal.aborted) throw cancelled(this.#signal);
    return await new Promise<T>((resolve, reject) => {
      this.#cancel = () => reject(cancelled(this.#signal));
      wait().then(resolve, reject);
    });
  }
}

/** Reads the rows of a simple reader's batch again, because the stored rows have been deleted. */
async function* rereadRows(
  { sessions, planned: { partition }, where }: TaskSource,
  schema: Schema,
): AsyncGenerator<Row | BadRow | RecordBatch | Table> {
  const { start, end } = partition as SimplePartition;
  const reader = await sessions.source.simpleReader(schema);
  try {
    yield* await reader.readBetweenOffsets(start, end);
  } catch (error) {
    throw toMillraceError(error, "SOURCE_FAILED", "readBetweenOffsets() failed", where, true);
  }
}
