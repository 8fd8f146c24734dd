import type { RecordBatch, Table } from "apache-arrow";
import { decodeFile } from "../../arrow/ipc-file.ts";
import { toRecordBatches } from "../../arrow/record-batches.ts";
import { rowsOf } from "../../arrow/rows.ts";
import { takesRows, type Writer } from "../../contract/batch-writer.ts";
import type { TaskContext } from "../../contract/context.ts";
import { type ErrorLocation, MillraceError, toMillraceError } from "../../contract/errors.ts";
import { findNonJson, type JsonValue } from "../../contract/json.ts";
import type { StallPolicy } from "../../contract/pipeline.ts";
import type { NamedRow, Row, RowSource } from "../../contract/stream-reader.ts";
import type { SupportsTaskAbort } from "../../contract/stream-writer.ts";
import { guard, type OpenPipeline, stopReader } from "../open-pipeline.ts";
import { batchFolder, type PlannedPartitions, readPartitions } from "../partitions-file.ts";
import type { BatchRun, RunningTask, Task, TaskKey } from "../ports/ledger.ts";
import type { StalledTask } from "../ports/run-events.ts";
import type { Ports } from "../ports/runtime.ts";
import type { SimplePartition } from "../simple-reader.ts";
import { stalledError, stalledTask } from "./stall.ts";
import { TaskWatch } from "./watch.ts";

/** How long a sink that stalled may take to heed its signal. */
const GRACE_MILLISECONDS = 5000;

export interface WriteRequest {
  readonly run: BatchRun;
  /** Index of the partition, from 0. */
  readonly partition: number;
  /** Attempt of the task, from 0. */
  readonly attemptNumber: number;
}

/** Rows and bytes of Arrow data of a task so far. */
export interface TaskProgress {
  readonly rows: number;
  readonly bytes: number;
}

/** What a task tells its caller: a few bytes, because messages travel through the ledger. */
export interface TaskResult extends TaskProgress {
  readonly partition: number;
  readonly milliseconds: number;
  /** False where another attempt of the task had been recorded before. */
  readonly won: boolean;
  /** True where the writer did not take all rows: the batch goes on without those that are left. */
  readonly unread?: boolean;
}

export interface WriteOptions {
  readonly signal: AbortSignal;
  /** Watches the task; without it a stall is not noticed, and the ledger is told nothing before the task has ended. */
  readonly watch?: WatchOptions;
  /** Called with each record batch that the sink is given. */
  onProgress?(progress: TaskProgress): void;
}

/** How a task is watched. */
export interface WatchOptions {
  readonly stall: StallPolicy;
  /** Called each ten seconds. */
  onRunning?(running: RunningTask): void;
  /** Called once a stall, again only after rows have moved. */
  onStalled?(stalled: StalledTask): void;
}

/**
 * Runs one task: reads a partition, has the writer stage it, and records the commit message, unless another attempt of the
 * task has one recorded. Errors: `TASK_CANCELLED`, `PARTITION_STALLED`, `SOURCE_FAILED`, `SINK_FAILED`, and those of rows that do not fit.
 */
export async function write(
  open: OpenPipeline,
  ports: Ports,
  request: WriteRequest,
  options: WriteOptions,
): Promise<TaskResult> {
  const where = placeOf(request);
  const stalling = new AbortController();
  const signal = AbortSignal.any([options.signal, stalling.signal]);
  try {
    return await writeTask(open, ports, request, { ...options, signal }, where, stalling);
  } catch (error) {
    // Whatever a source or a sink makes of the signal, it is not a failure of theirs.
    throw signal.aborted
      ? cancelled(signal).with({ where })
      : toMillraceError(error, "TASK_FAILED", "the task failed", where, true);
  }
}

/** The place of a task, for its errors. */
export function placeOf({ run, partition, attemptNumber }: WriteRequest): ErrorLocation {
  return { pipeline: run.pipeline, batchId: run.batchId, partition, attempt: run.attempt, attemptNumber };
}

/** The reason that the signal gives, where it gives one. */
function cancelled({ reason }: AbortSignal): MillraceError {
  if (MillraceError.is(reason)) return reason;
  return new MillraceError("TASK_CANCELLED", "the task was told to stop", {
    hint: "It runs again with the batch.",
  });
}

