import type { RecordBatch } from "apache-arrow";
import { linkSignals, onAbort } from "../../contract/abort.ts";
import type { TaskContext } from "../../contract/context.ts";
import { type ErrorLocation, MillraceError, toMillraceError } from "../../contract/errors.ts";
import { optional } from "../../contract/optional.ts";
import type { StallPolicy } from "../../contract/pipeline-definition.ts";
import type { SupportsTaskAbort } from "../../contract/stream-writer.ts";
import { withSuppressed } from "../first-cause.ts";
import { type PlannedTask, readPlannedTask } from "../partitions-file.ts";
import { isOfPlan } from "../plan-tasks.ts";
import type { BatchRun, Ledger } from "../ports/ledger.ts";
import { identityOf } from "../ports/position.ts";
import type { StalledTask } from "../ports/run-events.ts";
import type { Ports } from "../ports/runtime.ts";
import type { RunningTask, Task, TaskKey } from "../ports/tasks.ts";
import type { Sessions } from "../sessions/open-sessions.ts";
import type { SinkWrite } from "../sessions/sink-write.ts";
import { CommitRight, type OtherAttempt } from "./commit-right.ts";
import { cancelled, TaskRows } from "./rows.ts";
import { stalledError, stalledTask } from "./stall.ts";
import { storeMessage } from "./task-message.ts";
import { TaskWriter } from "./task-writer.ts";
import { TaskWatch } from "./watch.ts";

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
   * Watches the task. Without it stalls are not detected, the ledger gets no progress reports, and
   * the right to commit is not renewed: it ends after 30 s.
   */
  readonly watch?: WatchOptions;
  /**
   * When the time of the task is over, in epoch milliseconds. Absent if nothing limits it. Its
   * right to commit does not hold beyond it.
   */
  readonly commitDeadline?: number | undefined;
  /** Called with each record batch that the sink receives. */
  onProgress?(progress: TaskProgress): void;
  /** Called with each record batch that the sink receives, for tests. */
  onBatch?(batch: RecordBatch): void;
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

/** Returns a whole number below 2^53 that is as unique as the id. */
function taskIdOf(writerId: string): number {
  return Number(BigInt.asUintN(53, BigInt(`0x0${writerId.replace(/[^\da-f]/gi, "")}`)));
}

function taskKey({ run, partition }: WriteRequest): TaskKey {
  return { ...run, partition };
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
  readonly write: SinkWrite;
}

/** Reads the plan of the batch and creates the row source and the write of the task. */
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
  // Only what is recorded for a table has the time, and only a table can see it.
  const plannedAt = run.write?.plannedAt ?? 0;
  const write = await sessions.sink.write(planned.schema, { ...run, plannedAt });
  return { ...given, startedAt, planned, context, watch, rows, write };
}

/** A task whose writer has committed, and which is not recorded yet. */
interface Committed {
  readonly message: unknown;
  readonly task: Task;
}

/** Runs one attempt of a task: writes its rows, commits them, and records its message. */
class WriterTask {
  readonly #parts: TaskParts;
  readonly #writerId: string;

  constructor(parts: TaskParts) {
    this.#parts = parts;
    this.#writerId = parts.ports.runtime.newId();
  }

