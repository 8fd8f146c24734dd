import { type Field, makeData, RecordBatch, Schema, Struct } from "apache-arrow";
import { ValueMismatch } from "../../arrow/builders/builder.ts";
import { columnBuilder } from "../../arrow/builders/index.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { BadRecord, type FileRow, KeptRow } from "./bad-record.ts";
import type { ParsedOptions } from "./options.ts";
import { textConverter } from "./text-values.ts";

/** The folder name that Hive and Spark write for null. */
const NULL = "__HIVE_DEFAULT_PARTITION__";

/**
 * Returns the values in the folder names of a key, such as `year=2026/month=1/a.csv`, by name. With
 * `folderColumns: "ignore"` there are none. Error: `FOLDER_COLUMN_INVALID`.
 */
export function folderValues(
  key: string,
  { folderColumns }: Pick<ParsedOptions, "folderColumns">,
): ReadonlyMap<string, string | null> {
  const values = new Map<string, string | null>();
  if (folderColumns === "ignore" || !key.includes("=")) return values;
  for (const folder of key.split("/").slice(0, -1)) {
    const at = folder.indexOf("=");
    if (at <= 0) continue;
    const name = unescaped(folder.slice(0, at), key);
    const text = folder.slice(at + 1);
    if (values.has(name)) throw invalid(`the path ${key} has the folder "${name}=" twice`, key);
    values.set(name, text === NULL ? null : unescaped(text, key));
  }
  return values;
}

/** Checks that the schema has a column for each folder. Error: `FOLDER_COLUMN_INVALID`. */
export function checkFolderColumns(
  key: string,
  { fields }: Schema,
  options: Pick<ParsedOptions, "folderColumns">,
): void {
  for (const name of folderValues(key, options).keys()) {
    if (fields.some((field) => field.name === name)) continue;
    throw invalid(
      `the folder "${name}=" of ${key} is no column of the schema`,
      key,
      `Add the column to .schema(…), such as "${name} string", or set \`folderColumns: "ignore"\` to read the files without it.`,
    );
  }
}

/** Puts the values of a file's folders into its rows. */
export class FolderColumns {
  /** The columns that the file itself has. */
  readonly fileSchema: Schema;
  readonly #schema: Schema;
  /** For each column of the schema its value, or `undefined` if the file has the column. */
  readonly #values: readonly (readonly [unknown] | undefined)[];

  /** `values` are those of `folderValues`. */
  constructor(schema: Schema, values: ReadonlyMap<string, string | null>) {
    this.#schema = schema;
    this.fileSchema = new Schema(schema.fields.filter(({ name }) => !values.has(name)));
    this.#values = schema.fields.map(({ name, type }) => {
      const text = values.get(name);
      if (text === undefined) return undefined;
      return [text === null ? null : textConverter(type, name, {})(text)];
    });
  }

  /** Returns the chunk with the columns of the folders. */
  addTo(chunk: RecordBatch | Iterable<FileRow>): RecordBatch | Iterable<FileRow> {
    return chunk instanceof RecordBatch
      ? this.#addToBatch(chunk)
      : Iterator.from(chunk).map((row) => this.#addToFileRow(row));
  }

  #addToFileRow(row: FileRow): FileRow {
    if (row instanceof BadRecord) return row;
    return row instanceof KeptRow ? new KeptRow(this.addToRow(row.row), row.content) : this.addToRow(row);
  }

  /** Returns the row, which is an array, with the columns of the folders. */
  addToRow(row: Row): Row {
    let at = 0;
    return this.#values.map((value) => (value === undefined ? (row as readonly unknown[])[at++] : value[0]));
  }

  #addToBatch(batch: RecordBatch): RecordBatch {
    const { fields } = this.#schema;
    let at = 0;
    const children = this.#values.map((value, i) =>
      value === undefined ? batch.data.children[at++] : constant(fields[i] as Field, value[0], batch.numRows),
    );
    return new RecordBatch(
      this.#schema,
      makeData({
        type: new Struct(fields),
        length: batch.numRows,
        nullCount: 0,
        children: children as never,
      }),
    );
  }
}

function constant(field: Field, value: unknown, rows: number): unknown {
  const builder = columnBuilder(field, rows);
  try {
    for (let i = 0; i < rows; i++) builder.append(value);
  } catch (error) {
    throw error instanceof ValueMismatch ? error.withParent(`.${field.name}`) : error;
  }
  return builder.finish();
}

function unescaped(text: string, key: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(`a folder of ${key} has a "%" that is no escape`, key);
  }
}

function invalid(
  message: string,
  path: string,
  hint = 'Rename the folder, or set `folderColumns: "ignore"` to read the files without its value.',
): MillraceError {
  return new MillraceError("FOLDER_COLUMN_INVALID", message, { where: { path }, hint });
}
