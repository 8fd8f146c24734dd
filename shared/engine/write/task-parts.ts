import { LeftOutFields } from "../../arrow/left-out.ts";
import { onAbort } from "../../contract/abort.ts";
import type { TaskContext } from "../../contract/context.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import { optional } from "../../contract/optional.ts";
import { quarantineFolder } from "../bad-rows/files.ts";
import { policyOf } from "../bad-rows/refused-rows.ts";
import { SinkBadRows } from "../bad-rows/sink-rows.ts";
import { BadRowCollector } from "../bad-rows/task-bad-rows.ts";
import { type PlannedTask, readPlannedTask } from "../partitions-file.ts";
import { isOfPlan } from "../plan-tasks.ts";
import type { Ledger } from "../ports/ledger.ts";
import { identityOf } from "../ports/position.ts";
import type { Ports } from "../ports/runtime.ts";
import type { RunningTask, Task, TaskKey } from "../ports/tasks.ts";
import type { Sessions } from "../sessions/open-sessions.ts";
import { TaskRows } from "./rows.ts";
import { stalledError, stalledTask } from "./stall.ts";
import { storeMessage } from "./task-message.ts";
import {
  type TaskResult,
  taskKey,
  taskLocation,
  type WriteOptions,
  type WriteRequest,
} from "./task-request.ts";
import { TaskWatch } from "./watch.ts";

/** Everything that a running task uses. */
export interface TaskParts {
  readonly sessions: Sessions;
  readonly ports: Ports;
  readonly request: WriteRequest;
  readonly options: WriteOptions;
  /** Aborts when the task must fail because of a stall. */
  readonly stalling: AbortController;
  /** In the time of `Runtime.monotonic`. */
  readonly startedAt: number;
  readonly planned: PlannedTask;
  readonly context: TaskContext;
  /** The context of the sink's writer. */
  readonly sinkContext: TaskContext;
  readonly watch: TaskWatch;
  readonly rows: TaskRows;
  /** Absent if a bad row fails the batch. */
  readonly badRows: BadRowCollector | undefined;
  /** The bad rows that the sink's writer has found. */
  readonly sinkBadRows: SinkBadRows | undefined;
}

/** Reads the plan of the batch and creates the row source of the task. */
export async function prepareTask(
  given: Pick<TaskParts, "sessions" | "ports" | "request" | "options" | "stalling">,
): Promise<TaskParts> {
  const { sessions, ports, request, options } = given;
  const { run, partition, attemptNumber } = request;
  const startedAt = ports.runtime.monotonic();
  const planned = await readPlannedTask(ports.store, run.partitionsKey, partition);
  const leftOut = new LeftOutFields();
  const where = taskLocation(request);
  const badRows = badRowsOf(given, planned, where);
  const context: TaskContext = {
    ...sessions.sink.context(run.incarnation),
    ...identityOf(run),
    attempt: run.attempt,
    partitionId: partition,
    attemptNumber,
    signal: options.signal,
    leftOut: (names, count) => leftOut.add(names, count),
    ...optional("badRows", badRows),
  };
  const watch = new TaskWatch(ports.runtime);
  const rows = new TaskRows({ ...given, ...options, planned, context, where, watch, leftOut });
  const sinkBadRows = badRows && new SinkBadRows(badRows, sessions.pipeline);
  const sinkContext = { ...context, ...optional("badRows", sinkBadRows) };
  return { ...given, startedAt, planned, context, sinkContext, watch, rows, badRows, sinkBadRows };
}

function badRowsOf(
  { sessions, ports, request }: Pick<TaskParts, "sessions" | "ports" | "request">,
  { isRetry }: PlannedTask,
  where: ErrorLocation,
): BadRowCollector | undefined {
  const policy = policyOf(sessions.pipeline, isRetry);
  if (policy === undefined) return undefined;
  const prefix = `${quarantineFolder(request.run.batchId)}${ports.runtime.newId()}`;
  return new BadRowCollector(policy, { store: ports.store, prefix, where });
}

/** Runs what moves the rows of a task, watched for a stall if the caller asked for it. */
export async function watched(parts: TaskParts, moveRows: () => Promise<void>): Promise<void> {
  const { watch, options } = parts;
  beginWatch(parts);
  // A task that was told to stop needs no watch any more, even if its sink does not return.
  const stopListening = onAbort(options.signal, () => watch.end());
  try {
    await moveRows();
  } finally {
    stopListening();
    watch.end();
  }
}

function beginWatch({ options, watch, request, planned, stalling, ports }: TaskParts): void {
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

/** Returns the record of a finished task. A large message is stored beside it. */
export async function taskRecord(
  { ports, request, watch, startedAt, badRows, sinkBadRows }: TaskParts,
  writerId: string,
  message: unknown,
  figures: Pick<Task, "metrics" | "counts">,
): Promise<Task> {
  const { partition, attemptNumber } = request;
  return {
    partition,
    rows: watch.rows - (sinkBadRows?.rows ?? 0),
    ...optional("rowsRead", watch.rowsRead),
    bytes: watch.bytes,
    milliseconds: ports.runtime.monotonic() - startedAt,
    attemptNumber,
    writerId,
    ...optional("planId", request.run.planId),
    ...figures,
    ...optional("bad", await badRows?.finish()),
    recordedAt: ports.runtime.now(),
    ...(await storeMessage(ports, request.run, writerId, message ?? null)),
  };
}

/**
 * Records the task. If another attempt was recorded first, drops what this one staged and returns
 * the result of the other.
 */
export async function recordTask(
  { ports, request }: Pick<TaskParts, "ports" | "request">,
  task: Task,
  drop: () => Promise<void>,
): Promise<TaskResult> {
  const { ledger } = ports;
  const key = taskKey(request);
  let winner: Task;
  try {
    winner = await ledger.recordTask(key, task);
  } catch (error) {
    // The record may exist, or may still be written. So the staged rows are kept, unless the record
    // of another attempt is found.
    const recorded = await ledger.task(key).catch(() => undefined);
    if (recorded === undefined) throw error;
    winner = recorded;
  }
  const won = winner.writerId === task.writerId;
  if (!won) await drop();
  return resultOfPlan(winner, request, won);
}

/** Returns the result of a recorded task. Throws `RUN_IS_STALE` if it is of another plan. */
export function resultOfPlan(task: Task, request: WriteRequest, won: boolean): TaskResult {
  if (!isOfPlan(task, request.run)) throw otherPlan(request);
  return resultOf(task, won);
}

export function resultOf(task: Task, won: boolean): TaskResult {
  return {
    partition: task.partition,
    rows: task.rows,
    bytes: task.bytes,
    milliseconds: task.milliseconds,
    won,
  };
}

function otherPlan(request: WriteRequest): MillraceError {
  return new MillraceError("RUN_IS_STALE", "the task is recorded for another plan of the batch", {
    where: taskLocation(request),
    hint: "Nothing is lost: the batch is aborted, and the next run writes all of it again. The ledger was put back to an older copy while a run was at work; look that no other run goes on with what the ledger had before.",
  });
}
