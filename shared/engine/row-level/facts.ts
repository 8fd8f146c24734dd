import { type Field, Schema } from "apache-arrow";
import { toSchema } from "../../contract/ddl/to-schema.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import { suggest } from "../../contract/suggest.ts";
import type { NamedReference } from "../../contract/write/predicates.ts";
import type { RowLevelCommand, RowLevelOperation, SupportsDelta } from "../../contract/write/row-level.ts";
import type { MetadataColumn } from "../../contract/write/scan.ts";

/** What a table and its row-level operation say about themselves. */
export interface OperationFacts {
  /** The columns of the table. */
  readonly table: Schema;
  /** The columns of the table and its metadata columns. */
  readonly all: Schema;
  /** `delta`: the writers get the changes. `group`: they get whole groups of rows. */
  readonly form: "delta" | "group";
  /** True if an update arrives as a delete and an insert. */
  readonly splitsUpdates: boolean;
  readonly rowId: readonly string[];
  /** The metadata columns that the writers need, in this order. */
  readonly metadata: readonly MetadataColumn[];
}

/** Returns the facts of a table without a row-level operation: rows are only inserted. */
export function insertFacts(table: Schema, metadataColumns: readonly MetadataColumn[]): OperationFacts {
  const all = allColumns(table, metadataColumns);
  return { table, all, form: "delta", splitsUpdates: false, rowId: [], metadata: [] };
}

/**
 * Asks an operation for its facts, in Spark's order. Throws `ROW_LEVEL_INVALID` if a row id may be
 * null, or if a column is not there.
 */
export function factsOf(
  asked: RowLevelOperation,
  command: RowLevelCommand,
  table: Schema,
  metadataColumns: readonly MetadataColumn[],
  where: ErrorLocation,
): OperationFacts {
  const operation = asked as RowLevelOperation & Partial<SupportsDelta>;
  const all = allColumns(table, metadataColumns);
  const isDelta = typeof operation.rowId === "function";
  const rowId = namesOf(operation.rowId?.() ?? [], where);
  if (isDelta) checkRowId(rowId, all, where);
  const required = namesOf(operation.requiredMetadataAttributes?.() ?? [], where);
  const metadata = required.map((name) => {
    const found = metadataColumns.find((column) => column.name === name);
    if (found !== undefined) return found;
    const names = metadataColumns.map((column) => column.name);
    throw invalid(
      `requiredMetadataAttributes() names "${name}", which is no metadata column${suggest(name, names)}`,
      where,
    );
  });
  const splitsUpdates =
    isDelta && command !== "DELETE" && operation.representUpdateAsDeleteAndInsert?.() === true;
  return { table, all, form: isDelta ? "delta" : "group", splitsUpdates, rowId, metadata };
}

function allColumns(table: Schema, metadataColumns: readonly MetadataColumn[]): Schema {
  const names = new Set(table.fields.map(({ name }) => name));
  // A column of the table hides a metadata column of the same name, as in Spark.
  const visible = metadataColumns.filter(({ name }) => !names.has(name));
  return new Schema([...table.fields, ...visible.map(fieldOf)]);
}

/** Returns the field of a metadata column. Throws `SCHEMA_INVALID`. */
export function fieldOf({ name, type }: MetadataColumn): Field {
  return toSchema(`\`${name.replaceAll("`", "``")}\` ${type}`).fields[0] as Field;
}

function namesOf(references: readonly NamedReference[], where: ErrorLocation): readonly string[] {
  return references.map(({ attribute }) => {
    const [name, ...nested] = attribute;
    if (name !== undefined && nested.length === 0) return name;
    throw invalid(`"${attribute.join(".")}" is no column, but a field within one`, where);
  });
}

function checkRowId(rowId: readonly string[], all: Schema, where: ErrorLocation): void {
  if (rowId.length === 0) throw invalid("rowId() returns no column", where);
  for (const name of rowId) {
    const field = all.fields.find((other) => other.name === name);
    const names = all.fields.map((other) => other.name);
    if (field === undefined)
      throw invalid(`rowId() names "${name}", which is not there${suggest(name, names)}`, where);
    if (field.nullable) throw invalid(`the row id "${name}" may be null`, where);
  }
}

function invalid(problem: string, where: ErrorLocation): MillraceError {
  return new MillraceError("ROW_LEVEL_INVALID", problem, {
    where,
    hint: "Nothing was read or written. Row ids must identify each row: use columns that are NOT NULL, or metadata columns of the table.",
  });
}
