import type { ByteSource } from "../../../arrow/ipc/source.ts";
import { MalformedFileError } from "../../kit/malformed.ts";
import type { FileIo } from "../file-io.ts";

/** A file up to this size is read in one request. */
const SMALL_BYTES = 8 * 1024 * 1024;
/** A file up to this size may be requested before its turn. */
const AHEAD_BYTES = 1024 * 1024;
/** How many small files are requested before their turn. */
const AHEAD = 8;

/** The bytes of a data file or delete file. Files of a table never change. */
export class TableFile implements ByteSource {
  readonly location: string;
  readonly size: number;
  readonly #io: FileIo;
  #whole: Promise<Uint8Array> | undefined;

  constructor(io: FileIo, { location, bytes }: { readonly location: string; readonly bytes: number }) {
    this.#io = io;
    this.location = location;
    this.size = bytes;
  }

  /** Starts reading a very small file, so that the requests for many such files overlap. */
  readAhead(): void {
    if (this.size > 0 && this.size <= AHEAD_BYTES) this.#read().catch(() => undefined);
  }

  /**
   * Errors: `TABLE_FILE_MISSING`, `MalformedFileError` if the file is shorter than it should be.
   */
  async range(start: number, end: number): Promise<Uint8Array> {
    const bytes =
      this.size <= SMALL_BYTES
        ? (await this.#read()).subarray(start, end)
        : await this.#io.readRange(this.location, start, end);
    if (bytes.length === end - start) return bytes;
    throw new MalformedFileError(`it is shorter than the ${this.size} bytes that the table says it has`);
  }

  #read(): Promise<Uint8Array> {
    this.#whole ??= this.#io.readRange(this.location, 0, this.size);
    return this.#whole;
  }
}

/**
 * Yields items in order, each with its file, while the files of later items are requested ahead.
 */
export function* withFilesAhead<T extends { readonly location: string; readonly bytes: number }>(
  io: FileIo,
  items: Iterable<T>,
): Generator<{ readonly item: T; readonly file: TableFile }> {
  const asked: { readonly item: T; readonly file: TableFile }[] = [];
  for (const item of items) {
    const file = new TableFile(io, item);
    file.readAhead();
    asked.push({ item, file });
    const first = asked.length > AHEAD ? asked.shift() : undefined;
    if (first !== undefined) yield first;
  }
  yield* asked;
}
