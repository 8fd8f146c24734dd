import type { RecordBatch, Schema } from "apache-arrow";
import { fieldOf } from "../../arrow/builders/nested.ts";
import { toRecordBatches } from "../../arrow/record-batches.ts";
import type { BadRow, BadRowSink } from "../../contract/bad-rows.ts";
import type { TaskContext } from "../../contract/context.ts";
import { MillraceError, show } from "../../contract/errors.ts";
import { isPlainObject, JsonNumber, kindOf } from "../../contract/json.ts";
import { optional } from "../../contract/optional.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { badRow } from "../kit/bad-row.ts";
import { checkColumnNames, type Misnamed } from "../kit/column-names.ts";
import { firstNames, pathReader } from "../kit/json-path.ts";
import { pathCheck, pathOf } from "./column-paths.ts";
import { columnValue } from "./column-value.ts";
import type { SourceOptions } from "./options.ts";
import type { Page } from "./pages.ts";
import { timeColumn } from "./time-column.ts";

/** A page of the list, or records that are read again. */
export type RecordPage = Pick<Page, "records"> & Partial<Pick<Page, "url">>;

/** How the records of pages are taken. */
export interface RecordOptions {
  /** Rows for which it returns false are left out. */
  readonly keep?: (row: Row) => boolean;
  /** Takes records that do not fit. Without it, they are errors. */
  readonly badRows?: BadRowSink | undefined;
  /** Is told of fields that the schema lacks. */
  readonly leftOut?: TaskContext["leftOut"] | undefined;
}

/**
 * Converts the records of these pages to record batches of `schema`. The conversion is done here
 * and not by the engine, so that a row's error can name its page. Errors: `OPTIONS_INVALID`,
 * `COLUMN_MISNAMED`, and those of pages and rows.
 */
export async function* recordBatches(
  schema: Schema,
  columns: SourceOptions["columns"],
  pages: AsyncIterable<RecordPage>,
  { keep = () => true, badRows, leftOut }: RecordOptions = {},
): AsyncGenerator<RecordBatch> {
  const toRow = rowReader(schema, columns);
  const checkNames = nameCheck(schema, columns, leftOut);
  let at: { readonly url?: string } = {};
  let number = 1;
  async function* rows(): AsyncGenerator<Row | BadRow> {
    for await (const { records, url } of pages) {
      at = optional("url", url);
      checkNames(records);
      for (const record of records) {
        let row: Row | BadRow;
        try {
          row = toRow(record, number);
          if (!keep(row)) continue;
        } catch (error) {
          row = badRow(error, record);
        }
        number++;
        yield row;
      }
    }
  }
  try {
    const sink: BadRowSink | undefined = badRows && {
      add: (error, content) => badRows.add(error.with({ where: at }), content),
    };
    yield* toRecordBatches(schema, rows(), {}, sink);
  } catch (error) {
    throw MillraceError.is(error) ? error.with({ where: at }) : error;
  }
}

/**
 * Checks the options that name columns, before anything is planned. Error: `OPTIONS_INVALID`.
 */
export function checkColumns(schema: Schema, { columns, timeRange }: SourceOptions): void {
  const names = new Set(schema.fields.map((field) => field.name));
  const unknown = Object.keys(columns).filter((name) => !names.has(name));
  if (unknown.length > 0) {
    throw new MillraceError(
      "OPTIONS_INVALID",
      `RestApi: columns names ${unknown.join(", ")}, which the schema does not have`,
      { hint: "Add the column to schema, or remove it from columns." },
    );
  }
  for (const field of schema.fields) columnValue(field, pathOf(columns[field.name] ?? field.name));
  if (timeRange?.column !== undefined) timeColumn(schema, timeRange.column);
}

/**
 * Returns a function that converts a record of the API to a row with values in the order of
 * `schema`. Missing values are null. `number` is the number of the row, for errors.
 */
function rowReader(
  schema: Schema,
  columns: SourceOptions["columns"],
): (record: unknown, number: number) => Row {
  const readers = schema.fields.map((field) => {
    const column = pathOf(columns[field.name] ?? field.name);
    const convert = columnValue(field, column);
    // A column without a configured path is read by its own name, in which dots are ordinary
    // characters.
    const read = Object.hasOwn(columns, field.name)
      ? pathReader(column.path, field.name)
      : (record: unknown) => fieldOf(record as Record<string, unknown>, field.name);
    return (record: unknown, number: number): unknown => convert(read(record), number);
  });
  return (record, number) => {
    if (typeof record === "object" && record !== null && !(record instanceof JsonNumber))
      return readers.map((read) => read(record, number));
    throw new MillraceError("ROW_NOT_A_ROW", `the API's list has ${kindOf(record)} in place of a record`, {
      hint: "Check the option rows: it must lead to an array of objects.",
      found: show(record),
    });
  };
}

/**
 * Returns a function that checks the names in a page: those of columns without a path in its first
 * record, because the records of an API usually have the same names, and paths in all records.
 * Error: `COLUMN_MISNAMED`.
 */
function nameCheck(
  schema: Schema,
  columns: SourceOptions["columns"],
  leftOut: TaskContext["leftOut"] | undefined,
): (records: readonly unknown[]) => void {
  const names = schema.fields.map(({ name }) => name);
  const known = [...names, ...Object.values(columns).flatMap((column) => firstNames(pathOf(column).path))];
  const plain = names.filter((name) => !Object.hasOwn(columns, name));
  const taken = new Set(known);
  // Columns with paths are chosen from what there is, so other fields are left out on purpose.
  const tells = Object.keys(columns).length === 0;
  const checkPaths = pathCheck(columns, plain);
  return (records) => {
    const [record] = records;
    if (isPlainObject(record)) {
      const found = Object.keys(record);
      checkColumnNames(plain, found, { known, orElse: columnsHint });
      const others = tells ? found.filter((name) => !taken.has(name)) : [];
      if (others.length > 0) leftOut?.(others, records.length);
    }
    checkPaths(records);
  };
}

function columnsHint(misnamed: readonly Misnamed[]): string {
  const pairs = misnamed.map(({ column, found }) => `${JSON.stringify(column)}: ${JSON.stringify(found)}`);
  return `, or set columns: { ${pairs.join(", ")} }`;
}

/** Converts quarantined records again. */
export function readRecordsAgain(
  schema: Schema,
  { columns }: SourceOptions,
  contents: readonly unknown[],
  { badRows }: TaskContext,
): AsyncGenerator<RecordBatch> {
  async function* pages(): AsyncGenerator<RecordPage> {
    yield { records: contents };
  }
  return recordBatches(schema, columns, pages(), { badRows });
}
