import {
  Binary,
  Data,
  DataType,
  DateDay,
  DurationMicrosecond,
  Field,
  List,
  Map_,
  RecordBatch,
  Schema,
  Struct,
  TimeNanosecond,
  TimestampMicrosecond,
  TimeUnit,
  Utf8,
} from "apache-arrow";
import { convertColumn, differenceOf, nullColumn, type OnMissing } from "../../arrow/convert/columns.ts";
import { UnfitValue } from "../../arrow/convert/leaves.ts";
import type { Codecs } from "../../arrow/ipc/compression.ts";
import { ArrowFormatError } from "../../arrow/ipc/format-error.ts";
import { openIpc } from "../../arrow/ipc/read-ipc.ts";
import type { IpcReader } from "../../arrow/ipc/source.ts";
import { typeName } from "../../contract/ddl/print.ts";
import { checkFieldNames } from "../../contract/ddl/to-schema.ts";
import { MillraceError } from "../../contract/errors.ts";
import { quoted } from "../kit/column-names.ts";
import { MalformedFileError } from "../kit/malformed.ts";
import { unzstd } from "../kit/zlib.ts";
import type { FileBytes } from "./bytes.ts";
import { checkColumns, checkMissing, checkNotInFolders, columnsMissing } from "./columns.ts";
import type { ParsedOptions } from "./options.ts";

const CODECS: Codecs = { zstd: unzstd };

/** The key of a field's metadata that names its extension type. */
const EXTENSION = "ARROW:extension:name";

export type ArrowOptions = Pick<ParsedOptions, "folderColumns" | "missingColumns">;

/**
 * Reads an IPC file or stream as record batches with the columns of the schema. Columns of other
 * types are converted if no value can change. Errors: `COLUMN_MISSING`, `COLUMN_MISNAMED`,
 * `COLUMN_DUPLICATE`, `COLUMN_TYPE_MISMATCH`, `ROW_MISMATCH`, `TYPE_NOT_SUPPORTED`,
 * `MalformedFileError`.
 */
export async function* readArrow(
  file: FileBytes,
  schema: Schema,
  options: ArrowOptions,
): AsyncGenerator<RecordBatch> {
  const reader = await opened(file);
  checkNotInFolders(reader.schema.names as string[], file, options);
  const positions = columnPositions(reader.schema, schema, options);
  let row = 0;
  for await (const batch of batchesOf(reader)) {
    const columns = schema.fields.map(({ name, type }, i) => {
      const position = positions[i] as number;
      if (position < 0) return nullColumn(type, batch.numRows);
      return converted(batch.data.children[position] as Data, type, name, row);
    });
    const rows = new Data(new Struct(schema.fields), 0, batch.numRows, 0, undefined, columns);
    yield new RecordBatch(schema, rows, batch.metadata);
    row += batch.numRows;
  }
}

/** Returns the position of each column in the file, and -1 for one that is to be null. */
function columnPositions(found: Schema, schema: Schema, options: ArrowOptions): number[] {
  const names = found.fields.map(({ name }) => name);
  checkColumns(schema, names);
  checkMissing(
    schema.fields.map(({ name }) => name),
    names,
    options,
  );
  const onMissing: OnMissing = ({ name }, path, fields) => {
    if (options.missingColumns === "null") return;
    throw columnsMissing(
      [name],
      fields.map((field) => field.name),
      path.slice(0, -1 - name.length),
    );
  };
  return schema.fields.map((field) => {
    const position = names.indexOf(field.name);
    const own = found.fields[position];
    if (own !== undefined) checkType(own, field, onMissing);
    return position;
  });
}

function checkType(own: Field, field: Field, onMissing: OnMissing): void {
  const difference = differenceOf(own.type, field.type, field.name, onMissing);
  if (difference === undefined) return;
  const { path, found, wanted } = difference;
  throw new MillraceError(
    "COLUMN_TYPE_MISMATCH",
    `column ${quoted([path])}: the schema has ${typeName(wanted)}, the file has ${typeName(found)}`,
    {
      where: { field: path },
      hint: "Write the file's type in .schema(…), or leave .schema(…) out: then the first file's types are taken.",
    },
  );
}

