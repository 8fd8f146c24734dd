import { MillraceError } from "../../../contract/errors.ts";
import type { TableIdentifier } from "./catalog.ts";
import { tableNameOf } from "./identifier.ts";

/** The error of a table that was there and is not any more. */
export function tableGone(table: TableIdentifier, catalog: string): MillraceError {
  return new MillraceError(
    "TABLE_NOT_FOUND",
    `the table ${tableNameOf(table)} is not in the ${catalog} any more`,
    {
      hint: "Another program dropped or renamed it. Register it again, or `millrace run` creates a new one from the pipeline's schema.",
    },
  );
}

/** The error of a name that something other than a table has. */
export function nameTaken(table: TableIdentifier, catalog: string): MillraceError {
  return new MillraceError(
    "TABLE_NAME_TAKEN",
    `${tableNameOf(table)} in the ${catalog} is a view, or something else that is not a table`,
    { hint: "Drop it, or choose another name with the option table, and `millrace run` again." },
  );
}
