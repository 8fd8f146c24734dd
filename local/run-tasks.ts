import { linkSignals } from "../shared/contract/abort.ts";
import type { MillraceError } from "../shared/contract/errors.ts";
import type { BatchRun } from "../shared/engine/ports/ledger.ts";
import type { RunEvent } from "../shared/engine/ports/run-events.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { BatchProgressCounter } from "./batch-progress.ts";
import { SPECULATION, type SpeculationPolicy, slowAfter } from "./speculation.ts";
import { TaskAttempts, type TaskParts } from "./task-attempts.ts";
import type { TaskRunner } from "./task-pool.ts";
import { TaskSlots } from "./task-slots.ts";

export interface TasksRequest {
  readonly run: BatchRun;
  readonly todo: readonly number[];
  /** Number of partitions in the batch, including finished ones. */
  readonly partitions: number;
  readonly maxConcurrency: number;
  /** The slots of the run. Absent if no attempts of earlier batches can be left. */
  readonly slots?: TaskSlots;
  readonly maxAttempts: number;
  /** When a slow task gets a second attempt. Absent if none does. */
  readonly speculation?: Partial<SpeculationPolicy> | undefined;
  /** Aborts when the run is interrupted. */
  readonly signal: AbortSignal;
  /** Names of fields that a warning of this run has told already. */
  readonly toldFields?: Set<string>;
  onEvent(event: RunEvent): void;
}

/**
 * Runs the tasks of a batch until all are done, one has failed, or the run is interrupted. Returns
 * the failure, or `undefined`. If a task had two attempts, the slower one may still be stopping.
 */
export async function runTasks(
  pool: TaskRunner,
  ports: Ports,
  request: TasksRequest,
): Promise<MillraceError | undefined> {
  const stopping = new AbortController();
  const { signal, unlink } = linkSignals(request.signal, stopping.signal);
  const slots = request.slots ?? new TaskSlots(request.maxConcurrency);
  const progress = new BatchProgressCounter(request, ports);
  const tasks = new BatchTasks({ ...request, pool, ports, slots, progress, signal }, request);
  await tasks.readFinished();
  let failure: MillraceError | undefined;

  async function drainQueue(): Promise<void> {
    for (const task of tasks.queue) {
      if (signal.aborted) return;
      try {
        await tasks.run(task);
      } catch (error) {
        // If the run is interrupted, the batch stays open and there is no failure. Otherwise only
        // the first failure is kept; later ones come from tasks that were stopped because of it.
        if (!request.signal.aborted) failure ??= error as MillraceError;
        stopping.abort();
      }
    }
  }
  const over = new AbortController();
  const speculating = tasks.speculate(over.signal);
  const atOnce = Math.min(request.maxConcurrency, request.todo.length);
  await Promise.all(Array.from({ length: atOnce }, drainQueue));
  over.abort();
  await speculating;
  unlink();
  const warning = progress.leftOutWarning(request.toldFields ?? new Set());
  if (warning !== undefined) request.onEvent({ type: "warning", error: warning.toRecord() });
  return failure;
}

/** The tasks of a batch that have to run. */
class BatchTasks {
  readonly queue: IterableIterator<number>;
  readonly #parts: TaskParts;
  readonly #request: TasksRequest;
  readonly #running = new Set<TaskAttempts>();
  /** How long each finished task took, in milliseconds. */
  readonly #finished: number[] = [];
  #begun = 0;

  constructor(parts: TaskParts, request: TasksRequest) {
    this.queue = request.todo.values();
    this.#parts = parts;
    this.#request = request;
  }

  async run(partition: number): Promise<void> {
    const task = new TaskAttempts(this.#parts, partition);
    this.#begun++;
    this.#running.add(task);
    try {
      this.#finished.push(await task.run());
    } finally {
      this.#running.delete(task);
    }
  }

  /** Looks for slow tasks until `over` aborts. Tasks that have not begun get free slots first. */
  async speculate(over: AbortSignal): Promise<void> {
    const { ports, slots } = this.#parts;
    const { speculation, todo, partitions } = this.#request;
    if (speculation === undefined) return;
    const policy = { ...SPECULATION, ...speculation };
    for (;;) {
      await ports.runtime.sleep(policy.intervalMs, over).catch(() => undefined);
      if (over.aborted) return;
      const slow = slowAfter(policy, this.#finished, partitions);
      if (slow === undefined || this.#begun < todo.length) continue;
      for (const task of this.#running) if (slots.isFree) task.speculate(slow);
    }
  }

  /** Reads how long the tasks took that an earlier run has finished, for a speculation. */
  async readFinished(): Promise<void> {
    const { todo, partitions, run, speculation } = this.#request;
    if (speculation === undefined || todo.length === partitions) return;
    const tasks = await this.#parts.ports.ledger.tasks(run);
    const isTodo = new Set(todo);
    for (const { partition, milliseconds } of tasks)
      if (!isTodo.has(partition)) this.#finished.push(milliseconds);
  }
}
