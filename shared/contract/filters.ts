import { MillraceError } from "./errors.ts";
import { isPlainObject, kindOf } from "./json.ts";

/** A value to compare a column with: any value that a row can have in that column. */
export type FilterValue = unknown;

/** Path of a column: its name, followed by the names of nested struct fields. */
export type Attribute = readonly string[];

/**
 * Base class of all filters on a column. Filters are distinguished by `kind`, which works even if
 * two copies of the package are installed.
 */
export abstract class ColumnFilter {
  /** The name of the column, followed by the path to a nested field. */
  readonly attribute: Attribute;

  constructor(attribute: string | Attribute) {
    this.attribute = typeof attribute === "string" ? [attribute] : attribute;
  }
}

/** Base class of filters that compare a column with a value. */
export abstract class ValueFilter<V = FilterValue> extends ColumnFilter {
  /** The value that the column is compared with. */
  readonly value: V;

  constructor(attribute: string | Attribute, value: V) {
    super(attribute);
    this.value = value;
  }
}

/** The column equals the value. A null does not equal anything. */
export class EqualTo extends ValueFilter {
  /** Discriminant of the `Filter` union. */
  readonly kind = "EqualTo";
}

/** The column equals the value, or both are null. */
export class EqualNullSafe extends ValueFilter {
  /** Discriminant of the `Filter` union. */
  readonly kind = "EqualNullSafe";
}

/** The column is greater than the value. */
export class GreaterThan extends ValueFilter {
  /** Discriminant of the `Filter` union. */
  readonly kind = "GreaterThan";
}

/** The column is greater than or equal to the value. */
export class GreaterThanOrEqual extends ValueFilter {
  /** Discriminant of the `Filter` union. */
  readonly kind = "GreaterThanOrEqual";
}

/** The column is less than the value. */
export class LessThan extends ValueFilter {
  /** Discriminant of the `Filter` union. */
  readonly kind = "LessThan";
}

/** The column is less than or equal to the value. */
export class LessThanOrEqual extends ValueFilter {
  /** Discriminant of the `Filter` union. */
  readonly kind = "LessThanOrEqual";
}

/** The column equals one of the values. */
export class In extends ValueFilter<readonly FilterValue[]> {
  /** Discriminant of the `Filter` union. */
  readonly kind = "In";
}

/** The column is null. */
export class IsNull extends ColumnFilter {
  /** Discriminant of the `Filter` union. */
  readonly kind = "IsNull";
}

/** The column is not null. */
export class IsNotNull extends ColumnFilter {
  /** Discriminant of the `Filter` union. */
  readonly kind = "IsNotNull";
}

/** The string begins with the value. */
export class StringStartsWith extends ValueFilter<string> {
  /** Discriminant of the `Filter` union. */
  readonly kind = "StringStartsWith";
}

/** The string ends with the value. */
export class StringEndsWith extends ValueFilter<string> {
  /** Discriminant of the `Filter` union. */
  readonly kind = "StringEndsWith";
}

/** The string contains the value. */
export class StringContains extends ValueFilter<string> {
  /** Discriminant of the `Filter` union. */
  readonly kind = "StringContains";
}

/**
 * Negates another filter. If that filter is unknown because of a null, the negation is unknown too.
 */
export class Not {
  /** Discriminant of the `Filter` union. */
  readonly kind = "Not";
  /** The filter that is negated. */
  readonly child: Filter;

  constructor(child: Filter) {
    this.child = child;
  }
}

/**
 * A filter that a batch reader may apply in the source. Works like Spark's pushdown filters: a row
 * is left out if a filter is false or unknown for it.
 */
export type Filter =
  | EqualTo
  | EqualNullSafe
  | GreaterThan
  | GreaterThanOrEqual
  | LessThan
  | LessThanOrEqual
  | In
  | IsNull
  | IsNotNull
  | StringStartsWith
  | StringEndsWith
  | StringContains
  | Not;

const KINDS: ReadonlySet<unknown> = new Set<Filter["kind"]>([
  "EqualTo",
  "EqualNullSafe",
  "GreaterThan",
  "GreaterThanOrEqual",
  "LessThan",
  "LessThanOrEqual",
  "In",
  "IsNull",
  "IsNotNull",
  "StringStartsWith",
  "StringEndsWith",
  "StringContains",
  "Not",
]);

/**
 * Returns `value` if it is a filter, also one of another copy of the package. Throws
 * `FILTER_INVALID`.
 */
export function checkFilter(value: unknown): Filter {
  if (typeof value === "object" && value !== null && "kind" in value && KINDS.has(value.kind)) {
    if ("child" in value) checkFilter(value.child);
    return value as Filter;
  }
  const found = isPlainObject(value) ? "an object of another kind" : kindOf(value);
  throw new MillraceError("FILTER_INVALID", `a filter is new GreaterThan("id", 5), not ${found}`, {
    hint: 'Give .filter() filters of "millrace", one after the other: .filter(new GreaterThan("id", 5), new IsNotNull("name")). All of them have to hold.',
  });
}
