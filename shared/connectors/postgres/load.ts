import { DataType, type Field, type RecordBatch, type Schema, TimeUnit } from "apache-arrow";
import { rowType } from "../../arrow/row-type.ts";
import { rowsOf } from "../../arrow/rows.ts";
import { MillraceError } from "../../contract/errors.ts";
import { escapeIdentifier } from "./identifier.ts";
import type { Session } from "./session.ts";
import { columnNamed, type Table } from "./table.ts";

/** Maximum number of JSON characters, and of rows, in one statement. */
const MAX_CHARACTERS = 4 * 1024 * 1024;
const MAX_ROWS = 5000;
/** A name that no column of a table has. */
const ORDINALITY = escapeIdentifier("number of the row among those sent at once");

/**
 * Inserts rows into a table in the current transaction. With key columns, a row replaces the
 * existing row with its key; of several rows with the same key, the last one is used.
 */
export class Loader {
  readonly #session: Session;
  readonly #doing: string;
  readonly #sql: string;
  readonly #converters: readonly (readonly [string, Converter])[];
  #rows: string[] = [];
  #characters = 0;

  /** Prepares an insert into the table. Error: `POSTGRES_TABLE_MISMATCH`. */
  constructor(session: Session, table: Table, schema: Schema, keyColumns: readonly string[]) {
    this.#session = session;
    this.#doing = `writing to ${table.sql}`;
    this.#sql = insertOf(table, schema, keyColumns);
    this.#converters = schema.fields.flatMap((field) => {
      const convert = jsonConverter(field.type);
      return convert === undefined ? [] : [[field.name, convert] as const];
    });
  }

  async add(batch: RecordBatch): Promise<void> {
    for (const row of rowsOf(batch)) {
      for (const [name, convert] of this.#converters) row[name] = convert(row[name]);
      const text = JSON.stringify(row);
      this.#rows.push(text);
      this.#characters += text.length;
      if (this.#rows.length >= MAX_ROWS || this.#characters >= MAX_CHARACTERS) await this.flush();
    }
  }

  /** Sends the rows that were added. */
  async flush(): Promise<void> {
    if (this.#rows.length === 0) return;
    const json = `[${this.#rows.join(",")}]`;
    this.#rows = [];
    this.#characters = 0;
    await this.#session.query(this.#doing, this.#sql, [json]);
  }
}

/**
 * Returns the INSERT statement. Scalars are sent as text and cast, so that the column's own type
 * parses them; lists, structs and maps are sent as JSON.
 */
function insertOf(table: Table, schema: Schema, keyColumns: readonly string[]): string {
  const columns = schema.fields.map((field) => {
    const { name, type } = columnNamed(table, field.name);
    const isNested = rowType(field.type).children?.length > 0;
    return { sql: escapeIdentifier(name), sent: isNested ? type : "text", type };
  });
  const names = columns.map(({ sql }) => sql).join(", ");
  const sent = columns.map((column) => `${column.sql} ${column.sent}`).join(", ");
  const cast = columns.map(({ sql, type }) => `${sql}::${type} AS ${sql}`).join(", ");
  const rows = `SELECT ${cast}, ${ORDINALITY} FROM ROWS FROM (json_to_recordset($1::json) AS (${sent})) WITH ORDINALITY AS sent(${names}, ${ORDINALITY})`;
  const insert = `INSERT INTO ${table.sql} (${names})`;
  if (keyColumns.length === 0)
    return `${insert} SELECT ${names} FROM (${rows}) AS rows ORDER BY ${ORDINALITY}`;
  const keys = keyColumns.map(escapeIdentifier);
  const others = columns.filter(({ sql }) => !keys.includes(sql));
  const updated = others.map(({ sql }) => `${sql} = excluded.${sql}`).join(", ");
  const action = others.length === 0 ? "NOTHING" : `UPDATE SET ${updated}`;
  return `${insert} SELECT DISTINCT ON (${keys.join(", ")}) ${names} FROM (${rows}) AS rows
    ORDER BY ${keys.join(", ")}, ${ORDINALITY} DESC ON CONFLICT (${keys.join(", ")}) DO ${action}`;
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
