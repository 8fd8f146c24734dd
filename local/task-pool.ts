import { extname } from "node:path";
import { MessageChannel, receiveMessageOnPort } from "node:worker_threads";
import { Piscina } from "piscina";
import { onAbort } from "../shared/contract/abort.ts";
import { type ErrorLocation, MillraceError } from "../shared/contract/errors.ts";
import type { StalledTask } from "../shared/engine/ports/run-events.ts";
import {
  type TaskProgress,
  type TaskResult,
  taskLocation,
  type WriteRequest,
} from "../shared/engine/write/task-request.ts";
import { adviceFor, systemCodeOf } from "../shared/platform/embedded/advice.ts";
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

/**
 * Memory for new objects of a thread. With V8's own bound, a thread that runs thousands of small
 * tasks takes 100 MB before it collects their buffers. A smaller bound than this costs time.
 */
const YOUNG_MEGABYTES = 24;

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

/** The error of a task for which no thread could start, with advice that fits the cause. */
function threadFailed(where: ErrorLocation, cause: unknown): MillraceError {
  const message = cause instanceof Error ? cause.message : String(cause);
  const code = systemCodeOf(cause) ?? /\bE[A-Z]{3,}\b/.exec(message)?.[0];
  const { hint } = adviceFor(code);
  return new MillraceError("WORKER_DIED", `no thread could start for the task: ${code ?? "unknown cause"}`, {
    where,
    retryable: true,
    hint,
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
  /** Makes each task that is not done fail, because no thread could start. */
  readonly #waiting = new Set<(cause: unknown) => void>();

  constructor(threads: number, setup: WorkerSetup) {
    this.#pool = new Piscina({
      // The worker is beside this file: TypeScript in the repository, JavaScript in the package.
      filename: new URL(`./worker${extname(import.meta.url)}`, import.meta.url).href,
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: 60_000,
      workerData: setup,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEGABYTES },
    });
    // A thread that dies while idle is replaced. One that dies during a task makes `run` reject.
    // But if the only thread dies before it takes a task, nothing would ever take that task.
    this.#pool.on("error", (cause: unknown) =>
      setImmediate(() => {
        if (this.#pool.threads.length > 0) return;
        for (const fail of [...this.#waiting]) fail(cause);
      }),
    );
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
    const stopListening = onAbort(options.signal, stop);
    let lost: { readonly cause: unknown } | undefined;
    const fail = (cause: unknown) => {
      lost = { cause };
      terminating.abort();
    };
    this.#waiting.add(fail);
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
      if (lost !== undefined) throw threadFailed(where, lost.cause);
      if (terminating.signal.aborted) {
        throw new MillraceError("TASK_CANCELLED", "the task did not stop, and was ended", { where });
      }
      readRest();
      throw uncaught?.with({ where, retryable: true }) ?? workerDied(where, error);
    } finally {
      this.#waiting.delete(fail);
      clearTimeout(grace);
      stopListening();
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
