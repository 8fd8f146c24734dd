import type { RecordBatch } from "apache-arrow";
import { rowsOf } from "../../arrow/rows.ts";
import { linkSignals, onAbort } from "../../contract/abort.ts";
import { takesRows, type Writer } from "../../contract/batch-writer.ts";
import type { TaskContext } from "../../contract/context.ts";
import { type ErrorLocation, MillraceError, toMillraceError } from "../../contract/errors.ts";
import { findNonJson, type JsonValue } from "../../contract/json.ts";
import { optional } from "../../contract/optional.ts";
import type { StallPolicy } from "../../contract/pipeline.ts";
import { BATCH_FILE } from "../../contract/store-layout.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import type { SupportsTaskAbort } from "../../contract/stream-writer.ts";
import { batchFolder, type PlannedTask, readPlannedTask } from "../partitions-file.ts";
import { isOfPlan } from "../plan-tasks.ts";
import type { BatchRun } from "../ports/ledger.ts";
import { identityOf } from "../ports/position.ts";
import type { StalledTask } from "../ports/run-events.ts";
import type { Ports } from "../ports/runtime.ts";
import type { RunningTask, Task, TaskKey } from "../ports/tasks.ts";
import { guard } from "../sessions/guard.ts";
import type { Sessions } from "../sessions/open-sessions.ts";
import { cancelled, TaskRows } from "./rows.ts";
import { stalledError, stalledTask } from "./stall.ts";
import { TaskWatch } from "./watch.ts";

/** How long a sink may take to react to its signal after a stall. */
const GRACE_MILLISECONDS = 5000;

export interface WriteRequest {
  readonly run: BatchRun;
  /** Index of the partition, from 0. */
  readonly partition: number;
  /** Attempt of the task, from 0. */
  readonly attemptNumber: number;
}

/** Rows and bytes of Arrow data that the sink of a task has received so far. */
export interface TaskProgress {
  readonly rows: number;
  readonly bytes: number;
}

/**
 * What a task returns to its caller. It is small, because the commit message goes to the ledger
 * instead.
 */
export interface TaskResult extends TaskProgress {
  readonly partition: number;
  readonly milliseconds: number;
  /** False if another attempt of the task was recorded before. */
  readonly won: boolean;
  /**
   * True if the writer returned before it had read all rows. The batch is committed without the
   * remaining rows.
   */
  readonly unread?: boolean;
}

export interface WriteOptions {
  readonly signal: AbortSignal;
  /**
   * Watches the task. Without it stalls are not detected, and the ledger gets no progress reports.
   */
  readonly watch?: WatchOptions;
  /** Called with each record batch that the sink receives. */
  onProgress?(progress: TaskProgress): void;
}

/** Settings for watching a running task. */
export interface WatchOptions {
  readonly stall: StallPolicy;
  /** Called every ten seconds. */
  onRunning?(running: RunningTask): void;
  /** Called once per stall, and again only after rows have moved. */
  onStalled?(stalled: StalledTask): void;
}

/**
 * Runs one task: reads a partition, lets the writer stage it, and records the commit message unless
 * another attempt of the task is already recorded. Throws `TASK_CANCELLED`, `PARTITION_STALLED`,
 * `SOURCE_FAILED` or `SINK_FAILED`, and errors of rows that do not fit the schema.
 */
export async function write(
  sessions: Sessions,
  ports: Ports,
  request: WriteRequest,
  options: WriteOptions,
): Promise<TaskResult> {
  const stalling = new AbortController();
  const { signal, unlink } = linkSignals(options.signal, stalling.signal);
  try {
    const done = await ports.ledger.task({ ...request.run, partition: request.partition });
    if (done !== undefined && isOfPlan(done, request.run)) return resultOf(done, false);
    const given = { ports, request, options: { ...options, signal }, stalling };
    return await new WriterTask(await prepare(sessions, given)).run();
  } catch (error) {
    const where = taskLocation(request);
    // After the signal has aborted, an error of the source or the sink is a consequence of it and
    // not a failure.
    throw signal.aborted
      ? cancelled(signal).with({ where })
      : toMillraceError(error, "TASK_FAILED", "the task failed", where, true);
  } finally {
    unlink();
  }
}

/** Returns the location of a task, for its errors. */
export function taskLocation({ run, partition, attemptNumber }: WriteRequest): ErrorLocation {
  return { pipeline: run.pipeline, batchId: run.batchId, partition, attempt: run.attempt, attemptNumber };
}

