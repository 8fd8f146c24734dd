import { causeOf, MillraceError } from "../shared/contract/errors.ts";
import type { Ports } from "../shared/engine/ports.ts";
import { backOff } from "../shared/engine/retry.ts";
import type { TaskProgress } from "../shared/engine/write.ts";
import type { BatchRun } from "../shared/ledger/ledger.ts";
import type { RunEvent } from "./run-events.ts";
import type { TaskPool } from "./task-pool.ts";

export interface TasksRequest {
  readonly run: BatchRun;
  readonly todo: readonly number[];
  /** Partitions of the batch, with those that are done. */
  readonly partitions: number;
  readonly maxConcurrency: number;
  readonly maxAttempts: number;
  /** Aborts when the run is interrupted. */
  readonly signal: AbortSignal;
  onEvent(event: RunEvent): void;
}

/** Runs the tasks of a batch until all are done, or one has failed for good, or the run is interrupted; gives the failure. */
export async function runTasks(
  pool: TaskPool,
  ports: Ports,
  request: TasksRequest,
): Promise<MillraceError | undefined> {
  const queue = [...request.todo];
  const stopping = new AbortController();
  const signal = AbortSignal.any([request.signal, stopping.signal]);
  const progress = new BatchProgressCounter(request);
  let failure: MillraceError | undefined;

  async function drainQueue(): Promise<void> {
    for (let partition = queue.shift(); partition !== undefined; partition = queue.shift()) {
      if (signal.aborted) return;
      try {
        await runTask(pool, ports, request, partition, signal, progress);
      } catch (error) {
        // A run that is interrupted leaves the batch as it is. Else the first failure tells why; those of tasks that were stopped because of it do not.
        if (!request.signal.aborted) failure ??= error as MillraceError;
        stopping.abort();
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(request.maxConcurrency, queue.length) }, drainQueue));
  return failure;
}

async function runTask(
  pool: TaskPool,
  ports: Ports,
  request: TasksRequest,
  partition: number,
  signal: AbortSignal,
  progress: BatchProgressCounter,
): Promise<void> {
  for (let attemptNumber = 0; ; attemptNumber++) {
    try {
      const result = await pool.run(
        { run: request.run, partition, attemptNumber },
        { signal, onProgress: (now) => progress.update(partition, now) },
      );
      progress.finish(partition, result);
      return;
    } catch (error) {
      progress.update(partition, { rows: 0, bytes: 0 });
      if (
        !MillraceError.is(error) ||
        !error.retryable ||
        attemptNumber + 1 >= request.maxAttempts ||
        signal.aborted
      )
        throw error;
      const delay = Math.round(backOff(attemptNumber + 1, ports.random));
      const cause = causeOf(error)?.split("\n")[0];
      request.onEvent({
        type: "retry",
        delay,
        error: error.toRecord(),
        ...(cause === undefined ? {} : { cause }),
      });
      await ports.runtime.sleep(delay, signal).catch(() => undefined);
      if (signal.aborted) throw error;
    }
  }
}

/** Adds up the tasks of a batch. */
class BatchProgressCounter {
  readonly #request: TasksRequest;
  readonly #tasks = new Map<number, TaskProgress>();
  #done: number;

  constructor(request: TasksRequest) {
    this.#request = request;
    this.#done = request.partitions - request.todo.length;
  }

  update(partition: number, progress: TaskProgress): void {
    this.#tasks.set(partition, progress);
    this.#tell();
  }

  finish(partition: number, progress: TaskProgress): void {
    this.#done++;
    this.update(partition, progress);
  }

  #tell(): void {
    let rows = 0;
    let bytes = 0;
    for (const task of this.#tasks.values()) {
      rows += task.rows;
      bytes += task.bytes;
    }
    const { run, partitions } = this.#request;
    this.#request.onEvent({
      type: "progress",
      batchId: run.batchId,
      partitionsDone: this.#done,
      partitions,
      rows,
      bytes,
    });
  }
}
