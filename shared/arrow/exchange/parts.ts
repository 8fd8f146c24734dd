import { Data, RecordBatch, RecordBatchStreamWriter, type Schema, Struct } from "apache-arrow";
import { BatchDecoder } from "../ipc/batch-decoder.ts";
import { ColumnEncoder } from "../ipc/column-encoder.ts";
import { ArrowFormatError } from "../ipc/format-error.ts";
import { decodeMessage } from "../ipc/messages.ts";
import { encodeSchema, rebind } from "../ipc-file.ts";
import { checksum } from "./crc.ts";

/**
 * Rows that are exchanged between tasks, or spilled while they are sorted, are written as frames: a
 * header, and an encapsulated message of Arrow IPC with one record batch. The schema is known to
 * the reader. The header has four unsigned little-endian integers of 32 bits: the mark, the CRC-32
 * of all that follows, the size of the message, and the number of rows. Frames are aligned to 8
 * bytes.
 */
const HEADER_BYTES = 16;
const MARK = 0x3158524d;
const CONTINUATION = -1;
/** Bytes before the metadata of a message: the mark of a message, and its length. */
const PREFIX_BYTES = 8;

/** Encodes record batches of one schema without dictionaries as frames. */
export class FrameEncoder {
  readonly #schema: Schema;
  readonly #columns = new ColumnEncoder();
  readonly #writer: MessageWriter;

  constructor(schema: Schema) {
    this.#schema = schema;
    this.#writer = new MessageWriter(schema);
  }

  encode(batch: RecordBatch): Uint8Array {
    const { fields } = this.#schema;
    const columns = fields.map(({ type, name }, i) =>
      this.#columns.encode(type, batch.data.children[i] as Data, name),
    );
    const rows = new Data(new Struct(fields), 0, batch.numRows, 0, undefined, columns);
    const pieces = this.#writer.message(new RecordBatch(this.#schema, rows));
    const size = pieces.reduce((sum, { length }) => sum + length, 0);
    const bytes = Buffer.allocUnsafeSlow(HEADER_BYTES + size);
    let at = HEADER_BYTES;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    bytes.writeUInt32LE(MARK, 0);
    bytes.writeUInt32LE(size, 8);
    bytes.writeUInt32LE(batch.numRows, 12);
    bytes.writeUInt32LE(checksum(bytes.subarray(8)), 4);
    return bytes;
  }
}

/** Makes the pieces of messages. */
class MessageWriter extends RecordBatchStreamWriter {
  #pieces: Uint8Array[] = [];

  constructor(schema: Schema) {
    super();
    this.reset(undefined, schema);
  }

  message(batch: RecordBatch): readonly Uint8Array[] {
    // The schema came first, and is left out.
    this.#pieces = [];
    this._writeRecordBatch(batch);
    return this.#pieces;
  }

  protected override _writeDictionaries(): this {
    return this;
  }

  protected override _write(chunk: ArrayBufferView): this {
    if (chunk.byteLength > 0)
      this.#pieces.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    return this;
  }
}

/** Decodes frames of one schema. */
export class FrameDecoder {
  readonly #schema: Schema;
  readonly #batches: BatchDecoder;

  constructor(schema: Schema) {
    this.#schema = schema;
    const message = decodeMessage(Buffer.from(encodeSchema(schema), "base64").subarray(PREFIX_BYTES));
    if (message.kind !== "schema") throw new TypeError("not a schema");
    this.#batches = new BatchDecoder(message.schema, {});
  }

  /**
   * Returns the record batch of the frame at the start of `bytes`, and the size of the frame, or
   * `undefined` if the frame is longer. Error: `ArrowFormatError`.
   */
  next(bytes: Uint8Array): { readonly batch: RecordBatch; readonly size: number } | undefined {
    if (bytes.length < HEADER_BYTES) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (view.getUint32(0, true) !== MARK) throw new ArrowFormatError("it has other bytes where rows begin");
    const size = HEADER_BYTES + view.getUint32(8, true);
    if (size > bytes.length) return undefined;
    const frame = bytes.subarray(0, size);
    if (checksum(frame.subarray(8)) !== view.getUint32(4, true))
      throw new ArrowFormatError("the checksum of its rows is another one");
    const batch = this.#decode(frame.subarray(HEADER_BYTES));
    if (batch.numRows !== view.getUint32(12, true))
      throw new ArrowFormatError("it has another number of rows than it says");
    return { batch, size };
  }

  #decode(bytes: Uint8Array): RecordBatch {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < PREFIX_BYTES || view.getInt32(0, true) !== CONTINUATION)
      throw new ArrowFormatError("it has no message");
    const end = PREFIX_BYTES + view.getInt32(4, true);
    const message = decodeMessage(bytes.subarray(PREFIX_BYTES, end));
    if (message.kind !== "batch") throw new ArrowFormatError("it has a message of another kind");
    return rebind(this.#schema, this.#batches.recordBatch(message, bytes.subarray(end)));
  }
}
