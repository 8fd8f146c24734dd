import { AsyncLocalStorage } from "node:async_hooks";
import { isMainThread, threadId } from "node:worker_threads";

/**
 * Tells which side of Spark makes a call: the driver, or a worker that runs tasks. In a run with
 * its own process, workers are threads. In a run within the test's process, a worker is an
 * asynchronous context.
 */

const workers = new AsyncLocalStorage<string>();

/** Runs the body as the worker of this name. */
export function asWorker<T>(name: string, body: () => Promise<T>): Promise<T> {
  return workers.run(name, body);
}

/** Returns `driver` or the name of the worker. */
export function sideOf(): string {
  return workers.getStore() ?? (isMainThread ? "driver" : `worker ${threadId}`);
}

export function isDriver(): boolean {
  return sideOf() === "driver";
}
