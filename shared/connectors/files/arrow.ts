import {
  Binary,
  CompressionType,
  compressionRegistry,
  DataType,
  DateDay,
  DurationMicrosecond,
  Field,
  List,
  Map_,
  type RecordBatch,
  RecordBatchReader,
  Schema,
  Struct,
  TimeNanosecond,
  TimestampMicrosecond,
  Utf8,
} from "apache-arrow";
import { decompress } from "fzstd";
import { rowsOf } from "../../arrow/rows.ts";
import { schemaToJson } from "../../contract/ddl/json.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { jsonRow } from "../kit/json.ts";
import type { FileBytes } from "./bytes.ts";
import { checkColumns } from "./columns.ts";
import { MalformedFileError } from "./malformed.ts";

// Arrow for JavaScript has no built-in codecs. We register zstd; LZ4 is not supported. `slice`
// copies the bytes, because the result of `decompress` may not be aligned as Arrow needs it.
compressionRegistry.set(CompressionType.ZSTD, { decode: (data) => decompress(data).slice() });

/**
 * Reads an IPC file or stream. Record batches that already have the columns of the schema are
 * passed on unchanged; other record batches are converted to rows.
 */
export async function* readArrow(
  file: FileBytes,
  schema: Schema,
): AsyncGenerator<RecordBatch | Iterable<Row>> {
  const toRow = jsonRow(schema);
  const expected = describe(schema);
  for await (const batch of batchesOf(await open(file))) {
    const positions = schema.fields
      .map(({ name }) => batch.schema.fields.findIndex((field) => field.name === name))
      .filter((position) => position >= 0);
    checkColumns(
      schema,
      batch.schema.fields.map(({ name }) => name),
    );
    const selected = batch.selectAt(positions);
    yield describe(selected.schema) === expected ? selected : rowsOf(selected).map(toRow);
  }
}

/** Returns the file's schema with each type replaced by one that rows can be converted to. */
export async function arrowSchema(file: FileBytes): Promise<Schema> {
  const reader = await open(file);
  await reader.open();
  return new Schema(reader.schema.fields.map(plainField));
}

async function open(file: FileBytes): Promise<RecordBatchReader> {
  if (file.size === 0) throw new MalformedFileError("it is empty");
  if (file.isSmall) return RecordBatchReader.from(await file.range(0, file.size));
  const magic = Buffer.from(await file.range(0, 6)).toString("latin1");
  return magic === "ARROW1"
    ? await RecordBatchReader.from(handleOf(file))
    : await RecordBatchReader.from(file.chunks());
}

async function* batchesOf(reader: RecordBatchReader): AsyncGenerator<RecordBatch> {
  try {
    for await (const batch of reader) yield batch;
  } catch (error) {
    if (!(error instanceof Error && error.message.includes("codec not found"))) throw error;
    throw new MalformedFileError("it is compressed with LZ4: write it with zstd, or not compressed", {
      cause: error,
    });
  }
}

/**
 * Returns an object with the methods of a Node `FileHandle` that Arrow uses to read a file in
 * pieces.
 */
function handleOf(file: FileBytes): never {
  const handle = {
    fd: -1,
    stat: async () => ({ size: file.size }),
    read: async (buffer: Uint8Array, offset: number, length: number, position: number) => {
      const bytes = await file.range(position, Math.min(position + length, file.size));
      buffer.set(bytes, offset);
      return { bytesRead: bytes.length, buffer };
    },
    close: async () => undefined,
  };
  // Arrow's type asks for Node's whole `FileHandle` class but uses only these members.
  return handle as never;
}

function describe(schema: Schema): string {
  return JSON.stringify(schemaToJson(schema).fields.map(({ name, type }) => [name, type]));
}

function plainField(field: Field): Field {
  return new Field(field.name, plainType(field.type), field.nullable);
}

/**
 * Returns the DDL type for an Arrow type. Encodings such as dictionaries are removed, and time
 * units that rows do not support are replaced.
 */
function plainType(type: DataType): DataType {
  if (DataType.isDictionary(type)) return plainType(type.dictionary);
  if (DataType.isLargeUtf8(type) || DataType.isUtf8View(type)) return new Utf8();
  if (DataType.isLargeBinary(type) || DataType.isBinaryView(type)) return new Binary();
  if (DataType.isTimestamp(type)) return new TimestampMicrosecond(type.timezone);
  if (DataType.isDate(type)) return new DateDay();
  if (DataType.isTime(type)) return new TimeNanosecond();
  if (DataType.isDuration(type)) return new DurationMicrosecond();
  if (DataType.isList(type)) return new List(plainField(type.valueField));
  if (DataType.isStruct(type)) return new Struct(type.children.map(plainField));
  if (DataType.isMap(type)) {
    const { keyType, valueType } = type;
    return new Map_(entriesOf(plainType(keyType), plainType(valueType)), type.keysSorted);
  }
  return type;
}

function entriesOf(key: DataType, value: DataType): Field<Struct<{ key: DataType; value: DataType }>> {
  const fields = [new Field("key", key, false), new Field("value", value, true)];
  return new Field("entries", new Struct<{ key: DataType; value: DataType }>(fields), false);
}
