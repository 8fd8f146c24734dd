import type { Attribute, FilterValue } from "../filters.ts";

/** A column, by its name and the names of nested struct fields. (Spark: `NamedReference`.) */
export interface NamedReference {
  /** Discriminant of the `Expression` union. */
  readonly kind: "reference";
  /** The name of the column, followed by the path to a nested field. */
  readonly attribute: Attribute;
  /** Present if it is a column of the source of a merge, and not of its table. */
  readonly side?: "source";
}

/** A value. (Spark: `LiteralValue`.) */
export interface Literal {
  /** Discriminant of the `Expression` union. */
  readonly kind: "literal";
  /** The value; `null` is SQL's NULL. */
  readonly value: FilterValue;
}

/** A scalar expression, such as `+`. (Spark: `GeneralScalarExpression`.) */
export interface ScalarExpression {
  /** Discriminant of the `Expression` union. */
  readonly kind: "scalar";
  /** Spark's name of the function, such as `"+"` or `"CASE_WHEN"`. */
  readonly name: string;
  /** The arguments. */
  readonly children: readonly Expression[];
}

/** An expression that yields a boolean, such as `=` or `AND`. (Spark: `Predicate`.) */
export interface Predicate {
  /** Discriminant of the `Expression` union. */
  readonly kind: "predicate";
  /** Spark's name of the predicate, such as `"="`, `"AND"` or `"ALWAYS_TRUE"`. */
  readonly name: string;
  /** The arguments. */
  readonly children: readonly Expression[];
}

/** A part of a predicate. */
export type Expression = NamedReference | Literal | ScalarExpression | Predicate;

/** Spark's names of predicates. */
export type PredicateName =
  | "="
  | "<>"
  | "<=>"
  | "<"
  | "<="
  | ">"
  | ">="
  | "AND"
  | "OR"
  | "NOT"
  | "IN"
  | "IS_NULL"
  | "IS_NOT_NULL"
  | "STARTS_WITH"
  | "ENDS_WITH"
  | "CONTAINS"
  | "ALWAYS_TRUE"
  | "ALWAYS_FALSE";

/**
 * Spark's names of the scalar expressions that Millrace knows. `HASH` is a whole number that equal
 * values share, and no table knows it: a condition with it is evaluated by Millrace.
 */
export type ScalarName = "+" | "-" | "*" | "COALESCE" | "CASE_WHEN" | "HASH";

/** Returns a column. A field of a struct is named by its path: `reference(["place", "x"])`. */
export function reference(attribute: string | Attribute): NamedReference {
  return { kind: "reference", attribute: typeof attribute === "string" ? [attribute] : attribute };
}

/** Returns a column of the source of a merge, for its conditions and values. */
export function source(attribute: string | Attribute): NamedReference {
  return { ...reference(attribute), side: "source" };
}

/** Returns a value, which may be any value that a row can have. */
export function literal(value: FilterValue): Literal {
  return { kind: "literal", value };
}

/** Returns a scalar expression, such as `scalar("+", reference("id"), literal(1))`. */
export function scalar(name: ScalarName, ...children: readonly Expression[]): ScalarExpression {
  return { kind: "scalar", name, children };
}

/**
 * Returns a predicate, such as `predicate("=", reference("p"), literal(1))`. The first argument of
 * `IN` is looked for among the others.
 */
export function predicate(name: PredicateName, ...children: readonly Expression[]): Predicate {
  return { kind: "predicate", name, children };
}

/** Holds for every row. */
export const ALWAYS_TRUE: Predicate = predicate("ALWAYS_TRUE");

/** Holds for no row. */
export const ALWAYS_FALSE: Predicate = predicate("ALWAYS_FALSE");

/**
 * True if the predicates hold for every row whatever the rows are, so a write or a delete concerns
 * the whole table. An empty list is not the same as `ALWAYS_TRUE`.
 */
export function isAlwaysTrue(predicates: readonly Predicate[]): boolean {
  return predicates.length > 0 && predicates.every(({ name }) => name === "ALWAYS_TRUE");
}

/** True if a table can be told the expression: it has no part that only Millrace knows. */
export function hasFormForTables(expression: Expression): boolean {
  if (!("children" in expression)) return true;
  return expression.name !== "HASH" && expression.children.every(hasFormForTables);
}
