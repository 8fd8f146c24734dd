import type { Schema } from "apache-arrow";
import type { Row } from "../../contract/stream-reader.ts";
import type { Session } from "./connection.ts";
import { escapeIdentifier } from "./identifier.ts";

import { rowConverter } from "./values.ts";

/** What is to be read: `FROM … WHERE … ORDER BY …`, with its values. */
export interface Selection {
  readonly from: string;
  readonly values: readonly unknown[];
}

/**
 * The rows of a selection, as of one moment, in pages of `fetchSize`. Errors: `POSTGRES_FAILED`.
 */
export async function* readRows(
  session: Session,
  schema: Schema,
  { from, values }: Selection,
  fetchSize: number,
): AsyncGenerator<Row> {
  const doing = "reading rows";
  await session.begin("READ ONLY");
  // Else it would be planned for its first rows.
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
