import { DataType, type RecordBatch, type Schema } from "apache-arrow";
import { fieldOf } from "../../arrow/builders/nested.ts";
import { toRecordBatches } from "../../arrow/record-batches.ts";
import { MillraceError, show } from "../../contract/errors.ts";
import { isPlainObject, kindOf } from "../../contract/json.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { checkColumnNames, type Misnamed } from "../kit/column-names.ts";
import { firstNames, pathReader } from "../kit/json-path.ts";
import { pathCheck, pathOf } from "./column-paths.ts";
import type { ColumnPath, SourceOptions } from "./options.ts";
import type { Page } from "./pages.ts";

const MICROSECONDS: Readonly<Record<NonNullable<ColumnPath["epoch"]>, number>> = {
  seconds: 1_000_000,
  milliseconds: 1000,
  microseconds: 1,
};

/**
 * Converts the records of these pages to record batches of `schema`. Rows for which `keep` returns
 * false are dropped. The conversion is done here and not by the engine, so that a row's error can
 * name its page. Errors: `OPTIONS_INVALID`, `COLUMN_MISNAMED`, and those of pages and rows.
 */
export async function* recordBatches(
  schema: Schema,
  columns: SourceOptions["columns"],
  pages: AsyncIterable<Pick<Page, "records" | "url">>,
  keep: (row: Row) => boolean = () => true,
): AsyncGenerator<RecordBatch> {
  const toRow = rowReader(schema, columns);
  const checkNames = nameCheck(schema, columns);
  let at: { readonly url?: string } = {};
  async function* rows(): AsyncGenerator<Row> {
    for await (const { records, url } of pages) {
      at = { url };
      checkNames(records);
      for (const record of records) {
        const row = toRow(record);
        if (keep(row)) yield row;
      }
    }
  }
  try {
    yield* toRecordBatches(schema, rows(), {});
  } catch (error) {
    throw MillraceError.is(error) ? error.with({ where: at }) : error;
  }
}

/**
 * Returns a function that converts a record of the API to a row with values in the order of
 * `schema`. Missing values are null.
 */
function rowReader(schema: Schema, columns: SourceOptions["columns"]): (record: unknown) => Row {
  const names = new Set(schema.fields.map((field) => field.name));
  const unknown = Object.keys(columns).filter((name) => !names.has(name));
  if (unknown.length > 0) {
    throw new MillraceError(
      "OPTIONS_INVALID",
      `RestApi: columns names ${unknown.join(", ")}, which the schema does not have`,
      {
        hint: "Add the column to schema, or remove it from columns.",
      },
    );
  }
  const readers = schema.fields.map((field) => {
    const { path, epoch } = pathOf(columns[field.name] ?? field.name);
    const unit = epoch === undefined ? undefined : MICROSECONDS[epoch];
    // A column without a configured path is read by its own name, in which dots are ordinary
    // characters.
    const read = Object.hasOwn(columns, field.name)
      ? pathReader(path, field.name)
      : (record: unknown) => fieldOf(record as Record<string, unknown>, field.name);
    const isFloat = DataType.isFloat(field.type);
    return (record: unknown): unknown => {
      const value = read(record) ?? null;
      // `parseJson` returns large integers as bigint, but the column may be a double.
      if (isFloat && typeof value === "bigint") return Number(value);
      return unit !== undefined && typeof value === "number" ? toMicroseconds(value, unit) : value;
    };
  });
  return (record) => {
    if (typeof record === "object" && record !== null) return readers.map((read) => read(record));
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
function nameCheck(schema: Schema, columns: SourceOptions["columns"]): (records: readonly unknown[]) => void {
  const names = schema.fields.map(({ name }) => name);
  const known = [...names, ...Object.values(columns).flatMap((column) => firstNames(pathOf(column).path))];
  const plain = names.filter((name) => !Object.hasOwn(columns, name));
  const checkPaths = pathCheck(columns, new Set(known));
  return (records) => {
    const [record] = records;
    if (isPlainObject(record)) checkColumnNames(plain, Object.keys(record), { known, orElse: columnsHint });
    checkPaths(records);
  };
}

function columnsHint(misnamed: readonly Misnamed[]): string {
  const pairs = misnamed.map(({ column, found }) => `${JSON.stringify(column)}: ${JSON.stringify(found)}`);
  return `, or set columns: { ${pairs.join(", ")} }`;
}

/**
 * Converts whole numbers exactly, and fractions to the microsecond, which a double can still
 * represent.
 */
function toMicroseconds(value: number, unit: number): bigint {
  const whole = Math.floor(value);
  return BigInt(whole) * BigInt(unit) + BigInt(Math.round((value - whole) * unit));
}
