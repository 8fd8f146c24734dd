import type { ObjectInfo, ObjectStore } from "../../shared/contract/object-store.ts";
import type { Batch, Ledger } from "../../shared/engine/ports/ledger.ts";
import type { CommitAuthorization, TaskKey } from "../../shared/engine/ports/tasks.ts";
import type { Surroundings } from "./surroundings.ts";

/** Decides at each call whether it has a fault. */
export interface Points {
  /**
   * Makes one call. `effect` is the part of the call that takes place in another process or
   * service.
   */
  point<T>(name: string, effect: () => Promise<T>): Promise<T>;
}

/**
 * Returns a ledger in which each call can have a fault. It reports the results of the calls to
 * `world`.
 */
export function faultyLedger(ledger: Ledger, run: Points, world: Surroundings): Ledger {
  const observe = observer(ledger, world);
  return new Proxy(ledger, {
    get(target, name) {
      const method = Reflect.get(target, name) as unknown;
      if (typeof method !== "function") return method;
      return (...args: unknown[]) =>
        run.point(`ledger.${String(name)}`, async () => {
          const result: unknown = await (method.apply(target, args) as Promise<unknown>);
          await observe(name, args, result);
          return result;
        });
    },
  });
}

/** Returns a function that reports the result of a call to the world. */
function observer(ledger: Ledger, world: Surroundings) {
  const sawState = async (batch: Batch) => world.sawState(batch.batchId, batch.attempt, batch.state);
  const observers: Readonly<Record<string, (args: unknown[], result: unknown) => Promise<void>>> = {
    decide: async (_, batch) => sawState(batch as Batch),
    finish: async (_, batch) => sawState(batch as Batch),
    replan: async (_, batch) => sawState(batch as Batch),
    async recordTask([key]) {
      const { batchId, attempt, partition } = key as TaskKey;
      world.sawTask(`${batchId}/${attempt}/${partition}`);
      if ((await ledger.commitClaim(key as TaskKey)) !== undefined)
        world.broken("a task is recorded, and a claim to commit it is left");
    },
    async authorizeCommit(args, answer) {
      judgeDenial(world, args as Parameters<Ledger["authorizeCommit"]>, answer as CommitAuthorization);
    },
  };
  return async (name: string | symbol, args: unknown[], result: unknown) =>
    observers[String(name)]?.(args, result);
}

/** Judges that an attempt was denied only for one that may still commit. */
function judgeDenial(
  world: Surroundings,
  [, { epoch }, now]: Parameters<Ledger["authorizeCommit"]>,
  answer: CommitAuthorization,
): void {
  if (answer.granted || "task" in answer) return;
  if (answer.holder.epoch < epoch) world.broken("an attempt was denied for one of an earlier run");
  if (answer.holder.expiresAt <= now) world.broken("an attempt was denied for one whose time was over");
}

async function* streamOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** A store in which each call can have a fault. */
export class FaultyStore implements ObjectStore {
  readonly location: string;
  readonly #inner: ObjectStore;
  readonly #run: Points;

  constructor(inner: ObjectStore, run: Points) {
    this.location = inner.location;
    this.#inner = inner;
    this.#run = run;
  }

  async put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<boolean> {
    if (body instanceof Uint8Array)
      return await this.#run.point("store.put", () => this.#inner.put(key, body));
    // The body is read before the call, because reading it makes other calls that can have faults,
    // and because the call may be made twice.
    const chunks = await Array.fromAsync(body);
    return await this.#run.point("store.put", () => this.#inner.put(key, streamOf(chunks)));
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#run.point("store.get", () => this.#inner.get(key));
  }

  stat(keys: readonly string[]): ReturnType<ObjectStore["stat"]> {
    return this.#run.point("store.stat", () => this.#inner.stat(keys));
  }

  getRange(key: string, start: number, end: number, etag?: string): Promise<Uint8Array | undefined> {
    return this.#run.point("store.getRange", () => this.#inner.getRange(key, start, end, etag));
  }

  async *list(prefix: string, options?: { readonly startAfter?: string }): AsyncGenerator<ObjectInfo> {
    yield* await this.#run.point("store.list", () => Array.fromAsync(this.#inner.list(prefix, options)));
  }

  delete(keys: readonly string[]): Promise<void> {
    return this.#run.point("store.delete", () => this.#inner.delete(keys));
  }

  listUnfinished(prefix: string): ReturnType<ObjectStore["listUnfinished"]> {
    return this.#inner.listUnfinished(prefix);
  }

  abandon(upload: Parameters<ObjectStore["abandon"]>[0]): Promise<void> {
    return this.#inner.abandon(upload);
  }

  at(folder: string): ObjectStore {
    return new FaultyStore(this.#inner.at(folder), this.#run);
  }
}
