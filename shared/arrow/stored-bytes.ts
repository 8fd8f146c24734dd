import type { ObjectStore } from "../contract/object-store.ts";
import type { ByteSource } from "./ipc/source.ts";

/**
 * A file up to this size is read in one request. A larger file is read in pieces of this size, or
 * in the ranges that its format asks for.
 */
export const CHUNK_BYTES = 8 * 1024 * 1024;
/** A file up to this size may be requested before its turn. */
export const AHEAD_BYTES = 1024 * 1024;
/** How many files are requested before their turn. */
const AHEAD = 8;

/** The version of a file in a store: without an etag, any file of this size. */
export interface FileVersion {
  readonly key: string;
  readonly bytes: number;
  readonly etag?: string;
}

/** The bytes of one version of a file in a store. */
export class StoredBytes implements ByteSource {
  readonly size: number;
  readonly #store: ObjectStore;
  readonly #file: FileVersion;
  readonly #changed: () => Error;
  #whole: Promise<Uint8Array | undefined> | undefined;

  /** `changed` returns the error for a file that is gone, or is not this version any more. */
  constructor(store: ObjectStore, file: FileVersion, changed: () => Error) {
    this.size = file.bytes;
    this.#store = store;
    this.#file = file;
    this.#changed = changed;
  }

  /** True if the file is small enough to be read into memory at once. */
  get isSmall(): boolean {
    return this.size <= CHUNK_BYTES;
  }

  /** Starts reading a very small file now, so that the requests for many such files overlap. */
  readAhead(): void {
    if (this.size > 0 && this.size <= AHEAD_BYTES) this.#readWhole().catch(() => undefined);
  }

  /** Returns false if the file was deleted or changed. */
  async exists(): Promise<boolean> {
    return (await (this.isSmall ? this.#readWhole() : this.#read(0, 1))) !== undefined;
  }

  /** Returns the bytes from `start` to `end` (exclusive). Throws the error of `changed`. */
  async range(start: number, end: number): Promise<Uint8Array> {
    const bytes = this.isSmall
      ? (await this.#readWhole())?.subarray(start, end)
      : await this.#read(start, end);
    if (bytes?.length === end - start) return bytes;
    throw this.#changed();
  }

  /** Yields all bytes in pieces. Throws the error of `changed`. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    for (let start = 0; start < this.size; start += CHUNK_BYTES) {
      yield await this.range(start, Math.min(start + CHUNK_BYTES, this.size));
    }
  }

  #readWhole(): Promise<Uint8Array | undefined> {
    this.#whole ??= this.#read(0, this.size);
    return this.#whole;
  }

  async #read(start: number, end: number): Promise<Uint8Array | undefined> {
    return await this.#store.getRange(this.#file.key, start, end, this.#file.etag);
  }
}

/**
 * Yields the files in order while it requests very small ones ahead, because reading these is
 * mostly waiting.
 */
export async function* withReadAhead<F extends { readAhead(): void }>(
  files: Iterable<F> | AsyncIterable<F>,
): AsyncGenerator<F> {
  const asked: F[] = [];
  for await (const file of files) {
    file.readAhead();
    asked.push(file);
    const first = asked.length > AHEAD ? asked.shift() : undefined;
    if (first !== undefined) yield first;
  }
  yield* asked;
}
