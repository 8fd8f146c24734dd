import { type RecordBatch, Schema } from "apache-arrow";
import { rebind } from "../../../arrow/ipc-file.ts";
import { matchColumns } from "../../../arrow/match-columns.ts";
import { namesOf, renamedLike } from "../../../arrow/match-names.ts";
import { selectColumns } from "../../../arrow/select.ts";
import type { ErrorLocation } from "../../../contract/errors.ts";
import { arrowSchemaOf } from "../format/arrow-schema.ts";
import type { IcebergSchema } from "../format/types.ts";

/** How rows are brought into the form in which a table's files have them. */
export interface CanonicalRows {
  /** The Arrow schema of the table, with Iceberg's field ids. */
  readonly schema: Schema;
  /**
   * Returns the rows with that schema. `rowsBefore` is the number of rows in earlier record
   * batches, for errors. Throws `ROW_MISMATCH` at a value that would change, or at a null that the
   * table does not take.
   */
  apply(batch: RecordBatch, rowsBefore: number): RecordBatch;
}

/**
 * Finds the columns of a table in rows, by name and by Spark's rules of store assignment. Columns
 * and fields of structs that the rows lack are null. Those that the table lacks are refused, or
 * left out. Throws `COLUMNS_NOT_MATCHED` with all problems.
 */
export function canonicalRows(
  rows: Schema,
  target: IcebergSchema,
  where: ErrorLocation,
  extra: "refuse" | "leave-out",
): CanonicalRows {
  const schema = arrowSchemaOf(target);
  const named = renamedLike(rows, schema);
  const known = new Set(namesOf(schema.fields));
  const kept = named.fields.filter(({ name }) => extra === "refuse" || known.has(name));
  const isWhole = kept.length === rows.fields.length;
  const names = namesOf(kept);
  const { apply } = matchColumns(isWhole ? named : new Schema(kept), schema, "name", where, {
    missing: "null",
    extra,
  });
  return {
    schema,
    apply: (batch, rowsBefore) => {
      const own = named === rows ? batch : rebind(named, batch);
      return rebind(schema, apply(isWhole ? own : selectColumns(own, names), rowsBefore));
    },
  };
}
