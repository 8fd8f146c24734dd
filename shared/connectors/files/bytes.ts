import { Decompress } from "fzstd";
import { MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import type { PlannedFile } from "./folder.ts";
import { MalformedFileError } from "./malformed.ts";
import { gunzip, isUtf8 } from "./node.ts";

/**
 * A file up to this size is read in one request. A larger file is read in pieces of this size, or
 * in the ranges that its format asks for.
 */
const CHUNK_BYTES = 8 * 1024 * 1024;
/** A file up to this size may be requested before its turn. */
const AHEAD_BYTES = 1024 * 1024;

const LINE_BREAK = 0x0a;
/** A line that is longer is not searched for the place that is not UTF-8. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/**
 * Text is passed on in smaller pieces because the rows parsed from it take many times its memory.
 */
const TEXT_BYTES = 1024 * 1024;

/** The bytes of a file in the version that was planned. */
export class FileBytes {
  readonly size: number;
  readonly path: string;
  readonly #store: ObjectStore;
  readonly #file: PlannedFile;
  #whole: Promise<Uint8Array | undefined> | undefined;

  constructor(store: ObjectStore, file: PlannedFile) {
    this.size = file.bytes;
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
        hint: "Put it back as it was, with its time, or set ignoreMissingFiles to go on without it; then run again.",
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

/**
 * Yields the UTF-8 text of a file without its byte order mark. Files named `.gz` or `.zst` are
 * decompressed. Error: `MalformedFileError`.
 */
export async function* textOf(file: FileBytes): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for await (const chunk of decompressed(file)) {
    for (let start = 0; start < chunk.length; start += TEXT_BYTES) {
      const piece = chunk.subarray(start, start + TEXT_BYTES);
      yield await decodeOrThrow(file, () => decoder.decode(piece, { stream: true }));
    }
  }
  yield await decodeOrThrow(file, () => decoder.decode());
}

async function decodeOrThrow(file: FileBytes, decode: () => string): Promise<string> {
  try {
    return decode();
  } catch {
    throw new MalformedFileError(`line ${await firstInvalidLine(file)} is not UTF-8`);
  }
}

/**
 * Returns the number of the first line that is not valid UTF-8. Each line can be checked alone,
 * because a line break is never part of another UTF-8 character.
 */
async function firstInvalidLine(file: FileBytes): Promise<number> {
  let line = 1;
  let rest = new Uint8Array();
  for await (const chunk of decompressed(file)) {
    const bytes = Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(LINE_BREAK); end >= 0; end = bytes.indexOf(LINE_BREAK, start)) {
      if (!isUtf8(bytes.subarray(start, end))) return line;
      line++;
      start = end + 1;
    }
    rest = bytes.subarray(start);
    // Such a line is not read further, because it would fill the memory.
    if (rest.length > MAX_LINE_BYTES) return line;
  }
  return line;
}

function decompressed(file: FileBytes): AsyncIterable<Uint8Array> {
  // A file of zero bytes is accepted as empty text, even if its name ends in `.gz` or `.zst`.
  if (file.size > 0 && file.path.endsWith(".gz")) return gunzip(file.chunks());
  if (file.size > 0 && file.path.endsWith(".zst")) return unzstd(file.chunks());
  return file.chunks();
}

/** Uses fzstd because Node's zstd decoder silently stops at the end of the first frame. */
async function* unzstd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let decompressed: Uint8Array[] = [];
  const decoder = new Decompress((chunk) => decompressed.push(chunk));
  for await (const chunk of chunks) {
    decoder.push(chunk);
    yield* decompressed;
    decompressed = [];
  }
  decoder.push(new Uint8Array(), true);
  yield* decompressed;
}
