import { type Data, type Field, makeData, RecordBatch, Schema, Struct } from "apache-arrow";
import { typeName } from "../contract/ddl/print.ts";
import { lengthLimit } from "../contract/ddl/types.ts";
import { type ErrorLocation, MillraceError, show } from "../contract/errors.ts";
import { type Cast, CastFailure, castTo, type InnerFields, SAME_FIELDS } from "./cast-column.ts";
import { findNull, presenceOf } from "./conform.ts";
import { nullColumn } from "./convert/columns.ts";
import { rebind } from "./ipc-file.ts";
import { matchNames, namesOf } from "./match-names.ts";
import { isSameType } from "./same-type.ts";

/** How the columns of rows are written to the columns of a table. */
export interface ColumnMatch {
  /**
   * The columns of the table. One may be null only if it may be null in the table and in the rows.
   */
  readonly schema: Schema;
  /**
   * Returns the rows with this schema, or the record batch itself if it has this schema already.
   * `rowsBefore` is the number of rows in earlier record batches, for errors. Throws
   * `ROW_MISMATCH`.
   */
  apply(batch: RecordBatch, rowsBefore?: number): RecordBatch;
}

/** A column of the table, and the column of the rows that is written to it. */
interface Pair {
  readonly field: Field;
  /** Index of the source column, or `undefined` if the rows have none. */
  readonly source: number | undefined;
  readonly cast: Cast | undefined;
}

/**
 * Finds the columns of a table in rows, by Spark's rules of store assignment: names are compared
 * without case, a column that the rows lack is null, and each value must keep its meaning. `inner`
 * is for fields inside structs. Throws `COLUMNS_NOT_MATCHED` with all problems.
 */
export function matchColumns(
  source: Schema,
  table: Schema,
  by: "name" | "position",
  where: ErrorLocation,
  inner: InnerFields = SAME_FIELDS,
): ColumnMatch {
  const problems: string[] = [];
  const pairs =
    by === "name"
      ? pairsByName(source, table, problems, inner)
      : pairsByPosition(source, table, problems, inner);
  if (problems.length > 0) {
    throw new MillraceError("COLUMNS_NOT_MATCHED", `the rows do not fit the table: ${problems.join("; ")}`, {
      where,
      hint: `The table has the columns (${describe(table)}), the rows have (${describe(source)}). Give the rows the columns of the table.`,
    });
  }
  const schema = new Schema(
    pairs.map(({ field }) => field),
    table.metadata,
  );
  if (isUnchanged(source, schema, pairs)) return { schema, apply: (batch) => batch };
  return {
    schema,
    apply: (batch, rowsBefore = 0) => applied(schema, table, pairs, batch, where, rowsBefore),
  };
}

function describe(schema: Schema): string {
  return schema.fields
    .map(({ name, type, nullable }) => `${name} ${typeName(type)}${nullable ? "" : " NOT NULL"}`)
    .join(", ");
}

function pairsByName(source: Schema, table: Schema, problems: string[], inner: InnerFields): Pair[] {
  const match = matchNames(namesOf(table.fields), namesOf(source.fields), "");
  problems.push(...match.problems);
  const pairs = table.fields.map((field, i) => {
    const found = match.fields.indexOf(i);
    return pairOf(source, field, found < 0 ? undefined : found, problems, inner);
  });
  for (const [i, { name }] of source.fields.entries()) {
    if (match.fields[i] === undefined) problems.push(`"${name}" is not in the table`);
  }
  return pairs;
}

function pairsByPosition(source: Schema, table: Schema, problems: string[], inner: InnerFields): Pair[] {
  const [found, wanted] = [source.fields.length, table.fields.length];
  if (found !== wanted) problems.push(`the rows have ${found} columns, and the table has ${wanted}`);
  return table.fields.slice(0, found).map((field, i) => pairOf(source, field, i, problems, inner));
}

