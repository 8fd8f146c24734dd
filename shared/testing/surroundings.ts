import { randomUUID } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import type { DataSourceRuntime, Runtime, SinkContext, TaskContext } from "../contract/context.ts";
import { STORE_FOLDER } from "../contract/store-layout.ts";
import { DirectoryStore } from "../platform/embedded/directory-store.ts";
import { type MemoryObjects, MemoryStore } from "../platform/memory/memory-store.ts";

/** Settings of the simulated surroundings of a pipeline. */
export interface SurroundingsOptions {
  /**
   * Start of the clock, epoch milliseconds or ISO 8601. The clock moves only when the check or run
   * moves it. Default: the current time.
   */
  readonly now?: number | string;
  /** Environment variables, for secrets. Default: none. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Simulated surroundings in memory: a clock that stands still, a store, and environment variables.
 */
export class Surroundings {
  /** Time of the simulated clock, in epoch milliseconds. */
  now: number;
  readonly store: MemoryStore;
  readonly runtime: Runtime;
  /**
   * Name of the pipeline. A real target would refuse a second check under the same name, because
   * the pipeline has another incarnation.
   */
  readonly pipeline: string = `checked-${randomUUID()}`;
  readonly #objects: MemoryObjects;
  readonly #otherStores = new Map<string, MemoryStore>();

  constructor({ now = Date.now(), env = {} }: SurroundingsOptions) {
    this.now = new Date(now).getTime();
    this.#objects = { objects: new Map(), uploads: new Map(), now: () => this.now };
    this.store = new MemoryStore(this.#objects);
    this.runtime = {
      now: () => this.now,
      monotonic: () => this.now,
      random: () => 0.5,
      newId: randomUUID,
      env,
      sleep: async (milliseconds, signal) => {
        // Yields before the clock moves, so that a sleep that is aborted right away does not move
        // it.
        if (signal !== undefined) await setImmediate();
        signal?.throwIfAborted();
        this.now += milliseconds;
      },
    };
  }

  /**
   * Returns the system clock in epoch milliseconds. A source may use it instead of the clock of its
   * runtime.
   */
  realNow(): number {
    return Date.now();
  }

  /**
   * Opens a store. A folder is a real folder; a location with a scheme, such as `s3://`, is in
   * memory.
   */
  openStore(location: string): DirectoryStore | MemoryStore {
    if (!/^[a-z][a-z0-9+.-]+:/i.test(location)) return new DirectoryStore(location);
    const there =
      this.#otherStores.get(location) ?? new MemoryStore({ ...this.#objects, objects: new Map() });
    this.#otherStores.set(location, there);
    return there;
  }

  dataSourceRuntime(): DataSourceRuntime {
    return {
      ...this.runtime,
      store: this.store.at(STORE_FOLDER.source),
      openStore: (location) => this.openStore(location),
    };
  }

  sinkContext(incarnation: string): SinkContext {
    return {
      pipeline: this.pipeline,
      incarnation,
      store: this.store,
      openStore: (location) => this.openStore(location),
    };
  }

  taskContext(task: Partial<TaskContext> = {}): TaskContext {
    return {
      ...this.sinkContext("1"),
      batchId: 0,
      planId: "1",
      attempt: 1,
      partitionId: 0,
      attemptNumber: 0,
      signal: new AbortController().signal,
      ...task,
    };
  }
}
