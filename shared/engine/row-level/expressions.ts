import type { Field, Schema } from "apache-arrow";
import { columnAt } from "../../arrow/predicates/values.ts";
import type { Attribute } from "../../contract/filters.ts";
import {
  type Expression,
  type NamedReference,
  type Predicate,
  predicate,
  reference,
} from "../../contract/write/predicates.ts";

/** The structs that joined rows have: the row of the table, and the row of a merge's source. */
export type Side = "target" | "source";

/** Returns the side whose column a reference names. */
export function sideOf({ side }: NamedReference): Side {
  return side ?? "target";
}

/** Returns all references within an expression, in their order. */
export function referencesOf(expression: Expression): readonly NamedReference[] {
  if (expression.kind === "reference") return [expression];
  return expression.kind === "literal" ? [] : expression.children.flatMap(referencesOf);
}

/** True if the expression names columns of this side, and of no other. */
export function isOfSide(expression: Expression, side: Side): boolean {
  const references = referencesOf(expression);
  return references.length > 0 && references.every((one) => sideOf(one) === side);
}

/** Returns the expression for joined rows, in which each side is a struct. */
export function joinedExpression<E extends Expression>(expression: E): E {
  if (expression.kind === "literal") return expression;
  if (expression.kind === "reference")
    return reference([sideOf(expression), ...expression.attribute]) as E & NamedReference;
  return { ...expression, children: expression.children.map(joinedExpression) };
}

/** Splits a predicate at each `AND` at the top. */
export function conjunctsOf(one: Predicate): readonly Predicate[] {
  return one.name === "AND" ? (one.children as readonly Predicate[]).flatMap(conjunctsOf) : [one];
}

/** Returns the nested field that an attribute names. Throws `FILTER_INVALID`. */
export function fieldAt(schema: Schema, attribute: Attribute, label: string): Field {
  const { path, field } = columnAt(schema, attribute, label);
  let fields: readonly Field[] = schema.fields;
  let nullable = false;
  for (const index of path) {
    const level = fields[index] as Field;
    nullable ||= level.nullable;
    fields = (level.type.children ?? []) as readonly Field[];
  }
  return field.clone({ nullable });
}

/** Functions that are null if one of their arguments is, and otherwise not. */
const NULL_IF_ANY: ReadonlySet<string> = new Set([
  ...["=", "<>", "<", "<=", ">", ">=", "NOT", "STARTS_WITH", "ENDS_WITH", "CONTAINS"],
  ...["+", "-", "*"],
]);

/** True if the value of the expression may be null. */
export function isNullable(expression: Expression, fieldOf: (one: NamedReference) => Field): boolean {
  if (expression.kind === "reference") return fieldOf(expression).nullable;
  if (expression.kind === "literal") return expression.value === null;
  const { name, children } = expression;
  const mayBeNull = (child: Expression) => isNullable(child, fieldOf);
  switch (name) {
    case "<=>":
    case "IS_NULL":
    case "IS_NOT_NULL":
    case "ALWAYS_TRUE":
    case "ALWAYS_FALSE":
      return false;
    case "COALESCE":
      return children.every(mayBeNull);
    case "CASE_WHEN": {
      const values = children.filter((_, i) => i % 2 === 1 || i === children.length - 1);
      return children.length % 2 === 0 || values.some(mayBeNull);
    }
    default:
      return children.some(mayBeNull);
  }
}

/**
 * Returns the predicates as Spark pushes them to a scan: before them, that each nullable column of
 * the table is not null for which `conditions` could not hold otherwise.
 */
export function withNotNull(
  predicates: readonly Predicate[],
  conditions: readonly Predicate[],
  schema: Schema,
): readonly Predicate[] {
  const known = new Set(
    predicates.filter(({ name }) => name === "IS_NOT_NULL").map(({ children }) => JSON.stringify(children)),
  );
  const needed: Predicate[] = [];
  for (const one of conditions.flatMap(neverNull)) {
    const key = JSON.stringify([one]);
    if (known.has(key) || sideOf(one) === "source") continue;
    known.add(key);
    if (fieldAt(schema, one.attribute, "a condition").nullable) needed.push(predicate("IS_NOT_NULL", one));
  }
  return [...needed, ...predicates];
}

/** Returns the columns that cannot be null if the value of the expression is not null. */
function neverNull(expression: Expression): readonly NamedReference[] {
  if (expression.kind === "reference") return [expression];
  if (expression.kind === "literal" || !NULL_IF_ANY.has(expression.name)) return [];
  return expression.children.flatMap(neverNull);
}
