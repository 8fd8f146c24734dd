import { RecordBatch, type Schema } from "apache-arrow";
import { ValueMismatch } from "../../arrow/builders/builder.ts";
import { LeftOutFields } from "../../arrow/left-out.ts";
import { RowCollector } from "../../arrow/row-collector.ts";
import { withReadAhead } from "../../arrow/stored-bytes.ts";
import type { BadRowSink } from "../../contract/bad-rows.ts";
import type { TaskContext } from "../../contract/context.ts";
import { MillraceError, show } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { MalformedFileError, MalformedRowError } from "../kit/malformed.ts";
import { arrowSchema, readArrow } from "./arrow.ts";
import { BadRecord, type FileRow, KeptRow, type RecordContent } from "./bad-record.ts";
import { FileBytes } from "./bytes.ts";
import { fieldsReader, readCsv } from "./csv.ts";
import { type FileGroup, type Folder, listFiles } from "./folder.ts";
import { FolderColumns, folderValues } from "./folder-columns.ts";
import { lineReader, readJsonLines } from "./json-lines.ts";
import type { ParsedOptions } from "./options.ts";
import { parquetFileSchema, readParquet } from "./parquet.ts";
import { TextMismatch } from "./text-mismatch.ts";

/** The file that is being read and the number of rows read from it. */
interface ReadPosition {
  path: string;
  row: number;
}

const FIX_FILE_HINT =
  "Take the file away, set `ignoreMissingFiles: true`, and run again. Then put it back, corrected, under another name.";

/**
 * Reads the rows of the files in a group. Errors: `FILE_CHANGED`, `FILE_MALFORMED`, and errors of
 * rows that do not fit the schema, each with the file and the row number in it.
 */
export async function* readFiles(
  store: ObjectStore,
  schema: Schema,
  options: ParsedOptions,
  { files }: FileGroup,
  task: Pick<TaskContext, "badRows" | "leftOut"> = {},
): AsyncGenerator<RecordBatch> {
  const { badRows } = task;
  const leftOut = new LeftOutFields();
  const kept = { keepsContent: badRows !== undefined, leftOut };
  // One collector for all files, so that the rows of many small files share a record batch.
  const rows = new RowCollector(schema, {}, badRows);
  const toError = (error: unknown, place: ReadPosition) => errorInFile(error, options, place);
  for await (const file of withReadAhead(files.map((planned) => new FileBytes(store, planned)))) {
    if (options.ignoreMissingFiles && !(await file.exists())) continue;
    const place: ReadPosition = { path: file.path, row: 0 };
    try {
      for await (const chunk of withFolderColumns(file, schema, options, kept))
        yield* collect(chunk, rows, { place, badRows, toError });
    } catch (error) {
      throw toError(error, place);
    }
  }
  yield* rest(rows);
  const { found } = leftOut;
  if (found !== undefined) task.leftOut?.(found.names, found.rows);
}

/** The parts of a file that are collected besides its rows. */
interface Kept {
  /** True if the content of each record is kept with its row. */
  readonly keepsContent: boolean;
  readonly leftOut: LeftOutFields;
}

interface Collecting {
  readonly place: ReadPosition;
  readonly badRows: BadRowSink | undefined;
  toError(error: unknown, place: ReadPosition): MillraceError;
}

/** Yields the rows collected so far, if there are any that are not bad. */
function* rest(rows: RowCollector): Generator<RecordBatch> {
  if (rows.pending === 0) return;
  const batch = rows.flush();
  if (batch.numRows > 0) yield batch;
}

/**
 * Passes record batches on after the rows that came before them. Rows are collected until a record
 * batch is full.
 */
function* collect(
  chunk: RecordBatch | Iterable<FileRow>,
  rows: RowCollector,
  { place, badRows, toError }: Collecting,
): Generator<RecordBatch> {
  if (chunk instanceof RecordBatch) {
    yield* rest(rows);
    yield chunk;
    return;
  }
  for (const row of chunk) {
    if (row instanceof BadRecord) {
      if (badRows === undefined) throw row.error;
      rows.reject(toError(row.error, place), { raw: row.content });
      place.row++;
    } else {
      place.row++;
      if (row instanceof KeptRow) rows.append(row.row, place, { raw: row.content });
      else rows.append(row, place);
    }
    if (rows.isFull) yield* rest(rows);
  }
}

