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

/** Size from which the encoded bytes are passed on to the store. */
const CHUNK_BYTES = 1024 * 1024;

/**
 * A file writer whose output can be taken in pieces, so that a file is streamed and never held in
 * memory as a whole.
 */
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
 * Replaces the schema of a record batch by `schema`, which must describe the same columns. The
 * schemas must be exactly equal, even in the name of a list's elements: at the first batch with
 * another schema, Arrow's writer silently ends the file.
 */
export function rebind(schema: Schema, batch: RecordBatch): RecordBatch {
  if (batch.schema === schema) return batch;
  return new RecordBatch(schema, withOwnTypes(new Struct(schema.fields), batch.data) as Data<Struct>);
}

/**
 * Returns the same buffers with the types of this copy of apache-arrow. The file writer would skip
 * types of another copy.
 */
function withOwnTypes(type: DataType, data: Data): Data {
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
    withOwnTypes((type.children[i] as Field | undefined)?.type ?? child.type, child),
  );
  return new Data(type, offset, length, nullCount, buffers, children, dictionary, variadicBuffers);
}

/** Encodes record batches as an Arrow IPC file, in chunks of about 1 MiB. */
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

/** Reads the record batches of an Arrow IPC file. */
export function decodeFile(bytes: Uint8Array): Iterable<RecordBatch> {
  return RecordBatchReader.from(bytes);
}

/** Encodes a schema as text without loss: its Arrow IPC message in base64. */
export function encodeSchema(schema: Schema): string {
  const writer = new RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  writer.finish();
  return Buffer.from(writer.toUint8Array(true)).toString("base64");
}

/** Decodes a schema from the text that `encodeSchema` returned. */
export function decodeSchema(text: string): Schema {
  return tableFromIPC(Buffer.from(text, "base64")).schema;
}
