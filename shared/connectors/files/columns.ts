import type { Schema } from "apache-arrow";
import { MillraceError } from "../../contract/errors.ts";
import { checkColumnNames, quoted } from "../kit/column-names.ts";
import { MalformedFileError } from "../kit/malformed.ts";
import type { FileBytes } from "./bytes.ts";
import { folderValues } from "./folder-columns.ts";
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

/**
 * Throws `COLUMN_MISSING` if the file lacks columns, unless `missingColumns` says what they are.
 */
export function checkMissing(
  columns: readonly string[],
  found: readonly string[],
  { missingColumns }: Pick<ParsedOptions, "missingColumns">,
): void {
  if (missingColumns === "null") return;
  const missing = columns.filter((column) => !found.includes(column));
  if (missing.length > 0) throw columnsMissing(missing, found);
}

/**
 * Returns the error of columns that the file does not have, or of fields that its struct at the
 * path `parent` does not have. `found` has the names that are there.
 */
export function columnsMissing(
  missing: readonly string[],
  found: readonly string[],
  parent = "",
): MillraceError {
  const place = parent === "" ? "the file" : `its ${quoted([parent])}`;
  const [noun, them] = missing.length === 1 ? ["column", "it"] : ["columns", "them"];
  return new MillraceError(
    "COLUMN_MISSING",
    `${place} has no ${noun} ${quoted(missing)}: it has ${quoted(found)}`,
    {
      where: { field: [...(parent === "" ? [] : [parent]), ...missing.slice(0, 1)].join(".") },
      hint: `Leave the ${noun} out of .schema(…), or set \`missingColumns: "null"\` to read ${them} as null.`,
    },
  );
}

/** Throws if a column is in the file and in the name of its folder, such as `day=2026-11-21/`. */
export function checkNotInFolders(
  found: readonly string[],
  { key }: FileBytes,
  options: Pick<ParsedOptions, "folderColumns">,
): void {
  const both = [...folderValues(key, options).keys()].filter((name) => found.includes(name));
  if (both.length === 0) return;
  throw new MalformedFileError(`it has the columns ${quoted(both)}, and its folders name them, too`, {
    hint: 'Set `folderColumns: "ignore"` to take the values of the file.',
  });
}
