import type { Attribute, FilterValue } from "../filters.ts";

/** A column, by its name and the names of nested struct fields. (Spark: `NamedReference`.) */
export interface NamedReference {
  /** Discriminant of the `Expression` union. */
  readonly kind: "reference";
  /** The name of the column, followed by the path to a nested field. */
  readonly attribute: Attribute;
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
