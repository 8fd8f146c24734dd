import type { RecordBatch } from "apache-arrow";
import { BatchDecoder } from "./batch-decoder.ts";
import type { Codecs } from "./compression.ts";
import { ArrowFormatError } from "./format-error.ts";
import { decodeMessage, type Message } from "./messages.ts";
import type { ByteSource, IpcReader } from "./source.ts";

const CONTINUATION = -1;
/** A stream is read in pieces of this size at least, so that small messages share a request. */
const READ_BYTES = 1024 * 1024;

/** Opens an Arrow IPC stream. Errors: `ArrowFormatError`, `TYPE_NOT_SUPPORTED`. */
export async function openStream(source: ByteSource, codecs: Codecs): Promise<IpcReader> {
  const cursor = new Cursor(source);
  const first = await nextMessage(cursor);
  if (first?.kind !== "schema") throw new ArrowFormatError("it is neither an Arrow file nor an Arrow stream");
  await cursor.read(first.bodyLength);
  const decoder = new BatchDecoder(first.schema, codecs);
  return { schema: decoder.schema, batches: () => batchesOf(cursor, decoder) };
}

async function* batchesOf(cursor: Cursor, decoder: BatchDecoder): AsyncGenerator<RecordBatch> {
  for (let message = await nextMessage(cursor); message !== undefined; message = await nextMessage(cursor)) {
    if (message.kind === "schema") throw new ArrowFormatError("it has a second schema");
    const body = await cursor.read(message.bodyLength);
    if (message.kind === "dictionary") decoder.addDictionary(message, body);
    else yield decoder.recordBatch(message, body);
  }
}

/** Reads the metadata of the next message. Returns `undefined` at the end of the stream. */
async function nextMessage(cursor: Cursor): Promise<Message | undefined> {
  // The format lets a stream end without its mark. In a file this is how one looks that was cut
  // off.
  if (cursor.left === 0) throw new ArrowFormatError("it has no mark of its end, so it may be cut off");
  let length = await cursor.readInt32();
  if (length === CONTINUATION) length = await cursor.readInt32();
  if (length === 0) {
    await checkEnd(cursor);
    return undefined;
  }
  if (length < 0 || length > cursor.left)
    throw new ArrowFormatError("a message is cut off, or it is no Arrow stream");
  return decodeMessage(await cursor.read(length));
}

/** Streams that were put together, as by `cat`, would lose all rows but the first one's. */
async function checkEnd(cursor: Cursor): Promise<void> {
  while (cursor.left > 0) {
    const bytes = await cursor.read(Math.min(cursor.left, READ_BYTES));
    if (bytes.some((byte) => byte !== 0))
      throw new ArrowFormatError("it goes on after the end of its stream");
  }
}

/** Reads a source from its beginning to its end. Error: `ArrowFormatError` if it ends too early. */
class Cursor {
  readonly #source: ByteSource;
  /** Position of `#ahead` in the source. */
  #at = 0;
  #ahead: Uint8Array = new Uint8Array();

  constructor(source: ByteSource) {
    this.#source = source;
  }

  get left(): number {
    return this.#source.size - this.#at;
  }

  async readInt32(): Promise<number> {
    const bytes = await this.read(4);
    return new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true);
  }

  async read(length: number): Promise<Uint8Array> {
    if (length > this.left) throw new ArrowFormatError("it is cut off");
    if (length > this.#ahead.length) {
      const end = Math.min(this.#source.size, this.#at + Math.max(length, READ_BYTES));
      this.#ahead = await this.#source.range(this.#at, end);
    }
    const bytes = this.#ahead.subarray(0, length);
    this.#ahead = this.#ahead.subarray(length);
    this.#at += length;
    return bytes;
  }
}
