import type { RecordBatch, Table } from "apache-arrow";
import type { LeftOut, LeftOutFields } from "../../arrow/left-out.ts";
import { toRecordBatches } from "../../arrow/record-batches.ts";
import { onAbort } from "../../contract/abort.ts";
import type { TaskContext } from "../../contract/context.ts";
import { type ErrorLocation, MillraceError, toMillraceError } from "../../contract/errors.ts";
import type { Awaitable, Row, RowSource } from "../../contract/stream-reader.ts";
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

/** Starts to read a partition: from the stored rows of a simple reader, or with a new reader. */
async function openPartition(task: TaskSource): Promise<OpenPartition> {
  const { sessions, ports, planned, context, watch, where } = task;
  const { schema, partition, rowsKey, count } = planned;
  if (planned.exchangedSchema !== undefined) {
    const rows = readShuffled(ports.store, planned.exchangedSchema, partition as ShuffledPartition, {
      signal: context.signal,
      where,
    });
    return openPartitionOf(toRecordBatches(planned.exchangedSchema, watch.watchRows(rows), where));
  }
  if (count === 0) return openPartitionOf(toRecordBatches(schema, [], where));
  if (rowsKey !== undefined) {
    const stored = rowsFile(ports.store, rowsKey, where);
    const rows = (await findRowsProblem(stored)) === undefined ? stored.batches() : rereadRows(task);
    return openPartitionOf(toRecordBatches(schema, watch.watchRows(rows), where));
  }
  const guardRead = <T>(body: () => Awaitable<T>) =>
    guard("SOURCE_FAILED", "read() failed", where, body, true);
  const reader = await sessions.source.reader(schema, (rows) => watch.watchRows(rows));
  const stop = () => stopReader(reader, ports.runtime);
  try {
    const rows = (await guardRead(() => reader.read(partition, context))) as RowSource;
    const batches = toRecordBatches(schema, watch.watchRows(rows), where, task.leftOut);
    const { next, close } = openPartitionOf(batches);
    return { next: () => guardRead(next), close: () => close().then(stop) };
  } catch (error) {
    await stop();
    throw error;
  }
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
      this.failure = error;
      throw error;
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
async function* rereadRows({
  sessions,
  planned: { schema, partition },
  where,
}: TaskSource): AsyncGenerator<Row | RecordBatch | Table> {
  const { start, end } = partition as SimplePartition;
  const reader = await sessions.source.simpleReader(schema);
  try {
    yield* await reader.readBetweenOffsets(start, end);
  } catch (error) {
    throw toMillraceError(error, "SOURCE_FAILED", "readBetweenOffsets() failed", where, true);
  }
}
