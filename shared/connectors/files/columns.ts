import type { Schema } from "apache-arrow";
import { checkColumnNames, quoted } from "../kit/column-names.ts";
import { Malformed } from "./malformed.ts";

/**
 * That a file which tells its columns has at least one of the schema's, and none under a name of
 * its own. Error: `COLUMN_MISNAMED`.
 */
export function checkColumns(schema: Schema, found: readonly string[]): void {
  const columns = schema.fields.map(({ name }) => name);
  checkColumnNames(columns, found, { schema: ".schema(…)" });
  if (columns.some((column) => found.includes(column))) return;
  throw new Malformed(`its columns are ${quoted(found)}, and none of the schema's: ${quoted(columns)}`, {
    hint: "Call the columns in .schema(…) as the file does.",
  });
}
