import { extname } from "node:path";
import { MessageChannel, receiveMessageOnPort } from "node:worker_threads";
import { Piscina } from "piscina";
import { type ErrorLocation, MillraceError } from "../shared/contract/errors.ts";
import type { StalledTask } from "../shared/engine/ports/run-events.ts";
import {
  type TaskProgress,
  type TaskResult,
  taskLocation,
  type WriteRequest,
} from "../shared/engine/write/task.ts";
import {
  type FromTask,
  fromWire,
  type TaskAnswer,
  type TaskCall,
  type ToTask,
  type WorkerSetup,
} from "./wire.ts";

/** How long a task may take to stop before its thread is terminated. */
const GRACE_MILLISECONDS = 5000;

export interface TaskListener {
  /** Aborts when the task should stop. */
  readonly signal: AbortSignal;
  onProgress(progress: TaskProgress): void;
  onStalled(stalled: StalledTask): void;
}

function workerDied(where: ErrorLocation, cause: unknown): MillraceError {
  return new MillraceError("WORKER_DIED", "the thread of the task died", {
    where,
    retryable: true,
    hint: "The source or the sink ended it, or it ran out of memory: give smaller partitions, or lower --max-concurrency.",
    cause,
  });
}

/** Runs the writer tasks of a run. */
export interface TaskRunner {
  /** Runs one task. Rejects with a `MillraceError`. */
  run(request: WriteRequest, listener: TaskListener): Promise<TaskResult>;
  destroy(): Promise<void>;
}

/** Worker threads that run writer tasks. */
export class TaskPool implements TaskRunner {
  readonly #pool: Piscina;

  constructor(threads: number, setup: WorkerSetup) {
    this.#pool = new Piscina({
      // The worker is beside this file: TypeScript in the repository, JavaScript in the package.
      filename: new URL(`./worker${extname(import.meta.url)}`, import.meta.url).href,
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: 60_000,
      workerData: setup,
    });
    // A thread that dies while idle is replaced. One that dies during a task makes `run` reject.
    this.#pool.on("error", () => undefined);
  }

  /**
   * Runs one task. When `signal` aborts, the task is asked to stop. If it does not, its thread is
   * terminated and it fails with `TASK_CANCELLED`.
   */
  async run(request: WriteRequest, options: TaskListener): Promise<TaskResult> {
    const { port1: port, port2: workerPort } = new MessageChannel();
    const terminating = new AbortController();
    let grace: NodeJS.Timeout | undefined;
    const stop = () => {
      port.postMessage("stop" satisfies ToTask);
      grace = setTimeout(() => terminating.abort(), GRACE_MILLISECONDS);
    };
    let uncaught: MillraceError | undefined;
    const onMessage = (news: FromTask) => {
      if ("uncaught" in news) uncaught = fromWire(news.uncaught);
      else if ("stalled" in news) options.onStalled(news.stalled);
      else options.onProgress(news.progress);
    };
    // The result may arrive before messages that were sent earlier.
    const readRest = () => {
      for (let left = receiveMessageOnPort(port); left !== undefined; left = receiveMessageOnPort(port))
        onMessage(left.message as FromTask);
    };
    port.on("message", onMessage);
    options.signal.addEventListener("abort", stop, { once: true });
    if (options.signal.aborted) stop();
    let answer: TaskAnswer;
    try {
      const call: TaskCall = { request, port: workerPort };
      answer = (await this.#pool.run(call, {
        name: "runTask",
        transferList: [workerPort],
        signal: terminating.signal,
      })) as TaskAnswer;
    } catch (error) {
      const where = taskLocation(request);
      if (terminating.signal.aborted) {
        throw new MillraceError("TASK_CANCELLED", "the task did not stop, and was ended", { where });
      }
      readRest();
      throw uncaught?.with({ where, retryable: true }) ?? workerDied(where, error);
    } finally {
      clearTimeout(grace);
      options.signal.removeEventListener("abort", stop);
      readRest();
      port.close();
    }
    if ("error" in answer) throw fromWire(answer.error);
    return answer.result;
  }

  /** Terminates the threads immediately. */
  async destroy(): Promise<void> {
    await this.#pool.destroy();
  }
}