  async run(): Promise<TaskResult> {
    const { rows, planned, write, request, context, ports, options } = this.#parts;
    const taskId = taskIdOf(this.#writerId);
    const where = taskLocation(request);
    const made = await write.createWriter(request.run.write, taskId, context, where);
    const right = new CommitRight({
      ports,
      run: request.run,
      key: taskKey(request),
      attemptNumber: request.attemptNumber,
      writerId: this.#writerId,
      where,
      signal: options.signal,
      deadline: options.commitDeadline,
      isRenewed: options.watch !== undefined,
    });
    const writer = new TaskWriter(made, { ...this.#parts, where, metrics: write.metrics });
    const staged = await this.#stage(writer, right);
    if ("outcome" in staged) return await this.#yieldTo(staged);
    let result: TaskResult;
    try {
      // As in Spark, the task fails if this throws although it has committed, and another attempt
      // commits again.
      await writer.close();
      result = await this.#record(staged);
    } catch (error) {
      await right.release();
      throw error;
    }
    right.end();
    return rows.isComplete || planned.count === 0 ? result : { ...result, unread: true };
  }

  /** Writes and commits, unless another attempt may. After an error, aborts. */
  async #stage(writer: TaskWriter, right: CommitRight): Promise<OtherAttempt | Committed> {
    try {
      await this.#writeRows(writer);
      const { rows } = this.#parts;
      // A sink might swallow the error of the source.
      if (rows.failure !== undefined) throw rows.failure;
      const metrics = await writer.metrics();
      const other = await right.ask();
      if (other === undefined) {
        const message = await writer.commit();
        return { message, task: await this.#taskRecord(message, metrics) };
      }
      await writer.abandon();
      return other;
    } catch (error) {
      const suppressed = await writer.abandon();
      await right.release();
      throw withSuppressed(error, suppressed);
    }
  }

  /** Writes all rows, watched for a stall. */
  async #writeRows(writer: TaskWriter): Promise<void> {
    const { rows, watch, options, write, context } = this.#parts;
    this.#beginWatch();
    // A task that was told to stop needs no watch any more, even if its sink does not return.
    const stopListening = onAbort(options.signal, () => watch.end());
    try {
      await writer.writeAll(write.matched(rows, context));
    } finally {
      stopListening();
      watch.end();
    }
  }

  /** Waits for the outcome of the attempt that may commit instead of this one. */
  async #yieldTo(other: OtherAttempt): Promise<TaskResult> {
    const winner = await other.outcome();
    if (!isOfPlan(winner, this.#parts.request.run)) throw otherPlan(this.#parts.request);
    return resultOf(winner, false);
  }

  /**
   * Records the task. If another attempt was recorded first, deletes what this one staged and
   * returns the result of the other.
   */
  async #record({ task, message }: Committed): Promise<TaskResult> {
    const { ledger } = this.#parts.ports;
    const key = taskKey(this.#parts.request);
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
    if (!won) await this.#dropCommitted(message);
    if (!isOfPlan(winner, this.#parts.request.run)) throw otherPlan(this.#parts.request);
    return resultOf(winner, won);
  }

  /** Calls the sink's `abortTask`, if it has one. Vacuum removes what is left after an error. */
  async #dropCommitted(message: unknown): Promise<void> {
    const { write, context } = this.#parts;
    const { abortTask } = write.asked as Partial<SupportsTaskAbort<unknown>>;
    try {
      await abortTask?.call(write.asked, message ?? null, context);
    } catch {
      // The result of the task matters more than this error.
    }
  }

  async #taskRecord(message: unknown, metrics: Task["metrics"]): Promise<Task> {
    const { ports, request, watch, startedAt } = this.#parts;
    const { partition, attemptNumber } = request;
    const writerId = this.#writerId;
    return {
      partition,
      rows: watch.rows,
      bytes: watch.bytes,
      milliseconds: ports.runtime.monotonic() - startedAt,
      attemptNumber,
      writerId,
      ...optional("planId", request.run.planId),
      ...optional("metrics", metrics),
      recordedAt: ports.runtime.now(),
      ...(await storeMessage(ports, request.run, writerId, message ?? null)),
    };
  }

  /** Starts the watch, if the caller asked for one. */
  #beginWatch(): void {
    const { options, watch, request, planned, stalling, ports } = this.#parts;
    if (options.watch === undefined || options.signal.aborted) return;
    const { stall, onRunning, onStalled } = options.watch;
    const { partition, attemptNumber } = request;
    const reportToLedger = progressReporter(ports.ledger, taskKey(request));
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
}

/**
 * Returns a function that stores progress reports in the ledger, one call at a time. Errors are
 * ignored, because the reports are only for people.
 */
function progressReporter(ledger: Ledger, key: TaskKey): (running: RunningTask) => void {
  let isReporting = false;
  return (running) => {
    if (isReporting) return;
    isReporting = true;
    ledger
      .reportProgress(key, running)
      .catch(() => undefined)
      .finally(() => {
        isReporting = false;
      });
  };
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
