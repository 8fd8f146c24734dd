import type { ObjectInfo, ObjectStore, UnfinishedUpload } from "../../shared/contract/object-store.ts";
import { BATCH_FILE } from "../../shared/contract/store-layout.ts";

/** Who is told of changes in a store. */
export interface Watcher {
  sawPut(key: string): void;
  sawDelete(key: string): void;
  /** Called if a part of a file of exchanged rows is read, and the file is gone. */
  sawExchangedMissing?(): void;
}

/** A store that reports each change to the world. */
export class Watched implements ObjectStore {
  readonly location: string;
  readonly #inner: ObjectStore;
  readonly #world: Watcher;
  readonly #prefix: string;

  constructor(inner: ObjectStore, world: Watcher, prefix: string) {
    this.location = inner.location;
    this.#inner = inner;
    this.#world = world;
    this.#prefix = prefix;
  }

  async put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<boolean> {
    const isPut = await this.#inner.put(key, body);
    if (isPut) this.#world.sawPut(this.#prefix + key);
    return isPut;
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#inner.get(key);
  }

  stat(keys: readonly string[]): ReturnType<ObjectStore["stat"]> {
    return this.#inner.stat(keys);
  }

  async getRange(key: string, start: number, end: number, etag?: string): Promise<Uint8Array | undefined> {
    const bytes = await this.#inner.getRange(key, start, end, etag);
    if (bytes === undefined && key.includes(BATCH_FILE.exchanged)) this.#world.sawExchangedMissing?.();
    return bytes;
  }

  list(prefix: string, options?: { readonly startAfter?: string }): AsyncIterable<ObjectInfo> {
    return this.#inner.list(prefix, options);
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#world.sawDelete(this.#prefix + key);
    await this.#inner.delete(keys);
  }

  listUnfinished(prefix: string): AsyncIterable<UnfinishedUpload> {
    return this.#inner.listUnfinished(prefix);
  }

  abandon(upload: UnfinishedUpload): Promise<void> {
    return this.#inner.abandon(upload);
  }

  at(folder: string): ObjectStore {
    return new Watched(this.#inner.at(folder), this.#world, `${this.#prefix}${folder}/`);
  }
}