/** Makes rows again of records that could not be read. What still cannot goes to `badRows`. */
export function* readRecordsAgain(
  schema: Schema,
  options: ParsedOptions,
  contents: readonly RecordContent[],
  badRows: BadRowSink | undefined,
): Generator<RecordBatch> {
  const rows = new RowCollector(schema, {}, badRows);
  for (const content of contents) {
    const place = { path: content.file, row: 0 };
    try {
      rows.append(rowOf(content, schema, options), place, { raw: content });
    } catch (error) {
      const bad = BadRecord.of(error, content);
      rows.reject(errorInFile(bad.error, options, place), { raw: content });
    }
  }
  yield* rest(rows);
}

function rowOf(content: RecordContent, schema: Schema, options: ParsedOptions): Row {
  const values = folderValues(content.file, options);
  const columns = values.size === 0 ? undefined : new FolderColumns(schema, values);
  const fileSchema = columns?.fileSchema ?? schema;
  if ("record" in content)
    throw new MalformedRowError(
      `a record has ${content.record.length} fields, and it cannot be told which of them is missing`,
    );
  const row =
    "line" in content
      ? lineReader(fileSchema, options)(content.line)
      : fieldsReader(fileSchema, options)(content.fields);
  return columns?.addToRow(row) ?? row;
}

/**
 * Returns the schema of the first file by name. Error: `SCHEMA_REQUIRED` if the format does not
 * store a schema or there are no files.
 */
export async function inferSchema(folder: Folder): Promise<Schema> {
  const { store, options } = folder;
  const { format } = options;
  const hint =
    'Call .schema("id bigint, name string") after .format(Files). `millrace schema PIPELINE.ts --infer` proposes one.';
  if (format === "csv" || format === "jsonl") {
    throw new MillraceError("SCHEMA_REQUIRED", `files of the format ${format} do not tell their schema`, {
      hint,
    });
  }
  for await (const info of listFiles(folder)) {
    const file = new FileBytes(store, info);
    const place = { path: file.path, row: 0 };
    try {
      return format === "arrow" ? await arrowSchema(file) : await parquetFileSchema(file);
    } catch (error) {
      throw errorInFile(error, options, place);
    }
  }
  throw new MillraceError("SCHEMA_REQUIRED", "there is no file yet that would tell the schema", {
    where: { path: store.location },
    hint,
  });
}

/** Reads a file in chunks, whose rows also have the columns that its folders are named for. */
async function* withFolderColumns(
  file: FileBytes,
  schema: Schema,
  options: ParsedOptions,
  kept: Kept,
): AsyncGenerator<RecordBatch | Iterable<FileRow>> {
  const values = folderValues(file.key, options);
  if (values.size === 0) return yield* chunksOf(file, schema, options, kept);
  const columns = new FolderColumns(schema, values);
  for await (const chunk of chunksOf(file, columns.fileSchema, options, kept)) yield columns.addTo(chunk);
}

/**
 * Reads a file in chunks of many rows, because awaiting each single row takes longer than reading
 * it.
 */
function chunksOf(
  file: FileBytes,
  schema: Schema,
  options: ParsedOptions,
  { keepsContent, leftOut }: Kept,
): AsyncGenerator<RecordBatch | Iterable<FileRow>> {
  switch (options.format) {
    case "csv":
      return readCsv(file, schema, options, keepsContent);
    case "jsonl":
      return readJsonLines(file, schema, options, keepsContent, leftOut);
    case "arrow":
      return readArrow(file, schema, options);
    case "parquet":
      return readParquet(file, schema, options);
  }
}

/** Adds the file to the error. If a row does not fit the schema, also adds a hint on what to do. */
function errorInFile(error: unknown, { format }: ParsedOptions, { path, row }: ReadPosition): MillraceError {
  if (error instanceof ValueMismatch) return mismatch(error, path, row + 1);
  if (!MillraceError.is(error)) {
    const { message, hint, found, cause } =
      error instanceof MalformedFileError ? error : new MalformedFileError("", { cause: error });
    const problem = message === "" ? "" : `: ${message}`;
    return new MillraceError("FILE_MALFORMED", `${path} cannot be read as ${format}${problem}`, {
      where: { path, ...(error instanceof MalformedRowError ? { row: row + 1 } : {}) },
      hint: hint ?? FIX_FILE_HINT,
      ...(found === undefined ? {} : { found }),
      ...(cause === undefined ? {} : { cause }),
    });
  }
  const where = { path };
  return error.where.row === undefined ? error.with({ where }) : error.with({ where, hint: FIX_FILE_HINT });
}

/** The error of a value that did not fit before its row was made. */
function mismatch(error: ValueMismatch, path: string, row: number): MillraceError {
  const field = error.path.slice(1);
  return new MillraceError("ROW_MISMATCH", `row ${row}, field "${field}": ${error.message}`, {
    where: { path, row, field },
    hint: error instanceof TextMismatch ? error.hint : FIX_FILE_HINT,
    found: show(error.value),
  });
}