/**
 * The warning for a writer that returned before it had read all rows. As in Spark the task
 * succeeds, but this is usually a mistake.
 */
export function unreadWarning(request: WriteRequest): MillraceError {
  return new MillraceError(
    "ROWS_NOT_CONSUMED",
    `write() returned before it had all rows of partition ${request.partition}: the others will not be read again`,
    {
      where: taskLocation(request),
      hint: "Go through the rows to their end: for await (const row of rows) …; what is not to be written can be passed over.",
    },
  );
}

/** Everything that a running task uses. */
interface TaskParts {
  readonly ports: Ports;
  readonly request: WriteRequest;
  readonly options: WriteOptions;
  /** Aborts when the task must fail because of a stall. */
  readonly stalling: AbortController;
  /** In the time of `Runtime.monotonic`. */
  readonly startedAt: number;
  readonly planned: PlannedTask;
  readonly context: TaskContext;
  readonly watch: TaskWatch;
  readonly rows: TaskRows;
  readonly writer: Writer<unknown>;
}

/** Reads the plan of the batch and creates the row source and the writer of the task. */
async function prepare(
  sessions: Sessions,
  given: Pick<TaskParts, "ports" | "request" | "options" | "stalling">,
): Promise<TaskParts> {
  const { ports, request, options } = given;
  const { run, partition, attemptNumber } = request;
  const startedAt = ports.runtime.monotonic();
  const planned = await readPlannedTask(ports.store, run.partitionsKey, partition);
  const context: TaskContext = {
    ...sessions.sink.context(run.incarnation),
    ...identityOf(run),
    attempt: run.attempt,
    partitionId: partition,
    attemptNumber,
    signal: options.signal,
  };
  const watch = new TaskWatch(ports.runtime);
  const where = taskLocation(request);
  const rows = new TaskRows({ ...given, ...options, sessions, planned, context, where, watch });
  const writer = await sessions.sink.writer(planned.schema);
  return { ...given, startedAt, planned, context, watch, rows, writer };
}

/** Runs one attempt of a task: stages its rows and records them, or deletes what it staged. */
class WriterTask {
  readonly #parts: TaskParts;

  constructor(parts: TaskParts) {
    this.#parts = parts;
  }

  async run(): Promise<TaskResult> {
    const { rows, planned } = this.#parts;
    const message = await this.#stage();
    let task: Task;
    try {
      // A sink might swallow the error of the source.
      if (rows.failure !== undefined) throw rows.failure;
      task = await this.#taskRecord(message);
    } catch (error) {
      await this.#drop(message);
      throw error;
    }
    const result = await this.#record(task, message);
    return rows.isComplete || planned.count === 0 ? result : { ...result, unread: true };
  }

