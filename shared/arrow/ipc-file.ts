import {
  Data,
  type DataType,
  type Field,
  RecordBatch,
  RecordBatchFileWriter,
  RecordBatchReader,
  RecordBatchStreamWriter,
  type Schema,
  Struct,
  tableFromIPC,
} from "apache-arrow";

/** Bytes that are gathered before they go to the store. */
const CHUNK_BYTES = 1024 * 1024;

/** Hands over what was written so far, so that a file can be streamed and is never held whole. */
class DrainingFileWriter extends RecordBatchFileWriter {
  #chunks: Uint8Array[] = [];
  #pendingBytes = 0;

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  drain(): Uint8Array {
    const bytes = Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#pendingBytes = 0;
    return bytes;
  }

  protected override _write(chunk: ArrayBufferView): this {
    const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (bytes.byteLength > 0) {
      this.#chunks.push(bytes);
      this.#pendingBytes += bytes.byteLength;
      this._position += bytes.byteLength;
    }
    return this;
  }
}

/**
 * A record batch with `schema` in place of its own, which must describe the same columns. Arrow's
 * writer ends a file, without a word, at the first batch whose schema is not equal to the file's to
 * the last detail, such as the name of a list's elements.
 */
export function rebind(schema: Schema, batch: RecordBatch): RecordBatch {
  if (batch.schema === schema) return batch;
  return new RecordBatch(schema, retyped(new Struct(schema.fields), batch.data) as Data<Struct>);
}

/**
 * The same buffers under types of this copy of Arrow: those of another copy would be passed over
 * when a file is written.
 */
function retyped(type: DataType, data: Data): Data {
  const {
    offset,
    length,
    nullCount,
    valueOffsets,
    values,
    nullBitmap,
    typeIds,
    dictionary,
    variadicBuffers,
  } = data;
  const buffers: Partial<Data["buffers"]> = { 0: valueOffsets, 1: values, 2: nullBitmap, 3: typeIds };
  const children = data.children.map((child, i) =>
    retyped((type.children[i] as Field | undefined)?.type ?? child.type, child),
  );
  return new Data(type, offset, length, nullCount, buffers, children, dictionary, variadicBuffers);
}

/** The bytes of an Arrow IPC file of these record batches, in chunks of about 1 MiB. */
export async function* encodeFile(
  schema: Schema,
  batches: AsyncIterable<RecordBatch> | Iterable<RecordBatch>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const writer = new DrainingFileWriter();
  writer.reset(undefined, schema);
  for await (const batch of batches) {
    writer.write(rebind(schema, batch));
    if (writer.pendingBytes >= CHUNK_BYTES) yield writer.drain();
  }
  writer.finish();
  yield writer.drain();
}

/** The record batches of an Arrow IPC file. */
export function decodeFile(bytes: Uint8Array): Iterable<RecordBatch> {
  return RecordBatchReader.from(bytes);
}

/** A schema as text, without any loss: its Arrow IPC message in base64. */
export function encodeSchema(schema: Schema): string {
  const writer = new RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  writer.finish();
  return Buffer.from(writer.toUint8Array(true)).toString("base64");
}

/** The schema of `encodeSchema`. */
export function decodeSchema(text: string): Schema {
  return tableFromIPC(Buffer.from(text, "base64")).schema;
}