function pairOf(
  source: Schema,
  field: Field,
  index: number | undefined,
  problems: string[],
  inner: InnerFields,
): Pair {
  const own = index === undefined ? undefined : source.fields[index];
  if (own === undefined) {
    if (!field.nullable) problems.push(`"${field.name}" is missing, and is NOT NULL in the table`);
    return { field, source: undefined, cast: undefined };
  }
  const nullable = field.nullable && own.nullable;
  const isSame = isSameType(own.type, field.type) && isShortEnough(own, field);
  const cast = isSame ? undefined : castTo(own, field, inner);
  if (!isSame && cast === undefined) {
    problems.push(
      `"${field.name}" is ${typeName(own.type)}, which is not safely stored as ${typeName(field.type)}`,
    );
  }
  return { field: field.clone({ nullable }), source: index, cast };
}

/** True if no text of the column can be longer than the table's `varchar` or `char`. */
function isShortEnough(own: Field, field: Field): boolean {
  const limit = lengthLimit(field);
  return limit === undefined || (lengthLimit(own)?.length ?? Number.POSITIVE_INFINITY) <= limit.length;
}

/** True if the rows have the schema already, so `apply` has nothing to check. */
function isUnchanged(source: Schema, schema: Schema, pairs: readonly Pair[]): boolean {
  return (
    source.fields.length === pairs.length &&
    pairs.every(({ source: from, cast }, i) => from === i && cast === undefined) &&
    schema.fields.every((field, i) => isSameField(field, source.fields[i] as Field))
  );
}

function isSameField(field: Field, other: Field): boolean {
  return field.name === other.name && hasSameNulls(field, other);
}

/** True if the same parts of both fields, which have the same type, may be null. */
function hasSameNulls(field: Field, other: Field): boolean {
  const [own, others] = [field, other].map(({ type }) => (type.children ?? []) as readonly Field[]);
  return (
    field.nullable === other.nullable &&
    (own ?? []).every((child, i) => hasSameNulls(child, others?.[i] as Field))
  );
}

function applied(
  schema: Schema,
  table: Schema,
  pairs: readonly Pair[],
  batch: RecordBatch,
  where: ErrorLocation,
  rowsBefore: number,
): RecordBatch {
  const at = (row: number, field: string) => ({ ...where, row: rowsBefore + row + 1, field });
  const columns = pairs.map((pair, i) => {
    const column = columnOf(pair, batch, at);
    checkNulls(table.fields[i] as Field, column, where, at);
    return column;
  });
  const children = [...columns];
  const data = makeData({ type: new Struct(schema.fields), length: batch.numRows, nullCount: 0, children });
  return rebind(schema, new RecordBatch(new Schema(schema.fields), data));
}

type PlaceOf = (row: number, field: string) => ErrorLocation;

function columnOf({ field, source, cast }: Pair, batch: RecordBatch, at: PlaceOf): Data {
  if (source === undefined) return nullColumn(field.type, batch.numRows);
  if (cast === undefined) return batch.data.children[source] as Data;
  try {
    return cast(batch, source);
  } catch (error) {
    if (!(error instanceof CastFailure)) throw error;
    const where = at(error.index, field.name);
    throw new MillraceError("ROW_MISMATCH", `row ${where.row}, field "${field.name}": ${error.message}`, {
      where,
      hint: `The table stores "${field.name}" as ${typeName(field.type)}. Leave such rows out, or change the table.`,
      ...(error.value === undefined ? {} : { found: show(error.value) }),
    });
  }
}

/** Throws `ROW_MISMATCH` if the column has a null that the table does not take. */
function checkNulls(field: Field, column: Data, where: ErrorLocation, at: PlaceOf): void {
  const isPresent = field.nullable ? undefined : presenceOf(column.type, column);
  for (let row = 0; isPresent !== undefined && row < column.length; row++) {
    if (!isPresent(row)) throw nullError(`row ${at(row, field.name).row}, `, at(row, field.name));
  }
  const place = findNull(field, column);
  if (place !== undefined) throw nullError("", { ...where, field: place });
}

function nullError(row: string, where: ErrorLocation): MillraceError {
  return new MillraceError(
    "ROW_MISMATCH",
    `${row}field "${where.field}": expected a value (NOT NULL), found null`,
    {
      where,
      hint: "The table takes no null there. Leave such rows out, or let the column be null in the table.",
    },
  );
}
