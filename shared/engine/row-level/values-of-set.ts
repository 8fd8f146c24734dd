import type { Schema } from "apache-arrow";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { CheckedClause } from "../../contract/row-command.ts";
import { suggest } from "../../contract/suggest.ts";
import { type Expression, literal, reference, source } from "../../contract/write/predicates.ts";
import { referencesOf, type Side, sideOf } from "./expressions.ts";

/** What the values of new rows may be made of. */
export interface SetContext {
  readonly table: Schema;
  /** The columns of a merge's source. */
  readonly source?: Schema | undefined;
  /** The sides whose columns exist for these rows. */
  readonly sides: readonly Side[];
  readonly where: ErrorLocation;
}

/** Returns an expression for each column of the table: what is not set keeps its value. */
export function updatedValues(set: CheckedClause["set"], context: SetContext): readonly Expression[] {
  return valuesOf(set, context, ({ name }) => reference(name));
}

/** Returns an expression for each column of the table: what is not set is null. */
export function insertedValues(set: CheckedClause["set"], context: SetContext): readonly Expression[] {
  return valuesOf(set, context, ({ name, nullable }) => {
    if (nullable) return literal(null);
    throw invalid(`an inserted row has no value for "${name}", which is NOT NULL`, context.where);
  });
}

type Otherwise = (column: { readonly name: string; readonly nullable: boolean }) => Expression;

/** Throws `MERGE_INVALID`. */
function valuesOf(set: CheckedClause["set"], context: SetContext, otherwise: Otherwise): Expression[] {
  const { table } = context;
  if (set === "*") return table.fields.map(({ name }) => source(sourceColumn(name, context)));
  const values = new Map<string, Expression>();
  for (const { column, value } of set ?? []) {
    const name = columnOf(column, table, "the table", context.where);
    if (values.has(name)) throw invalid(`"${name}" is set twice`, context.where);
    checkSides(value, context);
    values.set(name, value);
  }
  return table.fields.map((field) => values.get(field.name) ?? otherwise(field));
}

function sourceColumn(name: string, { source: columns, where }: SetContext): string {
  return columnOf(name, columns ?? { fields: [] }, "the source", where);
}

/** Returns the name of the column, which is compared without case as in Spark. */
function columnOf(name: string, schema: Pick<Schema, "fields">, owner: string, where: ErrorLocation): string {
  const names = schema.fields.map((field) => field.name);
  if (names.includes(name)) return name;
  const similar = names.filter((other) => other.toLowerCase() === name.toLowerCase());
  const [only] = similar;
  if (only !== undefined && similar.length === 1) return only;
  throw invalid(`${owner} has no column "${name}"${suggest(name, names)}`, where);
}

/** Throws `MERGE_INVALID` if the expression names columns of a side that these rows do not have. */
export function checkSides(
  expression: Expression,
  { sides, where }: Pick<SetContext, "sides" | "where">,
): void {
  const wrong = referencesOf(expression).find((one) => !sides.includes(sideOf(one)));
  if (wrong === undefined) return;
  const name = wrong.attribute.join(".");
  throw sideOf(wrong) === "source"
    ? invalid(`source("${name}") is used where there is no row of a source`, where)
    : invalid(`reference("${name}") is used where there is no row of the table`, where);
}

function invalid(problem: string, where: ErrorLocation): MillraceError {
  return new MillraceError("MERGE_INVALID", problem, {
    where,
    hint: 'Nothing was read or written. Name columns of the table as reference("v"), and those of a merge\'s source as source("v"). Guide: docs/merge.md.',
  });
}
