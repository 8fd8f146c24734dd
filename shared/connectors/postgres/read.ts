import type { Schema } from "apache-arrow";
import type { Row } from "../../contract/stream-reader.ts";
import type { Session } from "../kit/postgres/session.ts";
import { escapeIdentifier } from "./identifier.ts";

import { rowConverter } from "./values.ts";

/** The rows to read: SQL of the form `FROM … WHERE … ORDER BY …`, and its parameter values. */
export interface Selection {
  readonly from: string;
  readonly values: readonly unknown[];
}

/**
 * Reads the rows of a selection from one snapshot, in pages of `fetchSize`. Error:
 * `POSTGRES_FAILED`.
 */
export async function* readRows(
  session: Session,
  schema: Schema,
  { from, values }: Selection,
  fetchSize: number,
): AsyncGenerator<Row> {
  const doing = "reading rows";
  await session.begin("READ ONLY");
  // By default PostgreSQL optimizes a cursor for its first rows, but here all rows are read.
  await session.execute(doing, "SET LOCAL cursor_tuple_fraction = 1");
  const names = schema.fields.map((field) => escapeIdentifier(field.name)).join(", ");
  await session.query(doing, `DECLARE millrace NO SCROLL CURSOR FOR SELECT ${names} ${from}`, values);
  for (let isLast = false; !isLast; ) {
    const page = await session.queryWithTypes(doing, `FETCH ${fetchSize} FROM millrace`);
    const toRow = rowConverter(schema, page.types);
    for (const cells of page.rows) yield toRow(cells);
    isLast = page.rows.length < fetchSize;
  }
}
