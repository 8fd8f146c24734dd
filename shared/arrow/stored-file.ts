import type { RecordBatch } from "apache-arrow";
import type { ErrorCode } from "../contract/error-codes.ts";
import { type ErrorLocation, MillraceError } from "../contract/errors.ts";
import type { ObjectStore } from "../contract/object-store.ts";
import { ArrowFormatError } from "./ipc/format-error.ts";
import { openFile } from "./ipc/read-ipc.ts";
import type { ByteSource, IpcReader } from "./ipc/source.ts";
import { AHEAD_BYTES, CHUNK_BYTES, StoredBytes } from "./stored-bytes.ts";

/** The name of a file in a store, and what is recorded of it. */
export interface RecordedFile {
  readonly path: string;
  /** Number of its rows. Absent if it was not recorded. */
  readonly rows?: number;
  /** Its size. Absent if it was not recorded. */
  readonly bytes?: number;
}

/** What the errors of a stored file say. */
export interface FileErrors {
  readonly missing: ErrorCode;
  readonly damaged: ErrorCode;
  /** What the file is, such as `the staged file`. */
  readonly kind: string;
  readonly where?: ErrorLocation;
  /** What to do. */
  readonly hint: string;
}

/**
 * An Arrow IPC file in a store. A small file is read in one request, a larger one batch by batch.
 * Its recorded size and rows are compared with those that are read.
 */
export class StoredFile {
  readonly #store: ObjectStore;
  readonly #file: RecordedFile;
  readonly #errors: FileErrors;
  #bytes: Promise<ByteSource> | undefined;

  constructor(store: ObjectStore, file: RecordedFile, errors: FileErrors) {
    this.#store = store;
    this.#file = file;
    this.#errors = errors;
  }

  /** Starts reading a very small file now, so that the requests for many such files overlap. */
  readAhead(): void {
    const { bytes = Number.POSITIVE_INFINITY } = this.#file;
    if (bytes <= AHEAD_BYTES) this.#open().catch(() => undefined);
  }

  /**
   * Checks that the file is there, has its recorded size, and ends as an Arrow file. Throws the
   * errors of `batches`.
   */
  async check(): Promise<void> {
    await this.#reader();
  }

  /** Yields the record batches. Throws the errors that were given for a missing or damaged file. */
  async *batches(): AsyncGenerator<RecordBatch> {
    const batches = (await this.#reader()).batches();
    let rows = 0;
    for (;;) {
      const next = await this.#damaged(() => batches.next());
      if (next.done) break;
      rows += next.value.numRows;
      yield next.value;
    }
    const recorded = this.#file.rows ?? rows;
    if (rows !== recorded) throw this.#damage(`it has ${rows} rows, and ${recorded} were written`);
  }

  async #reader(): Promise<IpcReader> {
    const bytes = await this.#open();
    return await this.#damaged(() => openFile(bytes));
  }

  /** The bytes of a small file are kept for its batches. */
  async #open(): Promise<ByteSource> {
    this.#bytes ??= this.#begin();
    return await this.#bytes;
  }

  async #begin(): Promise<ByteSource> {
    const { path, bytes } = this.#file;
    const small = await this.#readSmall();
    if (small !== undefined) return small;
    const info = (await this.#store.stat([path])).get(path);
    if (info === undefined) throw this.#missing();
    if (bytes !== undefined && info.bytes !== bytes) throw this.#sizeChanged(info.bytes, bytes);
    return new StoredBytes(this.#store, info, () =>
      this.#damage("it was changed or deleted while it was read"),
    );
  }

  /** Reads the whole file in one request. Returns `undefined` if it is too large for that. */
  async #readSmall(): Promise<ByteSource | undefined> {
    const { path, bytes: recorded } = this.#file;
    const limit = recorded ?? CHUNK_BYTES;
    if (limit > CHUNK_BYTES) return undefined;
    // One byte more than there should be, so that a file that has grown is noticed.
    const bytes = await this.#store.getRange(path, 0, limit + 1);
    if (bytes === undefined) throw this.#missing();
    const size = bytes.length;
    if (recorded === undefined && size > limit) return undefined;
    if (size > limit) throw this.#damage(`it has more than the ${limit} bytes that were written`);
    if (recorded !== undefined && size < recorded) throw this.#sizeChanged(size, recorded);
    return { size, range: async (start, end) => bytes.subarray(start, end) };
  }

  async #damaged<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof ArrowFormatError)) throw error;
      throw this.#damage(error.message, error);
    }
  }

  #missing(): MillraceError {
    const { kind, missing } = this.#errors;
    const { path, bytes } = this.#file;
    const expected = bytes === undefined ? "" : ` (expected ${bytes} bytes)`;
    return this.#error(missing, `${kind} ${path} is gone${expected}`);
  }

  #sizeChanged(found: number, recorded: number): MillraceError {
    return this.#damage(`it has ${found} bytes, and ${recorded} were written`);
  }

  #damage(problem: string, cause?: unknown): MillraceError {
    const { kind, damaged } = this.#errors;
    return this.#error(damaged, `${kind} ${this.#file.path} is damaged: ${problem}`, cause);
  }

  #error(code: ErrorCode, message: string, cause?: unknown): MillraceError {
    const { where, hint } = this.#errors;
    return new MillraceError(code, message, {
      where: { ...where, path: `${this.#store.location}/${this.#file.path}` },
      hint,
      cause,
    });
  }
}
