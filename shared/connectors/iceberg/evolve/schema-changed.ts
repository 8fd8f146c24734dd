import type { Schema } from "apache-arrow";
import { typeName } from "../../../contract/ddl/print.ts";
import { MillraceError } from "../../../contract/errors.ts";
import type { OnSchemaChange } from "../../../contract/write/write-info.ts";
import { arrowSchemaOf } from "../format/arrow-schema.ts";
import type { IcebergSchema } from "../format/types.ts";

/** A column of the rows that a table does not take. */
export interface ColumnProblem {
  /** The column's full name, such as `place.x`. */
  readonly column: string;
  /** The problem, as a part of a sentence that names the column. */
  readonly text: string;
  /** The choices of `.onSchemaChange()` with which the column is no problem. */
  readonly solvedBy: readonly OnSchemaChange[];
}

/** The error of rows that do not fit a table, with all problems and what would end each. */
export function schemaChanged(
  problems: readonly ColumnProblem[],
  table: IcebergSchema,
  rows: Schema,
): MillraceError {
  const texts = problems.map(({ text }) => text).join("; ");
  const columns = `The table has the columns (${describe(arrowSchemaOf(table))}), the rows have (${describe(rows)}).`;
  return new MillraceError("SCHEMA_CHANGED", `the rows do not fit the table: ${texts}`, {
    hint: `${remedies(problems).join(" ")} ${columns}`,
  });
}

function remedies(problems: readonly ColumnProblem[]): readonly string[] {
  const solvedBy = (choice: OnSchemaChange) => problems.filter((one) => one.solvedBy.includes(choice));
  const unsolved = problems.filter((one) => one.solvedBy.length === 0);
  return [
    ...sentence(solvedBy("evolve"), '`.onSchemaChange("evolve")` changes the table for'),
    ...sentence(solvedBy("ignore"), '`.onSchemaChange("ignore")` leaves out'),
    ...sentence(unsolved, "No choice helps, so give the rows the column as the table has it:"),
  ];
}

function sentence(problems: readonly ColumnProblem[], begin: string): readonly string[] {
  const names = [...new Set(problems.map(({ column }) => `"${column}"`))];
  return names.length === 0 ? [] : [`${begin} ${names.join(", ")}.`];
}

function describe({ fields }: Schema): string {
  return fields
    .map(({ name, type, nullable }) => `${name} ${typeName(type)}${nullable ? "" : " NOT NULL"}`)
    .join(", ");
}
