import type { Schema } from "apache-arrow";
import { compareSchemas, describeDifferences, remedyOf } from "../../arrow/compare-schemas.ts";
import { decodeSchema, encodeSchema } from "../../arrow/ipc-file.ts";
import { isSameType } from "../../arrow/same-type.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { decodedSchema, tableSchemaOf } from "./stored-schema.ts";
import type { TableSchema } from "./table-state.ts";

/** What a batch may do to a table whose columns are others than those of its rows. */
export type SchemaChoice = "fail" | "evolve";

/**
 * Returns the schema that a table has after rows of the schema `mine` were added. Without a choice
 * it stays, and the rows must have it. Error: `TABLE_SCHEMA_MISMATCH`, with each difference.
 */
export function schemaAfter(
  table: ObjectStore,
  present: TableSchema,
  mine: TableSchema,
  choice: SchemaChoice,
): TableSchema {
  if (isSameTable(present, mine)) return mine;
  const [own, rows] = [decodedSchema(present), decodedSchema(mine)];
  if (own === undefined || rows === undefined) throw otherSchema(table);
  const { differences, merged } = compareSchemas(own, rows, present.partitionBy);
  if (differences.length === 0) return present;
  if (choice === "evolve" && differences.every(({ evolves }) => evolves))
    return isSameFields(merged, own) ? present : tableSchemaOf(merged, present.partitionBy);
  const text = `the columns of the rows are not those of the table: ${describeDifferences(differences)}`;
  throw new MillraceError("TABLE_SCHEMA_MISMATCH", text, {
    where: { path: table.location },
    hint: `Nothing was written. ${remedyOf(differences)}`,
  });
}

function isSameFields(one: Schema, other: Schema): boolean {
  return encodeSchema(one) === encodeSchema(other);
}

/** The error of a table of an older version whose types are not known without its files. */
function otherSchema(table: ObjectStore): MillraceError {
  return new MillraceError(
    "TABLE_SCHEMA_MISMATCH",
    "the columns of the rows are not those of the table, whose types are not those of Spark's DDL",
    { where: { path: table.location }, hint: "Write to another path, or change the schema back." },
  );
}

/** True if rows of both schemas may be in one table. */
function isSameTable(one: TableSchema, other: TableSchema): boolean {
  if (JSON.stringify(one.schema) !== JSON.stringify(other.schema)) return false;
  if (one.arrowSchema === undefined || other.arrowSchema === undefined) return true;
  const [own, theirs] = [decodeSchema(one.arrowSchema).fields, decodeSchema(other.arrowSchema).fields];
  return own.every(({ type }, i) => theirs[i] !== undefined && isSameType(type, theirs[i].type));
}
