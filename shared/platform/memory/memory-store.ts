import type { ObjectInfo, ObjectStore, UnfinishedUpload } from "../../contract/object-store.ts";
import { checkKey } from "../../engine/ports/keys.ts";

interface Stored {
  readonly bytes: Uint8Array;
  readonly modifiedAt: number;
}

/** The data that all views of one store share. */
export interface MemoryObjects {
  readonly objects: Map<string, Stored>;
  readonly uploads: Map<string, UnfinishedUpload>;
  now(): number;
}

/** A store in memory, for tests. It is lost when the process ends. */
export class MemoryStore implements ObjectStore {
  readonly location: string;
  readonly #shared: MemoryObjects;
  readonly #prefix: string;

  constructor(shared: MemoryObjects, prefix = "") {
    this.#shared = shared;
    this.#prefix = prefix;
    this.location = `memory:${prefix}`.replace(/\/$/, "");
  }

  async put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<boolean> {
    const path = this.#path(key);
    const { objects, uploads, now } = this.#shared;
    let bytes: Uint8Array;
    if (body instanceof Uint8Array) bytes = body;
    else {
      const uploadId = String(uploads.size + 1) + path;
      uploads.set(uploadId, { key: path, uploadId, startedAt: now() });
      const chunks: Uint8Array[] = [];
      try {
        for await (const chunk of body) chunks.push(chunk);
      } finally {
        uploads.delete(uploadId);
      }
      bytes = Buffer.concat(chunks);
    }
    if (objects.has(path)) return false;
    objects.set(path, { bytes: Uint8Array.from(bytes), modifiedAt: now() });
    return true;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return this.#shared.objects.get(this.#path(key))?.bytes;
  }

  async getRange(key: string, start: number, end: number, etag?: string): Promise<Uint8Array | undefined> {
    const object = this.#shared.objects.get(this.#path(key));
    return etag === undefined || (object && etagOf(object)) === etag
      ? object?.bytes.subarray(start, end)
      : undefined;
  }

  async *list(prefix: string, options?: { readonly startAfter?: string }): AsyncGenerator<ObjectInfo> {
    const after = options?.startAfter;
    const keys = [...this.#shared.objects.keys()]
      .filter((path) => path.startsWith(this.#prefix + prefix))
      .filter(
        (path) => after === undefined || Buffer.compare(bytesOf(path), bytesOf(this.#prefix + after)) > 0,
      )
      .sort((a, b) => Buffer.compare(bytesOf(a), bytesOf(b)));
    for (const path of keys) {
      const object = this.#shared.objects.get(path);
      if (object !== undefined) yield infoOf(path.slice(this.#prefix.length), object);
    }
  }

  async stat(keys: readonly string[]): Promise<ReadonlyMap<string, ObjectInfo>> {
    const found = new Map<string, ObjectInfo>();
    for (const key of keys) {
      const object = this.#shared.objects.get(this.#path(key));
      if (object !== undefined) found.set(key, infoOf(key, object));
    }
    return found;
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const path of keys.map((key) => this.#path(key))) this.#shared.objects.delete(path);
  }

  async *listUnfinished(prefix: string): AsyncGenerator<UnfinishedUpload> {
    for (const upload of [...this.#shared.uploads.values()])
      if (upload.key.startsWith(this.#prefix + prefix))
        yield { ...upload, key: upload.key.slice(this.#prefix.length) };
  }

  async abandon({ uploadId }: UnfinishedUpload): Promise<void> {
    this.#shared.uploads.delete(uploadId);
  }

  at(folder: string): MemoryStore {
    return new MemoryStore(this.#shared, `${this.#path(folder)}/`);
  }

  #path(key: string): string {
    checkKey(key);
    return this.#prefix + key;
  }
}

function infoOf(key: string, object: Stored): ObjectInfo {
  return { key, bytes: object.bytes.length, modifiedAt: object.modifiedAt, etag: etagOf(object) };
}

function etagOf({ bytes, modifiedAt }: Stored): string {
  return `${bytes.length}-${modifiedAt}`;
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text);
}

/** Creates a new, empty store. `now` returns the time of a put in epoch milliseconds. */
export function memoryObjects(now: () => number): MemoryObjects {
  return { objects: new Map(), uploads: new Map(), now };
}
