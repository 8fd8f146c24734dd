import type { RecordBatch, Schema } from "apache-arrow";
import { rowsOf } from "../../arrow/rows.ts";
import type { Session } from "../kit/postgres/session.ts";
import { escapeIdentifier } from "./identifier.ts";
import { jsonRows, sentRows, type TypedTable } from "./sent-rows.ts";
import type { Table } from "./table.ts";

/** Maximum number of JSON characters, and of rows, in one statement. */
export const MAX_CHARACTERS: number = 4 * 1024 * 1024;
export const MAX_ROWS = 5000;
/** A name that no column of a table has. */
const ORDINALITY = escapeIdentifier("number of the row among those sent at once");

/** Sends rows that are JSON texts with a statement, many at once. */
export class JsonSender {
  readonly #session: Session;
  readonly #doing: string;
  readonly #sql: string;
  #rows: string[] = [];
  #characters = 0;

  /** The statement receives an array of rows in its first parameter. */
  constructor(session: Session, doing: string, sql: string) {
    this.#session = session;
    this.#doing = doing;
    this.#sql = sql;
  }

  /** Adds a row. Returns true if there are enough rows for a statement. */
  add(row: string): boolean {
    this.#rows.push(row);
    this.#characters += row.length;
    return this.#rows.length >= MAX_ROWS || this.#characters >= MAX_CHARACTERS;
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
 * Inserts rows into a table in the current transaction. With key columns, a row replaces the
 * existing row with its key; of several rows with the same key, the last one is used.
 */
export class Loader {
  readonly #sender: JsonSender;
  readonly #textOf: (row: Record<string, unknown>) => string;

  /** Prepares an insert into the table. Error: `POSTGRES_TABLE_MISMATCH`. */
  constructor(session: Session, table: Table, schema: Schema, keyColumns: readonly string[]) {
    this.#sender = new JsonSender(session, `writing to ${table.sql}`, insertOf(table, schema, keyColumns));
    this.#textOf = jsonRows(schema);
  }

  async add(batch: RecordBatch): Promise<void> {
    for (const row of rowsOf(batch)) {
      if (this.#sender.add(this.#textOf(row))) await this.flush();
    }
  }

  /** Sends the rows that were added. */
  async flush(): Promise<void> {
    await this.#sender.flush();
  }
}

/** Returns the INSERT statement. */
export function insertOf(table: TypedTable, schema: Schema, keyColumns: readonly string[]): string {
  const { columns, rows } = sentRows(table, schema, ORDINALITY);
  const names = columns.join(", ");
  const insert = `INSERT INTO ${table.sql} (${names})`;
  if (keyColumns.length === 0)
    return `${insert} SELECT ${names} FROM (${rows}) AS rows ORDER BY ${ORDINALITY}`;
  const keys = keyColumns.map(escapeIdentifier);
  const others = columns.filter((sql) => !keys.includes(sql));
  const updated = others.map((sql) => `${sql} = excluded.${sql}`).join(", ");
  const action = others.length === 0 ? "NOTHING" : `UPDATE SET ${updated}`;
  return `${insert} SELECT DISTINCT ON (${keys.join(", ")}) ${names} FROM (${rows}) AS rows
    ORDER BY ${keys.join(", ")}, ${ORDINALITY} DESC ON CONFLICT (${keys.join(", ")}) DO ${action}`;
}