  /** Lets the writer stage the rows and returns its message. */
  async #stage(): Promise<unknown> {
    const { writer, context, rows, watch, request, options } = this.#parts;
    this.#beginWatch();
    // A task that was told to stop needs no watch any more, even if its sink does not return.
    const stopListening = onAbort(options.signal, () => watch.end());
    try {
      const writing = guard(
        "SINK_FAILED",
        "write() failed",
        taskLocation(request),
        () =>
          takesRows(writer) ? writer.write(namedRows(rows, watch), context) : writer.write(rows, context),
        true,
      );
      return await this.#waitForSink(writing);
    } finally {
      stopListening();
      watch.end();
    }
  }

  /**
   * Records the task. If another attempt was recorded first, deletes what this one staged and
   * returns the result of the other.
   */
  async #record(task: Task, message: unknown): Promise<TaskResult> {
    const { ledger } = this.#parts.ports;
    const key = this.#key;
    let winner: Task;
    try {
      winner = await ledger.recordTask(key, task);
    } catch (error) {
      // The record may exist, or may still be written. So the staged rows are kept, unless the
      // record of another attempt is found.
      const recorded = await ledger.task(key).catch(() => undefined);
      if (recorded === undefined) throw error;
      winner = recorded;
    }
    const won = winner.writerId === task.writerId;
    if (!won) await this.#drop(message);
    if (!isOfPlan(winner, this.#parts.request.run)) throw otherPlan(this.#parts.request);
    return resultOf(winner, won);
  }

  /** Calls the writer's `abortTask`, if it has one. Vacuum removes what is left after an error. */
  async #drop(message: unknown): Promise<void> {
    const { writer, context } = this.#parts;
    if (!("abortTask" in writer)) return;
    try {
      await (writer as unknown as SupportsTaskAbort<unknown>).abortTask(message ?? null, context);
    } catch {
      // The result of the task matters more than this error.
    }
  }

  get #key(): TaskKey {
    const { run, partition } = this.#parts.request;
    return { ...run, partition };
  }

  async #taskRecord(message: unknown): Promise<Task> {
    const { ports, request, watch, startedAt } = this.#parts;
    const { partition, attemptNumber } = request;
    const writerId = ports.runtime.newId();
    return {
      partition,
      rows: watch.rows,
      bytes: watch.bytes,
      milliseconds: ports.runtime.monotonic() - startedAt,
      attemptNumber,
      writerId,
      ...optional("planId", request.run.planId),
      recordedAt: ports.runtime.now(),
      ...(await storeMessage(ports, request.run, writerId, message ?? null)),
    };
  }

  /** Starts the watch, if the caller asked for one. */
  #beginWatch(): void {
    const { options, watch, request, planned, stalling } = this.#parts;
    if (options.watch === undefined || options.signal.aborted) return;
    const { stall, onRunning, onStalled } = options.watch;
    const { partition, attemptNumber } = request;
    const reportToLedger = this.#progressReporter();
    watch.begin({
      stallAfter: stall.after,
      onReport: (figures) => {
        const running = { partition, attemptNumber, ...figures };
        onRunning?.(running);
        reportToLedger(running);
      },
      onStalled: (figures) => {
        const stalled = stalledTask(taskLocation(request), planned, figures, stall.fail);
        onStalled?.(stalled);
        if (stall.fail) stalling.abort(stalledError(stalled));
      },
    });
  }

  /**
   * Returns a function that stores progress reports in the ledger, one call at a time. Errors are
   * ignored, because the reports are only for people.
   */
  #progressReporter(): (running: RunningTask) => void {
    const { ledger } = this.#parts.ports;
    let isReporting = false;
    return (running) => {
      if (isReporting) return;
      isReporting = true;
      ledger
        .reportProgress(this.#key, running)
        .catch(() => undefined)
        .finally(() => {
          isReporting = false;
        });
    };
  }

  /** Waits for the sink. After a stall, gives it 5 s to react to its signal, then abandons it. */
  async #waitForSink(writing: Promise<unknown>): Promise<unknown> {
    const { ports, stalling } = this.#parts;
    const over = new AbortController();
    const { promise: givenUp, reject } = Promise.withResolvers<never>();
    const giveUp = () => {
      writing.then((late) => this.#drop(late)).catch(() => undefined);
      reject(stalling.signal.reason);
    };
    const stopListening = onAbort(stalling.signal, () => {
      ports.runtime.sleep(GRACE_MILLISECONDS, over.signal).then(giveUp, () => undefined);
    });
    try {
      return await Promise.race([writing, givenUp]);
    } finally {
      stopListening();
      over.abort();
    }
  }
}

function otherPlan(request: WriteRequest): MillraceError {
  return new MillraceError("RUN_IS_STALE", "the task is recorded for another plan of the batch", {
    where: taskLocation(request),
    hint: "Nothing is lost: the batch is aborted, and the next run writes all of it again. The ledger was put back to an older copy while a run was at work; look that no other run goes on with what the ledger had before.",
  });
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

/**
 * Returns the part of a task record that holds its message: the message itself, or the key of the
 * file that holds a large one. Throws `MESSAGE_NOT_JSON`.
 */
async function storeMessage(
  ports: Ports,
  run: BatchRun,
  writerId: string,
  message: unknown,
): Promise<Pick<Task, "message" | "messageKey" | "messageBytes">> {
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
  const messageKey = `${batchFolder(run.batchId)}${BATCH_FILE.message}${writerId}.json`;
  await ports.store.put(messageKey, bytes);
  return { message: null, messageKey, messageBytes: bytes.length };
}

/** Converts record batches to rows, for a writer of rows. */
async function* namedRows(batches: AsyncIterable<RecordBatch>, watch: TaskWatch): AsyncGenerator<NamedRow> {
  for await (const batch of batches) {
    for (const row of rowsOf(batch)) {
      yield row;
      watch.sinkTookRow();
    }
  }
}
