import type { TaskListener, TaskRunner } from "../../../local/task-pool.ts";
import { ThreadTasks } from "../../../local/thread-tasks.ts";
import type { WorkerSetup } from "../../../local/wire.ts";
import { toMillraceError } from "../../../shared/contract/errors.ts";
import type { Pipeline } from "../../../shared/contract/pipeline.ts";
import {
  type TaskResult,
  taskLocation,
  type WriteRequest,
} from "../../../shared/engine/write/task-request.ts";
import { type Caller, callingAs } from "./log.ts";
import type { Attempt, Run } from "./trace.ts";

/**
 * Runs the tasks of a statement in this process. Each worker has its own instances of source and
 * sink. The calls of each attempt are logged in the statement.
 */
export class TasksHere implements TaskRunner {
  readonly #setup: WorkerSetup;
  readonly #pipeline: Pipeline;
  readonly #run: Run;
  readonly #workers: ThreadTasks[] = [];
  readonly #idle: ThreadTasks[] = [];
  readonly #running = new Set<Promise<unknown>>();

  constructor(setup: WorkerSetup, pipeline: Pipeline, run: Run) {
    this.#setup = setup;
    this.#pipeline = pipeline;
    this.#run = run;
  }

  async run(request: WriteRequest, listener: TaskListener): Promise<TaskResult> {
    const attempt: Attempt = {
      epoch: request.run.batchId,
      partition: request.partition,
      attempt: request.attemptNumber,
      calls: [],
    };
    this.#run.attempts.push(attempt);
    const caller: Caller = {
      calls: attempt.calls,
      attempt: request.attemptNumber,
      signal: listener.signal,
    };
    const running = callingAs(caller, () => this.#onWorker(request, listener));
    this.#running.add(running);
    return await running.finally(() => this.#running.delete(running));
  }

  async #onWorker(request: WriteRequest, listener: TaskListener): Promise<TaskResult> {
    const worker = this.#idle.pop() ?? this.#newWorker();
    try {
      return await worker.run(request, listener);
    } catch (error) {
      throw toMillraceError(error, "TASK_FAILED", "the task failed", taskLocation(request), true);
    } finally {
      this.#idle.push(worker);
    }
  }

  #newWorker(): ThreadTasks {
    const worker = new ThreadTasks(this.#setup, async () => this.#pipeline);
    this.#workers.push(worker);
    return worker;
  }

  /** A thread would be ended here. What a task does until then belongs to the recording. */
  async destroy(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    await Promise.all(this.#workers.map((worker) => worker.close()));
  }
}