function converted(data: Data, type: DataType, field: string, rowsBefore: number): Data {
  try {
    return convertColumn(data, type);
  } catch (error) {
    if (!(error instanceof UnfitValue)) throw error;
    // Below a list, the index is not that of the row.
    const row =
      data.length > error.index && data.children.length === 0 ? rowsBefore + error.index + 1 : undefined;
    const place = row === undefined ? "" : `row ${row}, `;
    throw new MillraceError(
      "ROW_MISMATCH",
      `${place}field "${field}": expected ${typeName(type)}, found ${error.message}`,
      {
        where: { field },
        hint: "Leave .schema(…) out, or give it an Arrow Schema with the file's own type, which holds all its values.",
      },
    );
  }
}

/** Returns the file's schema, with DDL types for those whose values they hold. */
export async function arrowSchema(file: FileBytes): Promise<Schema> {
  const { schema } = await opened(file);
  return new Schema(schema.fields.map(plainField));
}

async function opened(file: FileBytes): Promise<IpcReader> {
  const reader = await malformed(openIpc(file, CODECS));
  checkFieldNames(
    reader.schema.fields,
    (problem) =>
      new MillraceError("COLUMN_DUPLICATE", `the file ${problem}`, {
        hint: "Write the file again with a name of its own for each column.",
      }),
  );
  return reader;
}

async function* batchesOf(reader: IpcReader): AsyncGenerator<RecordBatch> {
  const batches = reader.batches();
  for (let next = await malformed(batches.next()); !next.done; next = await malformed(batches.next()))
    yield next.value;
}

async function malformed<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (!(error instanceof ArrowFormatError)) throw error;
    throw new MalformedFileError(error.message, { cause: error });
  }
}

/** A field of an extension type keeps its type, which its metadata describes. */
function plainField({ name, type, nullable, metadata }: Field): Field {
  return new Field(name, metadata.has(EXTENSION) ? type : plainType(type), nullable, metadata);
}

/**
 * Returns the DDL type that holds all values of an Arrow type: encodings such as dictionaries are
 * removed, and times get the unit that rows have. A type for which there is none stays as it is.
 */
function plainType(type: DataType): DataType {
  if (DataType.isDictionary(type)) return plainType(type.dictionary);
  if (DataType.isLargeUtf8(type) || DataType.isUtf8View(type)) return new Utf8();
  if (DataType.isLargeBinary(type) || DataType.isBinaryView(type)) return new Binary();
  if (DataType.isList(type)) return new List(plainField(type.valueField));
  if (DataType.isStruct(type)) return new Struct(type.children.map(plainField));
  if (DataType.isMap(type)) {
    const { keyType, valueType } = type;
    return new Map_(entriesOf(plainType(keyType), plainType(valueType)), type.keysSorted);
  }
  return plainTime(type);
}

/** Rows have times in microseconds, which cannot hold nanoseconds. */
function plainTime(type: DataType): DataType {
  if (DataType.isDate(type)) return new DateDay();
  if (DataType.isTime(type)) return new TimeNanosecond();
  const isPrecise = "unit" in type && type.unit === TimeUnit.NANOSECOND;
  if (DataType.isTimestamp(type) && !isPrecise) return new TimestampMicrosecond(type.timezone && "UTC");
  return DataType.isDuration(type) && !isPrecise ? new DurationMicrosecond() : type;
}

function entriesOf(key: DataType, value: DataType): Field<Struct<{ key: DataType; value: DataType }>> {
  const fields = [new Field("key", key, false), new Field("value", value, true)];
  return new Field("entries", new Struct<{ key: DataType; value: DataType }>(fields), false);
}
