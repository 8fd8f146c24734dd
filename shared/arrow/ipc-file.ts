import {
  Data,
  type DataType,
  type Field,
  RecordBatch,
  RecordBatchFileWriter,
  RecordBatchStreamWriter,
  type Schema,
  Struct,
} from "apache-arrow";
import { MillraceError } from "../contract/errors.ts";
import { ColumnEncoder } from "./ipc/column-encoder.ts";
import { fileSchema } from "./ipc/file-schema.ts";
import { ArrowFormatError } from "./ipc/format-error.ts";
import { checked, decodeMessage } from "./ipc/messages.ts";
import { readFileBytes } from "./ipc/read-ipc.ts";
import { decodeSchemaTable } from "./ipc/schema-message.ts";

/** Size from which the encoded bytes are passed on to the store. */
const CHUNK_BYTES = 1024 * 1024;
/** A buffer of this size is passed on as it is. */
const LARGE_BYTES = 256 * 1024;
/** Arrow libraries and Node read at most this much at once. */
const MAX_BATCH_BYTES = 2 ** 31 - 1;

/**
 * A file writer whose output can be taken in pieces, so that a file is streamed and never held in
 * memory as a whole. Its dictionaries come after the record batches, because only then are they
 * complete; a reader finds them by the footer.
 */
class DrainingFileWriter extends RecordBatchFileWriter {
  readonly #fileSchema: Schema;
  readonly #columns = new ColumnEncoder();
  #chunks: Uint8Array[] = [];
  #pendingBytes = 0;
  #firstDictionaryBytes = 0;
  #batches = 0;

  constructor(schema: Schema) {
    super();
    this.#fileSchema = fileSchema(schema);
    this.reset(undefined, this.#fileSchema);
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /**
   * Bytes so far. Of the dictionaries only those count that came after the first record batch,
   * because the next file would need the first ones, too.
   */
  get size(): number {
    return this._position + this.#columns.dictionaryBytes - this.#firstDictionaryBytes;
  }

  /** Yields the pending bytes. Small pieces are put together, large ones are not copied. */
  *drain(): Generator<Uint8Array> {
    let small: Uint8Array[] = [];
    for (const chunk of this.#chunks) {
      if (chunk.length < LARGE_BYTES) small.push(chunk);
      else {
        if (small.length > 0) yield Buffer.concat(small);
        small = [];
        yield chunk;
      }
    }
    if (small.length > 0) yield Buffer.concat(small);
    this.#chunks = [];
    this.#pendingBytes = 0;
  }

  /**
   * Writes a record batch. Its schema is not compared: at one that differs even in the name of a
   * list's elements, `write` would silently end the file.
   */
  append(batch: RecordBatch): void {
    const { fields } = this.#fileSchema;
    const columns = fields.map(({ type, name }, i) =>
      this.#columns.encode(type, batch.data.children[i] as Data, name),
    );
    if (this.#batches++ === 0) this.#firstDictionaryBytes = this.#columns.dictionaryBytes;
    const rows = new Data(new Struct(fields), 0, batch.numRows, 0, undefined, columns);
    const start = this._position;
    this._writeRecordBatch(new RecordBatch(this.#fileSchema, rows, batch.metadata));
    if (this._position - start > MAX_BATCH_BYTES) throw tooLarge(batch, this._position - start);
  }

  override finish(): this {
    for (const [id, values] of this.#columns.dictionaries()) this._writeDictionaryBatch(values, id);
    return super.finish();
  }

  protected override _writeDictionaries(): this {
    return this;
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
 * types become those of this copy of apache-arrow.
 */
export function rebind(schema: Schema, batch: RecordBatch): RecordBatch {
  if (batch.schema === schema) return batch;
  return new RecordBatch(
    schema,
    withOwnTypes(new Struct(schema.fields), batch.data) as Data<Struct>,
    batch.metadata,
  );
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

function tooLarge({ numRows }: RecordBatch, bytes: number): MillraceError {
  return new MillraceError(
    "RECORD_BATCH_TOO_LARGE",
    `a record batch of ${numRows} rows has ${bytes} bytes, and no reader takes more than ${MAX_BATCH_BYTES} at once`,
    {
      hint: "Let the reader yield smaller record batches, or rows: they are then put together in small ones.",
    },
  );
}

/**
 * Encodes record batches as an Arrow IPC file, in chunks of about 1 MiB. The record batches must
 * have the columns of `schema`. After the record batch with which the file reaches `maxBytes`, it
 * takes no other. Errors: `DICTIONARY_TOO_LARGE`, `RECORD_BATCH_TOO_LARGE`.
 */
export async function* encodeFile(
  schema: Schema,
  batches: AsyncIterable<RecordBatch> | Iterable<RecordBatch>,
  maxBytes: number = Number.POSITIVE_INFINITY,
): AsyncGenerator<Uint8Array, void, undefined> {
  const writer = new DrainingFileWriter(schema);
  for await (const batch of batches) {
    writer.append(batch);
    if (writer.pendingBytes >= CHUNK_BYTES) yield* writer.drain();
    if (writer.size >= maxBytes) break;
  }
  writer.finish();
  yield* writer.drain();
}

/** Reads the record batches of an Arrow IPC file. Error: `ArrowFormatError`. */
export function decodeFile(bytes: Uint8Array): Iterable<RecordBatch> {
  return readFileBytes(bytes);
}

/** Encodes a schema as text without loss: its Arrow IPC message in base64. */
export function encodeSchema(schema: Schema): string {
  const writer = new RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  writer.finish();
  return Buffer.from(writer.toUint8Array(true)).toString("base64");
}

/** Bytes before the metadata of a message: the mark of a message, and its length. */
const PREFIX_BYTES = 8;

/** Decodes the schema from the text that `encodeSchema` returned. Error: `ArrowFormatError`. */
export function decodeSchema(text: string): Schema {
  const bytes = Buffer.from(text, "base64");
  const message = decodeMessage(bytes.subarray(PREFIX_BYTES));
  if (message.kind !== "schema") throw new ArrowFormatError("there is no schema in it");
  return checked(() => decodeSchemaTable(message.schema).schema);
}
