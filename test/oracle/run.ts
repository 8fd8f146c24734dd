import { appendFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Home } from "../../local/home.ts";
import type { RunOptions } from "../../local/run-options.ts";
import { run, type StartTasks } from "../../local/runner.ts";
import type { TaskListener, TaskRunner } from "../../local/task-pool.ts";
import { ThreadTasks } from "../../local/thread-tasks.ts";
import type { WorkerSetup } from "../../local/wire.ts";
import { causeOf, MillraceError, toMillraceError } from "../../shared/contract/errors.ts";
import type { Pipeline } from "../../shared/contract/pipeline.ts";
import { type TaskResult, taskLocation, type WriteRequest } from "../../shared/engine/write/task-request.ts";
import type { Job } from "./job.ts";
import { pipelineOf } from "./pipelines.ts";
import { asWorker } from "./sources/side.ts";
import type { Entry } from "./trace.ts";

/** Number of tasks that run at once, like `local[2]` in Spark. */
const WORKERS = 2;

/**
 * Executes one run of a scenario with the embedded runner, and logs it in the form of the
 * recording. `startTasks` starts the runner of the tasks. By default the tasks run in worker
 * threads.
 */
export async function runJob(job: Job, startTasks?: StartTasks): Promise<void> {
  const stopping = new AbortController();
  const left: { idle?: number; batch?: number } = { ...job.until };
  let exception: { readonly code?: string; readonly text: string } | null = null;
  let rows = 0;
  const options: RunOptions = {
    pipeline: pipelineOf(job),
    entry: fileURLToPath(new URL("job.pipeline.ts", import.meta.url)),
    home: new Home(job.home),
    trigger: job.trigger,
    maxConcurrency: WORKERS,
    maxAttempts: job.maxAttempts,
    signal: stopping.signal,
    onEvent: (event) => {
      const { type } = event;
      if (event.type === "ended") rows = event.rows;
      // Spark's query ends at its first failure, where a run with an interval waits.
      if (event.type === "waiting") {
        const { code, message } = event.error;
        exception = { code, text: `MillraceError: ${message}\n${event.cause ?? ""}` };
        stopping.abort();
      }
      if (type !== "idle" && type !== "batch") return;
      const count = (left[type] ?? Number.POSITIVE_INFINITY) - 1;
      left[type] = count;
      if (count === 0) stopping.abort();
    },
  };
  try {
    await run(options, startTasks);
  } catch (error) {
    const cause = MillraceError.is(error) ? causeOf(error) : undefined;
    exception = {
      ...(MillraceError.is(error) ? { code: error.code } : {}),
      text: `${String(error)}\n${cause ?? ""}`,
    };
  }
  appendFileSync(job.trace, `${JSON.stringify(ended(job, exception, rows))}\n`);
}

/** Runs a job in this process. Each task is an asynchronous call, not a thread. */
export async function runJobHere(job: Job): Promise<void> {
  const pipeline = pipelineOf(job);
  await runJob(job, (workers, setup) => new TasksHere(workers, setup, pipeline));
}

/**
 * Runs the tasks of a run in this process. Each worker has its own instances of source and sink.
 */
class TasksHere implements TaskRunner {
  readonly #idle: { readonly name: string; readonly tasks: ThreadTasks }[];

  constructor(workers: number, setup: WorkerSetup, pipeline: Pipeline) {
    this.#idle = Array.from({ length: workers }, (_, i) => ({
      name: `worker ${i}`,
      tasks: new ThreadTasks(setup, async () => pipeline),
    }));
  }

  async run(request: WriteRequest, listener: TaskListener): Promise<TaskResult> {
    const worker = this.#idle.shift();
    if (worker === undefined) throw new Error("more tasks at once than workers");
    try {
      return await asWorker(worker.name, () => worker.tasks.run(request, listener));
    } catch (error) {
      throw toMillraceError(error, "TASK_FAILED", "the task failed", taskLocation(request), true);
    } finally {
      this.#idle.push(worker);
    }
  }

  async destroy(): Promise<void> {
    await Promise.all(this.#idle.map(({ tasks }) => tasks.close()));
  }
}

function ended(job: Job, exception: { code?: string; text: string } | null, rows: number): Entry {
  if (job.batch === undefined) {
    const args = { exception: exception?.text ?? null, code: exception?.code ?? null };
    return { call: "== driver: query ended", args };
  }
  if (exception !== null) return { call: "== driver: exception", args: exception };
  return { call: "== driver: returned", args: { value: job.batch.kind === "read" ? rows : null } };
}
