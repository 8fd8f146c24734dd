import {
  Data as ArrowData,
  type Data,
  DataType,
  type Field,
  RecordBatch,
  type Schema,
  Struct,
} from "apache-arrow";
import { checkData } from "../check-data.ts";
import { concatData } from "../concat.ts";
import { type Codecs, decompressed } from "./compression.ts";
import type { FlatTable } from "./flatbuffer.ts";
import { ArrowFormatError } from "./format-error.ts";
import { type BatchHeader, checked, type Message } from "./messages.ts";
import { type DecodedSchema, decodeSchemaTable } from "./schema-message.ts";
import { type BufferReader, VectorLoader } from "./vector-loader.ts";

/**
 * Decodes the messages of one stream or file: dictionaries, and the record batches that use them.
 */
export class BatchDecoder {
  readonly #decoded: DecodedSchema;
  readonly #codecs: Codecs;
  readonly #dictionaries = new Map<number, Data>();

  constructor(schema: FlatTable, codecs: Codecs) {
    this.#decoded = checked(() => decodeSchemaTable(schema));
    this.#codecs = codecs;
  }

  get schema(): Schema {
    return this.#decoded.schema;
  }

  /** Takes a dictionary: a new one, one in place of an older one, or more values of one. */
  addDictionary(message: Message & { readonly kind: "dictionary" }, body: Uint8Array): void {
    const { id, isDelta, batch } = message;
    const type = this.#decoded.dictionaryTypes.get(id);
    if (type === undefined) throw new ArrowFormatError(`it has a dictionary that no column uses (${id})`);
    const loader = this.#loader(batch, body, message.isBeforeV5);
    const path = `dictionary ${id}`;
    const data = loader.column(type, path);
    loader.end();
    checkData(type, data, path);
    const earlier = isDelta ? this.#dictionaries.get(id) : undefined;
    this.#dictionaries.set(id, earlier === undefined ? data : concatData(type, [earlier, data]));
  }

  recordBatch(message: Message & { readonly kind: "batch" }, body: Uint8Array): RecordBatch {
    const { batch, metadata } = message;
    const { fields } = this.schema;
    const loader = this.#loader(batch, body, message.isBeforeV5);
    const children = fields.map((field) => {
      const data = loader.field(field);
      if (data.length !== batch.length)
        throw new ArrowFormatError(`has ${data.length} values in a batch of ${batch.length} rows`, {
          column: field.name,
        });
      checkData(field.type, data, field.name);
      return data;
    });
    loader.end();
    const rows = new ArrowData(new Struct(fields), 0, batch.length, 0, undefined, children);
    return new RecordBatch(this.schema, rows, metadata);
  }

  /**
   * Returns how deep dictionaries are nested in the values of dictionary `id`: 0 if its values have
   * no dictionary. In a file, the inner ones must be loaded first.
   */
  depthOf(id: number): number {
    return depthOf(this.#decoded.dictionaryTypes.get(id));
  }

  #loader(header: BatchHeader, body: Uint8Array, isBeforeV5: boolean): VectorLoader {
    return new VectorLoader({
      header,
      readBuffer: this.#bufferReader(header, body),
      dictionaries: this.#dictionaries,
      isBeforeV5,
    });
  }

  #bufferReader({ buffers, codec }: BatchHeader, body: Uint8Array): BufferReader {
    return (index) => {
      const { offset = -1, length = 0 } = buffers[index] ?? {};
      if (offset < 0 || length < 0 || offset + length > body.length)
        throw new ArrowFormatError("a buffer lies outside of its message");
      const bytes = body.subarray(offset, offset + length);
      return codec === undefined ? bytes : decompressed(bytes, codec, this.#codecs);
    };
  }
}

function depthOf(type: DataType | undefined): number {
  if (type === undefined) return 0;
  const inner = DataType.isDictionary(type) ? [1 + depthOf(type.dictionary)] : [];
  return Math.max(0, ...inner, ...((type.children ?? []) as Field[]).map((child) => depthOf(child.type)));
}
