import type { RecordBatch, Schema } from "apache-arrow";
import { FrameEncoder } from "../../arrow/exchange/parts.ts";
import { PlainRows } from "../../arrow/exchange/plain-rows.ts";
import { endOfChunk, rowSizes } from "../../arrow/sort/row-sizes.ts";
import { takeRows } from "../../arrow/take.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import type { ShuffleOutput, ShuffleSpec } from "./spec.ts";
import { type Chunk, MAX_CHUNK_BYTES, type SplitBuffer, splitBuffer } from "./split-buffers.ts";

/** What `splitRows` needs besides the rows. */
export interface SplitOptions {
  readonly store: ObjectStore;
  /** Key of the file. It must be another one for each attempt of the task. */
  readonly key: string;
  /** About how much memory the rows may take. */
  readonly memoryBytes: number;
  /** Index of the task. If rows are dealt out evenly, it decides which bucket is the first. */
  readonly task: number;
  readonly signal: AbortSignal;
  readonly where: ErrorLocation;
}

/**
 * Splits the rows of a task for the tasks of the next stage, and writes them to one file. Rows are
 * collected up to `memoryBytes` and then written, grouped by bucket or sorted. So the number of
 * parts is at most the number of those writes times the number of buckets, or, in a range, times
 * 256; if a bucket may be split, there is one more for each quarter of `targetBytes`. Without rows
 * there is no file, and the key is empty. Errors: `DISTRIBUTION_INVALID`, `STORE_FAILED`.
 */
export async function splitRows(
  batches: AsyncIterable<RecordBatch>,
  schema: Schema,
  spec: ShuffleSpec,
  options: SplitOptions,
): Promise<ShuffleOutput> {
  const { store, key, task, where } = options;
  const plain = new PlainRows(schema);
  const file = new ShuffleFile(plain.schema, spec);
  const buffer = splitBuffer(plain.schema, spec, task);
  const rows = plainRows(batches, plain);
  try {
    const first = await rows.next();
    if (first.done) return NO_ROWS;
    const isNew = await store.put(key, frames(first.value, rows, file, buffer, options));
    if (!isNew) throw existsAlready(key, store, where);
  } finally {
    await rows.return();
    buffer.release();
  }
  return file.output(key);
}

const NO_ROWS: ShuffleOutput = { key: "", bytes: 0, rows: 0, parts: [] };

function existsAlready(key: string, { location }: ObjectStore, where: ErrorLocation): MillraceError {
  return new MillraceError("STORE_FAILED", `the file ${key} of exchanged rows exists already`, {
    where: { ...where, path: `${location}/${key}` },
    hint: "Let no other program write into the pipeline's store.",
    retryable: true,
  });
}

async function* plainRows(
  batches: AsyncIterable<RecordBatch>,
  plain: PlainRows,
): AsyncGenerator<RecordBatch, void, void> {
  for await (const batch of batches) if (batch.numRows > 0) yield plain.plain(batch);
}

/** Yields the bytes of the file. */
async function* frames(
  first: RecordBatch,
  rest: AsyncIterable<RecordBatch>,
  file: ShuffleFile,
  buffer: SplitBuffer,
  { memoryBytes, signal }: SplitOptions,
): AsyncGenerator<Uint8Array> {
  const add = function* (batch: RecordBatch): Generator<Uint8Array> {
    const sizeAt = rowSizes(batch);
    const all = Int32Array.from({ length: batch.numRows }, (_, i) => i);
    for (let start = 0; start < all.length; ) {
      signal.throwIfAborted();
      const end = endOfChunk(all, start, sizeAt, Math.min(MAX_CHUNK_BYTES, memoryBytes));
      buffer.append(batch, start, end);
      start = end;
      if (buffer.bytes >= memoryBytes) yield* file.flush(buffer);
    }
  };
  yield* add(first);
  for await (const batch of rest) yield* add(batch);
  yield* file.flush(buffer);
}

/** Makes the file and the list of its parts. */
class ShuffleFile {
  readonly #encoder: FrameEncoder;
  readonly #maxPart: number;
  readonly #parts: [bucket: number, start: number, end: number, rows: number][] = [];
  readonly #keys: (readonly [first: string, last: string])[] = [];
  #bytes = 0;
  #rows = 0;

  constructor(schema: Schema, { maySplit, targetBytes }: ShuffleSpec) {
    this.#encoder = new FrameEncoder(schema);
    this.#maxPart = maySplit ? Math.max(1, Math.floor(targetBytes / 4)) : Number.POSITIVE_INFINITY;
  }

  /** Yields the rows of a buffer as frames, and empties it. */
  *flush(buffer: SplitBuffer): Generator<Uint8Array> {
    if (buffer.rows === 0) return;
    const before = this.#parts.length;
    for (const chunk of buffer.chunks()) {
      const frame = this.#encoder.encode(takeRows(chunk.batch, chunk.rows));
      this.#add(chunk, frame.length, before);
      yield frame;
    }
    buffer.clear();
  }

  /** Adds a frame to the last part, if it is of the same bucket and of this flush. */
  #add({ bucket, rows, keys }: Chunk, bytes: number, before: number): void {
    const start = this.#bytes;
    this.#bytes += bytes;
    this.#rows += rows.length;
    const last = this.#parts.length > before ? this.#parts.at(-1) : undefined;
    if (keys === undefined && last?.[0] === bucket && this.#bytes - last[1] <= this.#maxPart) {
      last[2] = this.#bytes;
      last[3] += rows.length;
      return;
    }
    this.#parts.push([bucket, start, this.#bytes, rows.length]);
    if (keys !== undefined) this.#keys.push([lowerKey(keys[0]), upperKey(keys[1])]);
  }

  output(key: string): ShuffleOutput {
    const parts = { key, bytes: this.#bytes, rows: this.#rows, parts: this.#parts };
    return this.#keys.length > 0 ? { ...parts, keys: this.#keys } : parts;
  }
}

/** Longer keys are cut, so that the list of parts stays small. */
const MAX_KEY_BYTES = 64;

/** Returns a key that is not greater. */
function lowerKey(key: Uint8Array): string {
  return Buffer.from(key.subarray(0, MAX_KEY_BYTES)).toString("base64");
}

/** Returns a key that is not smaller. */
function upperKey(key: Uint8Array): string {
  if (key.length <= MAX_KEY_BYTES) return Buffer.from(key).toString("base64");
  const upper = Buffer.from(key.subarray(0, MAX_KEY_BYTES));
  let last = upper.length - 1;
  while (last >= 0 && upper[last] === 255) last--;
  // A key of many bytes 255 has none above it that is shorter.
  if (last < 0) return Buffer.from(key).toString("base64");
  upper[last] = (upper[last] as number) + 1;
  return upper.subarray(0, last + 1).toString("base64");
}
