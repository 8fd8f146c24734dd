import type { ObjectInfo, ObjectStore, UnfinishedUpload } from "../../contract/object-store.ts";

/** A store in S3. The SDK is loaded by its first call: most runs here never need it. */
export class LazyS3Store implements ObjectStore {
  readonly location: string;
  readonly #open: () => Promise<ObjectStore>;
  #opened: Promise<ObjectStore> | undefined;

  constructor(location: string, open: () => Promise<ObjectStore>) {
    this.location = location;
    this.#open = open;
  }

  at(folder: string): ObjectStore {
    return new LazyS3Store(`${this.location}/${folder}`, async () => (await this.#store()).at(folder));
  }

  async put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<boolean> {
    return await (await this.#store()).put(key, body);
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return await (await this.#store()).get(key);
  }

  async getRange(key: string, start: number, end: number, etag?: string): Promise<Uint8Array | undefined> {
    return await (await this.#store()).getRange(key, start, end, etag);
  }

  async *list(prefix: string, options?: { readonly startAfter?: string }): AsyncGenerator<ObjectInfo> {
    yield* (await this.#store()).list(prefix, options);
  }

  async delete(keys: readonly string[]): Promise<void> {
    await (await this.#store()).delete(keys);
  }

  async *listUnfinished(prefix: string): AsyncGenerator<UnfinishedUpload> {
    yield* (await this.#store()).listUnfinished(prefix);
  }

  async abandon(upload: UnfinishedUpload): Promise<void> {
    await (await this.#store()).abandon(upload);
  }

  #store(): Promise<ObjectStore> {
    this.#opened ??= this.#open();
    return this.#opened;
  }
}
