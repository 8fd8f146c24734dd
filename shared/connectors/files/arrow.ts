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
import { Malformed } from "./malformed.ts";

// Arrow for JavaScript brings no codec. There is none here for LZ4. A copy, because what
// `decompress` returns may not be aligned.
compressionRegistry.set(CompressionType.ZSTD, { decode: (data) => decompress(data).slice() });

/**
 * An IPC file, or a stream. Record batches that have the columns of the schema pass as they are;
 * those of others are turned into rows.
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

/** The schema of the rows of a file: its own, in the types that rows can be turned into. */
export async function arrowSchema(file: FileBytes): Promise<Schema> {
  const reader = await open(file);
  await reader.open();
  return new Schema(reader.schema.fields.map(plainField));
}

async function open(file: FileBytes): Promise<RecordBatchReader> {
  if (file.size === 0) throw new Malformed("it is empty");
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
    throw new Malformed("it is compressed with LZ4: write it with zstd, or not compressed", { cause: error });
  }
}

/** What Arrow asks of a file that it reads piece by piece. */
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
  // The whole class of Node is asked for, of which no more than this is used.
  return handle as never;
}

function describe(schema: Schema): string {
  return JSON.stringify(schemaToJson(schema).fields.map(({ name, type }) => [name, type]));
}

function plainField(field: Field): Field {
  return new Field(field.name, plainType(field.type), field.nullable);
}

/**
 * Layouts that differ from file to file, such as dictionaries, and units that rows do not have, in
 * the types of the DDL.
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
