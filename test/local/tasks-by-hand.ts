import { runTasks, type TasksRequest } from "../../local/run-tasks.ts";
import type { TaskListener, TaskRunner } from "../../local/task-pool.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import type { BatchRun } from "../../shared/engine/ports/ledger.ts";
import type { RunEvent } from "../../shared/engine/ports/run-events.ts";
import type { Ports } from "../../shared/engine/ports/runtime.ts";
import type { TaskResult, WriteRequest } from "../../shared/engine/write/task-request.ts";
import { MemoryLedger } from "../exhaustive/memory-ledger.ts";
import { Clock } from "../support/clock.ts";

export const RUN: BatchRun = {
  pipeline: "orders",
  incarnation: "life-1",
  epoch: 7,
  batchId: 3,
  planId: "plan-3",
  attempt: 1,
  partitionsKey: "batches/3/partitions.json",
};

/** An attempt that a test ends. */
export interface AttemptByHand {
  readonly name: string;
  readonly listener: TaskListener;
  succeed(): void;
  fail(code: "SOURCE_FAILED" | "COMMIT_DENIED" | "WORKER_DIED", retryable?: boolean): void;
}

/** Runs tasks whose attempts a test ends, on a clock that the test moves. */
export class TasksByHand implements TaskRunner {
  readonly clock = new Clock();
  readonly ledger = new MemoryLedger();
  readonly events: RunEvent[] = [];
  /** The attempts in the order in which they began, as `partition.attempt`. */
  readonly begun: string[] = [];
  readonly stopping = new AbortController();
  readonly #attempts = new Map<string, AttemptByHand>();

  /** Starts the tasks of partitions 0, 1, … Returns the failure, or `undefined`. */
  async start(
    partitions: number,
    options: Partial<TasksRequest> = {},
  ): Promise<{ readonly failure: MillraceError | undefined }> {
    const ports = { runtime: this.clock.runtime, ledger: this.ledger } as unknown as Ports;
    const failure = await runTasks(this, ports, {
      run: RUN,
      todo: Array.from({ length: partitions }, (_, partition) => partition),
      partitions,
      maxConcurrency: 4,
      maxAttempts: 3,
      signal: this.stopping.signal,
      onEvent: (event) => this.events.push(event),
      ...options,
    });
    return { failure };
  }

  async run(request: WriteRequest, listener: TaskListener): Promise<TaskResult> {
    const { partition, attemptNumber } = request;
    const name = `${partition}.${attemptNumber}`;
    const { promise, resolve, reject } = Promise.withResolvers<TaskResult>();
    this.begun.push(name);
    this.#attempts.set(name, {
      name,
      listener,
      succeed: () => resolve({ partition, rows: 10, bytes: 80, milliseconds: 5, won: true }),
      fail: (code, retryable = true) =>
        reject(new MillraceError(code, `attempt ${name} failed`, { where: { partition }, retryable })),
    });
    return await promise;
  }

  async destroy(): Promise<void> {}

  attempt(name: string): AttemptByHand {
    const found = this.#attempts.get(name);
    if (found === undefined) throw new Error(`attempt ${name} has not begun`);
    return found;
  }

  /** Ends these attempts one second after now. */
  async succeedAfterOneSecond(...names: readonly string[]): Promise<void> {
    await this.clock.pass(1000);
    for (const name of names) this.attempt(name).succeed();
    await this.clock.pass(0);
  }

  eventsOf<Type extends RunEvent["type"]>(type: Type) {
    return this.events.filter((event) => event.type === type) as Extract<RunEvent, { type: Type }>[];
  }
}