async function writeTask(
  open: OpenPipeline,
  ports: Ports,
  request: WriteRequest,
  options: WriteOptions,
  where: ErrorLocation,
  stalling: AbortController,
): Promise<TaskResult> {
  const { run, partition, attemptNumber } = request;
  const key: TaskKey = { ...run, partition };
  const done = await ports.ledger.task(key);
  if (done !== undefined) return resultOf(done, false);

  const startedAt = ports.runtime.now();
  const planned = await readPartitions(ports.store, run.partitionsKey);
  const task: TaskContext = {
    ...open.sinkContext(run.incarnation),
    batchId: run.batchId,
    attempt: run.attempt,
    partitionId: partition,
    attemptNumber,
    signal: options.signal,
  };
  const watch = new TaskWatch(ports.runtime);
  const counted = new CountedBatches(readPartition(open, ports, planned, task, watch, where), watch, options);
  const writer = await open.newWriter(planned.schema);
  beginWatch(watch, ports, request, planned, options, stalling);
  let message: unknown;
  try {
    const writing = guard(
      "SINK_FAILED",
      "write() failed",
      where,
      () => (takesRows(writer) ? writer.write(rowsIn(counted, watch), task) : writer.write(counted, task)),
      true,
    );
    message = await unlessStalled(writing, stalling.signal, ports, (late) => abortTask(writer, late, task));
  } finally {
    watch.end();
  }
  if (counted.failure !== undefined) {
    await abortTask(writer, message, task);
    throw counted.failure;
  }
  const writerId = ports.runtime.newId();
  const record: Omit<Task, "message" | "messageKey"> = {
    partition,
    rows: watch.rows,
    bytes: watch.bytes,
    milliseconds: ports.runtime.now() - startedAt,
    attemptNumber,
    writerId,
    recordedAt: ports.runtime.now(),
  };
  let carried: Pick<Task, "message" | "messageKey">;
  try {
    carried = await carryMessage(ports, run, writerId, message ?? null);
  } catch (error) {
    await abortTask(writer, message, task);
    throw error;
  }
  const result = await recordOnce(ports, key, { ...record, ...carried }, () =>
    abortTask(writer, message, task),
  );
  return counted.isWhole || planned.partitions.length === 0 ? result : { ...result, unread: true };
}

/** As in Spark a writer may leave rows unread, and its task succeeds. Hardly anybody means it. */
export function unreadWarning({ run, partition, attemptNumber }: WriteRequest): MillraceError {
  return new MillraceError(
    "ROWS_NOT_CONSUMED",
    `write() returned before it had all rows of partition ${partition}: the others will not be read again`,
    {
      where: placeOf({ run, partition, attemptNumber }),
      hint: "Go through the rows to their end: for await (const row of rows) …; what is not to be written can be passed over.",
    },
  );
}

/** Has the task watched, as far as that is asked for. */
function beginWatch(
  watch: TaskWatch,
  { ledger }: Ports,
  request: WriteRequest,
  planned: PlannedPartitions,
  options: WriteOptions,
  stalling: AbortController,
): void {
  const { signal } = options;
  if (options.watch === undefined || signal.aborted) return;
  const { run, partition, attemptNumber } = request;
  const { stall, onRunning, onStalled } = options.watch;
  // A task that was told to stop is nobody's business any more, though its sink may hang on.
  signal.addEventListener("abort", () => watch.end(), { once: true });
  let isTelling = false;
  watch.begin({
    stallAfter: stall.after,
    onReport(advance) {
      const running = { partition, attemptNumber, ...advance };
      onRunning?.(running);
      if (isTelling) return;
      isTelling = true;
      // Best effort: it is for people who look on.
      ledger
        .reportProgress({ ...run, partition }, running)
        .catch(() => undefined)
        .finally(() => {
          isTelling = false;
        });
    },
    onStalled(advance) {
      const stalled = stalledTask(placeOf(request), planned, advance, stall.fail);
      onStalled?.(stalled);
      if (stall.fail) stalling.abort(stalledError(stalled));
    },
  });
}

/** What the sink gives; where the task is to fail for a stall, the sink may take a moment to heed it, and is left behind then. */
async function unlessStalled<T>(
  writing: Promise<T>,
  stalled: AbortSignal,
  { runtime }: Ports,
  dropLate: (late: T) => Promise<void>,
): Promise<T> {
  const over = new AbortController();
  const givenUp = new Promise<never>((_, reject) => {
    const giveUp = () => {
      writing.then(dropLate, () => undefined);
      reject(stalled.reason as MillraceError);
    };
    const wait = () => runtime.sleep(GRACE_MILLISECONDS, over.signal).then(giveUp, () => undefined);
    stalled.addEventListener("abort", wait, { signal: over.signal });
  });
  try {
    return await Promise.race([writing, givenUp]);
  } finally {
    over.abort();
  }
}

/** The first recorded task wins; a loser drops what it staged, and answers as the winner. */
async function recordOnce(
  ports: Ports,
  key: TaskKey,
  task: Task,
  dropStaged: () => Promise<void>,
): Promise<TaskResult> {
  let winner: Task;
  try {
    winner = await ports.ledger.recordTask(key, task);
  } catch (error) {
    // The record may be there, or come to be there: what was staged stays, unless somebody else's record is in its place.
    const there = await ports.ledger.task(key).catch(() => undefined);
    if (there === undefined) throw error;
    winner = there;
  }
  const won = winner.writerId === task.writerId;
  if (!won) await dropStaged();
  return resultOf(winner, won);
}

