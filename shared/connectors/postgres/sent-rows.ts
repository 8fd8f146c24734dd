import { DataType, type Field, type Schema, TimeUnit } from "apache-arrow";
import { rowType } from "../../arrow/row-type.ts";
import { MillraceError } from "../../contract/errors.ts";
import { escapeIdentifier } from "./identifier.ts";
import { type Column, columnNamed } from "./table.ts";

/** A table with as much as is needed to send rows to it. */
export interface TypedTable {
  /** The quoted name. */
  readonly sql: string;
  readonly columns: readonly Pick<Column, "name" | "type">[];
}

/** Rows that a statement receives as JSON in its first parameter. */
export interface SentRows {
  /** The quoted names of the columns. */
  readonly columns: readonly string[];
  /** A SELECT of these columns, with the types of the table's columns, and of the row's number. */
  readonly rows: string;
}

/**
 * Returns the SQL that reads rows of a schema as rows of a table. Scalars are sent as text and
 * cast, so that the column's own type parses them; lists, structs and maps are sent as JSON.
 * `ordinality` is the quoted name of the row's number. Error: `POSTGRES_TABLE_MISMATCH`.
 */
export function sentRows(table: TypedTable, schema: Schema, ordinality: string): SentRows {
  const columns = schema.fields.map((field) => {
    const { name, type } = columnNamed(table, field.name);
    const isNested = rowType(field.type).children?.length > 0;
    return { sql: escapeIdentifier(name), sent: isNested ? type : "text", type };
  });
  const names = columns.map(({ sql }) => sql);
  const sent = columns.map((column) => `${column.sql} ${column.sent}`).join(", ");
  const cast = columns.map(({ sql, type }) => `${sql}::${type} AS ${sql}`).join(", ");
  return {
    columns: names,
    rows: `SELECT ${cast}, ${ordinality} FROM ROWS FROM (json_to_recordset($1::json) AS (${sent})) WITH ORDINALITY AS sent(${names.join(", ")}, ${ordinality})`,
  };
}

/** Returns a function that prints a row of the schema as `sentRows` reads it. Changes the row. */
export function jsonRows(schema: Schema): (row: Record<string, unknown>) => string {
  const converters = schema.fields.flatMap((field) => {
    const convert = jsonConverter(field.type);
    return convert === undefined ? [] : [[field.name, convert] as const];
  });
  return (row) => {
    for (const [name, convert] of converters) row[name] = convert(row[name]);
    return JSON.stringify(row);
  };
}

type Converter = (value: unknown) => unknown;

/**
 * Returns a converter for values that JSON cannot represent, or that PostgreSQL expects in another
 * form. Returns `undefined` if the type needs none.
 */
function jsonConverter(fieldType: DataType): Converter | undefined {
  const type = rowType(fieldType);
  if ("unit" in type && type.unit === TimeUnit.NANOSECOND && !DataType.isInterval(type)) return checkMicros;
  if (DataType.isBinary(type)) {
    return (value) => (value === null ? null : `\\x${Buffer.from(String(value), "base64").toString("hex")}`);
  }
  if (DataType.isFloat(type)) {
    return (value) =>
      typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0)) ? textOf(value) : value;
  }
  if (DataType.isList(type)) {
    const convert = jsonConverter(type.valueType);
    return convert && ((value) => (Array.isArray(value) ? value.map(convert) : value));
  }
  if (DataType.isMap(type)) {
    const convert = jsonConverter(type.valueType);
    return (
      convert &&
      ((value) => onEntries(value, (entries) => entries.map(([key, item]) => [key, convert(item)])))
    );
  }
  if (DataType.isStruct(type)) {
    const converters = new Map(
      type.children.flatMap(({ name, type: child }: Field) => {
        const convert = jsonConverter(child);
        return convert === undefined ? [] : [[name, convert] as const];
      }),
    );
    if (converters.size === 0) return undefined;
    return (value) =>
      onEntries(value, (entries) => entries.map(([key, item]) => [key, converters.get(key)?.(item) ?? item]));
  }
  return undefined;
}

/** PostgreSQL would round a time with nanoseconds. Error: `ROW_MISMATCH`. */
function checkMicros(value: unknown): unknown {
  if (typeof value !== "string" || !/\.\d{6}\d*[1-9]/.test(value)) return value;
  throw new MillraceError("ROW_MISMATCH", "PostgreSQL keeps microseconds, and a time has more digits", {
    hint: "Round it in the source, or keep it as text or as a number of nanoseconds.",
    found: value,
  });
}

type Entries = [string, unknown][];

function onEntries(value: unknown, change: (entries: Entries) => Entries): unknown {
  return value === null ? null : Object.fromEntries(change(Object.entries(value as object)));
}

function textOf(number: number): string {
  return Object.is(number, -0) ? "-0" : String(number);
}
