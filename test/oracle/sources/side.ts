import { AsyncLocalStorage } from "node:async_hooks";
import { isMainThread, threadId } from "node:worker_threads";

/**
 * The side of Spark that makes a call: the driver, or a worker that runs tasks. If a run has its
 * own process, its workers are threads. If it runs in the test's process, its workers are
 * asynchronous contexts.
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
