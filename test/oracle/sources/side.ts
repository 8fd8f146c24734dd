import { AsyncLocalStorage } from "node:async_hooks";
import { isMainThread, threadId } from "node:worker_threads";

/**
 * On which side of Spark a call is made: by the driver, or by a worker that runs tasks. A run in a
 * process of its own has threads for workers; in a run within the test's process, a worker is an
 * asynchronous context.
 */

const workers = new AsyncLocalStorage<string>();

/** Runs the body as the worker of this name. */
export function asWorker<T>(name: string, body: () => Promise<T>): Promise<T> {
  return workers.run(name, body);
}

/** `driver`, or the name of a worker. */
export function sideOf(): string {
  return workers.getStore() ?? (isMainThread ? "driver" : `worker ${threadId}`);
}

export function isDriver(): boolean {
  return sideOf() === "driver";
}
