import type { Schema } from "apache-arrow";
import { checkColumnNames, quoted } from "../kit/column-names.ts";
import type { FileBytes } from "./bytes.ts";
import { folderValues } from "./folder-columns.ts";
import { MalformedFileError } from "./malformed.ts";
import type { ParsedOptions } from "./options.ts";

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

/** Throws if the file lacks columns of the schema, unless `missingColumns` says what they are. */
export function checkMissing(
  columns: readonly string[],
  found: readonly string[],
  { missingColumns }: ParsedOptions,
): void {
  if (missingColumns === "null") return;
  const missing = columns.filter((column) => !found.includes(column));
  if (missing.length === 0) return;
  const noun = missing.length === 1 ? "no column" : "no columns";
  throw new MalformedFileError(`it has ${noun} ${quoted(missing)}, which the schema has`, {
    hint: 'Set `missingColumns: "null"` if they are null in such a file, or leave them out of .schema(…).',
  });
}

/** Throws if a column is in the file and in the name of its folder, such as `day=2026-11-21/`. */
export function checkNotInFolders(
  found: readonly string[],
  { key }: FileBytes,
  options: ParsedOptions,
): void {
  const both = [...folderValues(key, options).keys()].filter((name) => found.includes(name));
  if (both.length === 0) return;
  throw new MalformedFileError(`it has the columns ${quoted(both)}, and its folders name them, too`, {
    hint: 'Set `folderColumns: "ignore"` to take the values of the file.',
  });
}