function resultOf(task: Task, won: boolean): TaskResult {
  return {
    partition: task.partition,
    rows: task.rows,
    bytes: task.bytes,
    milliseconds: task.milliseconds,
    won,
  };
}

/** Best effort: what is left behind is removed by vacuum. */
async function abortTask(writer: Writer<unknown>, message: unknown, task: TaskContext): Promise<void> {
  if (!("abortTask" in writer)) return;
  try {
    await (writer as unknown as SupportsTaskAbort<unknown>).abortTask(message ?? null, task);
  } catch {
    // The task's own outcome counts.
  }
}

async function carryMessage(
  ports: Ports,
  run: BatchRun,
  writerId: string,
  message: unknown,
): Promise<Pick<Task, "message" | "messageKey">> {
  const problem = findNonJson(message, "message");
  if (problem !== undefined) {
    throw new MillraceError(
      "MESSAGE_NOT_JSON",
      `write() must give a JSON value as its message, but gave ${problem}`,
      {
        hint: "Give plain JSON: the message is stored, and read on another machine.",
      },
    );
  }
  const bytes = Buffer.from(JSON.stringify(message));
  if (bytes.length <= ports.ledger.limits.messageBytes) return { message: message as JsonValue };
  const messageKey = `${batchFolder(run.batchId)}message-${writerId}.json`;
  await ports.store.put(messageKey, bytes);
  return { message: null, messageKey };
}

async function* readPartition(
  open: OpenPipeline,
  ports: Ports,
  planned: PlannedPartitions,
  task: TaskContext,
  watch: TaskWatch,
  where: ErrorLocation,
): AsyncGenerator<RecordBatch> {
  if (planned.partitions.length === 0) return;
  if (planned.rowsKey !== undefined) {
    const kept = await ports.store.get(planned.rowsKey);
    const rows = kept === undefined ? readAgain(open, planned, where) : decodeFile(kept);
    yield* untilAborted(toRecordBatches(planned.schema, watch.over(rows), where), task.signal);
    return;
  }
  const reader = await open.newReader(planned.schema, (rows) => watch.over(rows));
  try {
    const rows = (await reader.read(planned.partitions[task.partitionId], task)) as RowSource;
    yield* untilAborted(toRecordBatches(planned.schema, watch.over(rows), where), task.signal);
  } catch (error) {
    throw toMillraceError(error, "SOURCE_FAILED", "read() failed", where, true);
  } finally {
    await stopReader(reader, open.runtime);
  }
}

/** The rows of a simple reader's batch, where what was kept of them is gone. */
async function* readAgain(
  open: OpenPipeline,
  { schema, partitions }: PlannedPartitions,
  where: ErrorLocation,
): AsyncGenerator<Row | RecordBatch | Table> {
  const { start, end } = partitions[0] as SimplePartition;
  const reader = await open.newSimpleReader(schema);
  try {
    yield* await reader.readBetweenOffsets(start, end);
  } catch (error) {
    throw toMillraceError(error, "SOURCE_FAILED", "readBetweenOffsets() failed", where, true);
  }
}

/** For a writer in row form. */
async function* rowsIn(batches: AsyncIterable<RecordBatch>, watch: TaskWatch): AsyncGenerator<NamedRow> {
  for await (const batch of batches) {
    for (const row of rowsOf(batch)) {
      yield row;
      watch.took();
    }
  }
}

/** Ends with `TASK_CANCELLED` as soon as the signal aborts, though the source may hang. */
async function* untilAborted<T>(source: AsyncGenerator<T>, signal: AbortSignal): AsyncGenerator<T> {
  // One promise for all batches would hold on to each of them: Promise.race leaves a reaction behind.
  let cancel: (() => void) | undefined;
  const onAbort = () => cancel?.();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for (;;) {
      if (signal.aborted) throw cancelled(signal);
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        cancel = () => reject(cancelled(signal));
        source.next().then(resolve, reject);
      });
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    // Not awaited: a source that hangs would never answer.
    source.return(undefined).catch(() => undefined);
  }
}

/** Record batches on their way to the writer, counted. */
class CountedBatches implements AsyncIterable<RecordBatch> {
  /** The error of the source, which a sink might swallow. */
  failure: unknown;
  /** True once the source has no more. */
  isWhole = false;
  readonly #source: AsyncGenerator<RecordBatch>;
  readonly #watch: TaskWatch;
  readonly #options: WriteOptions;

  constructor(source: AsyncGenerator<RecordBatch>, watch: TaskWatch, options: WriteOptions) {
    this.#source = source;
    this.#watch = watch;
    this.#options = options;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<RecordBatch> {
    const watch = this.#watch;
    try {
      watch.asks();
      for await (const batch of this.#source) {
        watch.gives(batch);
        this.#options.onProgress?.({ rows: watch.rows, bytes: watch.bytes });
        yield batch;
        watch.asks();
      }
      watch.gives();
      this.isWhole = true;
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }
}
