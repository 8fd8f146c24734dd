import { linkSignals } from "../shared/contract/abort.ts";
import { causeOf, MillraceError } from "../shared/contract/errors.ts";
import { optional } from "../shared/contract/optional.ts";
import { retry } from "../shared/contract/retry.ts";
import type { BatchRun } from "../shared/engine/ports/ledger.ts";
import { partitionEvent, type RunEvent } from "../shared/engine/ports/run-events.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { STEP_RETRY } from "../shared/engine/retry.ts";
import {
  type TaskProgress,
  type TaskResult,
  unreadWarning,
  type WriteRequest,
} from "../shared/engine/write/task.ts";
import type { TaskRunner } from "./task-pool.ts";

export interface TasksRequest {
  readonly run: BatchRun;
  readonly todo: readonly number[];
  /** Number of partitions in the batch, including finished ones. */
  readonly partitions: number;
  readonly maxConcurrency: number;
  readonly maxAttempts: number;
  /** Aborts when the run is interrupted. */
  readonly signal: AbortSignal;
  onEvent(event: RunEvent): void;
}

/** Minimum time between two events of a running partition. */
const PARTITION_EVENT_MILLISECONDS = 1000;

/**
 * Runs the tasks of a batch until all are done, one has failed, or the run is interrupted. Returns
 * the failure, or `undefined`.
 */
export async function runTasks(
  pool: TaskRunner,
  ports: Ports,
  request: TasksRequest,
): Promise<MillraceError | undefined> {
  const queue = request.todo.values();
  const stopping = new AbortController();
  const { signal, unlink } = linkSignals(request.signal, stopping.signal);
  const progress = new BatchProgressCounter(request, ports);
  let failure: MillraceError | undefined;

  async function drainQueue(): Promise<void> {
    for (const partition of queue) {
      if (signal.aborted) return;
      try {
        await runTask(pool, ports, request, partition, signal, progress);
      } catch (error) {
        // If the run is interrupted, the batch stays open and there is no failure. Otherwise only
        // the first failure is kept; later ones come from tasks that were stopped because of it.
        if (!request.signal.aborted) failure ??= error as MillraceError;
        stopping.abort();
      }
    }
  }
  const atOnce = Math.min(request.maxConcurrency, request.todo.length);
  await Promise.all(Array.from({ length: atOnce }, drainQueue));
  unlink();
  return failure;
}

/** Runs one task, with retries after transient errors. */
async function runTask(
  pool: TaskRunner,
  { runtime }: Ports,
  request: TasksRequest,
  partition: number,
  signal: AbortSignal,
  progress: BatchProgressCounter,
): Promise<void> {
  const { run, maxAttempts, onEvent } = request;
  const policy = { ...STEP_RETRY, attempts: maxAttempts };
  const attempt = (number: number) =>
    runAttempt(pool, request, { run, partition, attemptNumber: number - 1 }, signal, progress);
  await retry(runtime, policy, attempt, {
    signal,
    isRetryable: (error) => MillraceError.is(error) && error.retryable && !signal.aborted,
    onRetry: (error, delay) => onEvent(retryEvent(error as MillraceError, delay)),
  });
}

function retryEvent(error: MillraceError, delay: number): RunEvent {
  const cause = causeOf(error)?.split("\n")[0];
  return { type: "retry", delay: Math.round(delay), error: error.toRecord(), ...optional("cause", cause) };
}

async function runAttempt(
  pool: TaskRunner,
  { onEvent }: TasksRequest,
  task: WriteRequest,
  signal: AbortSignal,
  progress: BatchProgressCounter,
): Promise<void> {
  const attempt = progress.begin(task.partition, task.attemptNumber);
  try {
    const result = await pool.run(task, {
      signal,
      onProgress: (now) => progress.update(attempt, now),
      onStalled: (stalled) => onEvent({ type: "stalled", ...stalled }),
    });
    progress.finish(attempt, result);
    if (result.unread && progress.isFirstUnread())
      onEvent({ type: "warning", error: unreadWarning(task).toRecord() });
  } catch (error) {
    progress.drop(attempt);
    throw error;
  }
}

/** An attempt of a task, and when its last event was emitted. */
interface TaskAttempt {
  readonly partition: number;
  readonly attemptNumber: number;
  /** In the time of `Runtime.monotonic`. */
  readonly startedAt: number;
  lastEventAt: number;
}

/** Sums up the progress of a batch's tasks and emits events. */
class BatchProgressCounter {
  readonly #request: TasksRequest;
  readonly #monotonic: () => number;
  readonly #tasks = new Map<number, TaskProgress>();
  #rows = 0;
  #bytes = 0;
  #hasUnread = false;
  #done: number;

  constructor(request: TasksRequest, { runtime }: Ports) {
    this.#request = request;
    this.#monotonic = () => runtime.monotonic();
    this.#done = request.partitions - request.todo.length;
  }

  /**
   * Returns true the first time only, so that a batch with many such partitions causes one warning.
   */
  isFirstUnread(): boolean {
    const isFirst = !this.#hasUnread;
    this.#hasUnread = true;
    return isFirst;
  }

  begin(partition: number, attemptNumber: number): TaskAttempt {
    const now = this.#monotonic();
    return { partition, attemptNumber, startedAt: now, lastEventAt: now };
  }

  update(attempt: TaskAttempt, progress: TaskProgress): void {
    this.#add(attempt, progress);
    const now = this.#monotonic();
    if (now - attempt.lastEventAt < PARTITION_EVENT_MILLISECONDS) return;
    attempt.lastEventAt = now;
    this.#emitPartition("running", attempt, { ...progress, milliseconds: now - attempt.startedAt });
  }

  finish(attempt: TaskAttempt, result: TaskResult): void {
    this.#done++;
    this.#emitPartition("written", attempt, result);
    this.#add(attempt, result);
  }

  /** Removes the attempt's rows and bytes from the sums. */
  drop(attempt: TaskAttempt): void {
    this.#add(attempt, { rows: 0, bytes: 0 });
  }

  #add({ partition }: TaskAttempt, { rows, bytes }: TaskProgress): void {
    const before = this.#tasks.get(partition) ?? { rows: 0, bytes: 0 };
    this.#tasks.set(partition, { rows, bytes });
    this.#rows += rows - before.rows;
    this.#bytes += bytes - before.bytes;
    this.#request.onEvent({
      type: "progress",
      batchId: this.#request.run.batchId,
      partitionsDone: this.#done,
      partitions: this.#request.partitions,
      rows: this.#rows,
      bytes: this.#bytes,
    });
  }

  #emitPartition(
    state: "running" | "written",
    { partition, attemptNumber }: TaskAttempt,
    { rows, bytes, milliseconds }: TaskProgress & { readonly milliseconds: number },
  ): void {
    const { run, onEvent } = this.#request;
    onEvent(partitionEvent(run, state, { partition, attemptNumber, rows, bytes, milliseconds }));
  }
}
