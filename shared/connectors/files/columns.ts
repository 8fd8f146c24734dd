import type { Schema } from "apache-arrow";
import { checkColumnNames, quoted } from "../kit/column-names.ts";
import { MalformedFileError } from "./malformed.ts";

/**
 * Checks the column names of a file. Errors: `MalformedFileError` if the file has none of the
 * schema's columns; `COLUMN_MISNAMED` if a name differs only in case, `_`, `-` or spaces.
 */
export function checkColumns(schema: Schema, found: readonly string[]): void {
  const columns = schema.fields.map(({ name }) => name);
  checkColumnNames(columns, found, { schema: ".schema(…)" });
  if (columns.some((column) => found.includes(column))) return;
  throw new MalformedFileError(
    `its columns are ${quoted(found)}, and none of the schema's: ${quoted(columns)}`,
    {
      hint: "Call the columns in .schema(…) as the file does.",
    },
  );
}
