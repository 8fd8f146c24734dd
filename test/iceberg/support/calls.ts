import { DatabaseSync, StatementSync } from "node:sqlite";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import { storeAround } from "./store-around.ts";

/** When a process is killed: at a call, before or after it takes effect. */
export interface Kill {
  /** Number of the call, from 1. */
  readonly call: number;
  readonly moment: "before" | "after";
}

/**
 * Counts the calls of this process to stores and to SQLite, and kills it at one of them. A process
 * uses one instance only.
 */
export class CountedCalls {
  #kill: Kill | undefined;
  #calls = 0;

  constructor() {
    this.#countMethods(StatementSync.prototype, ["run", "get", "all"]);
    this.#countMethods(DatabaseSync.prototype, ["exec"]);
  }

  /** Starts to count again. Returns how many calls there were. */
  arm(kill: Kill | undefined): number {
    const calls = this.#calls;
    this.#calls = 0;
    this.#kill = kill;
    return calls;
  }

  #reach(moment: Kill["moment"], call: number): void {
    if (this.#kill?.call === call && this.#kill.moment === moment) process.kill(process.pid, "SIGKILL");
  }

  #countMethods<T extends object>(prototype: T, names: readonly (keyof T)[]): void {
    for (const name of names) {
      const method = prototype[name] as (...args: readonly unknown[]) => unknown;
      const wrapped = (target: object, args: readonly unknown[]): unknown => {
        const call = ++this.#calls;
        this.#reach("before", call);
        const result: unknown = Reflect.apply(method, target, args);
        this.#reach("after", call);
        return result;
      };
      Object.defineProperty(prototype, name, {
        value(this: object, ...args: readonly unknown[]): unknown {
          return wrapped(this, args);
        },
      });
    }
  }

  /** Returns a store whose calls are counted. */
  store(inner: ObjectStore): ObjectStore {
    return storeAround(inner, async (_key, body) => {
      const call = ++this.#calls;
      this.#reach("before", call);
      const result = await body();
      this.#reach("after", call);
      return result;
    });
  }
}
