import { MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import type { PlannedFile } from "./folder.ts";

/**
 * A file up to this size is read in one request. A larger file is read in pieces of this size, or
 * in the ranges that its format asks for.
 */
const CHUNK_BYTES = 8 * 1024 * 1024;
/** A file up to this size may be requested before its turn. */
const AHEAD_BYTES = 1024 * 1024;

/** The bytes of a file in the version that was planned. */
export class FileBytes {
  readonly size: number;
  readonly path: string;
  readonly key: string;
  readonly #store: ObjectStore;
  readonly #file: PlannedFile;
  #whole: Promise<Uint8Array | undefined> | undefined;

  constructor(store: ObjectStore, file: PlannedFile) {
    this.size = file.bytes;
    this.key = file.key;
    this.path = `${store.location}/${file.key}`;
    this.#store = store;
    this.#file = file;
  }

  /** True if the file is small enough to be read into memory at once. */
  get isSmall(): boolean {
    return this.size <= CHUNK_BYTES;
  }

  /** Starts reading a very small file now, so that the requests for many such files overlap. */
  readAhead(): void {
    if (this.size > 0 && this.size <= AHEAD_BYTES) this.#readWhole().catch(() => undefined);
  }

  /** Returns false if the file was deleted or changed after the batch was planned. */
  async exists(): Promise<boolean> {
    return (await (this.isSmall ? this.#readWhole() : this.#read(0, 1))) !== undefined;
  }

  /** Returns the bytes from `start` to `end` (exclusive). Error: `FILE_CHANGED`. */
  async range(start: number, end: number): Promise<Uint8Array> {
    const bytes = this.isSmall
      ? (await this.#readWhole())?.subarray(start, end)
      : await this.#read(start, end);
    if (bytes?.length === end - start) return bytes;
    throw new MillraceError(
      "FILE_CHANGED",
      `${this.#file.key} is gone, or was changed after its batch was planned`,
      {
        where: { path: this.path },
        hint: "Put it back as it was, with its time, or set `ignoreMissingFiles: true` to go on without it; then run again.",
      },
    );
  }

  /** Yields all bytes in pieces. Error: `FILE_CHANGED`. */
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
