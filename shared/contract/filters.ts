import { MillraceError } from "./errors.ts";
import { isPlainObject, kindOf } from "./json.ts";

/** A value to compare with: whatever a row may have in that column. */
export type FilterValue = unknown;

/** A column: its name, or the path to a field of a struct. */
export type Attribute = readonly string[];

/** What all filters have; told apart by `kind`, also across two copies of the package. */
export abstract class ColumnFilter {
  /** The column's name, and the path below it. */
  readonly attribute: Attribute;

  constructor(attribute: string | Attribute) {
    this.attribute = typeof attribute === "string" ? [attribute] : attribute;
  }
}

/** What filters that compare have. */
export abstract class ValueFilter<V = FilterValue> extends ColumnFilter {
  /** What the column is compared with. */
  readonly value: V;

  constructor(attribute: string | Attribute, value: V) {
    super(attribute);
    this.value = value;
  }
}

/** The column equals the value; a null equals nothing. */
export class EqualTo extends ValueFilter {
  /** Tells filters apart. */
  readonly kind = "EqualTo";
}

/** The column equals the value; a null equals a null. */
export class EqualNullSafe extends ValueFilter {
  /** Tells filters apart. */
  readonly kind = "EqualNullSafe";
}

/** The column is greater than the value. */
export class GreaterThan extends ValueFilter {
  /** Tells filters apart. */
  readonly kind = "GreaterThan";
}

/** The column is the value, or greater. */
export class GreaterThanOrEqual extends ValueFilter {
  /** Tells filters apart. */
  readonly kind = "GreaterThanOrEqual";
}

/** The column is less than the value. */
export class LessThan extends ValueFilter {
  /** Tells filters apart. */
  readonly kind = "LessThan";
}

/** The column is the value, or less. */
export class LessThanOrEqual extends ValueFilter {
  /** Tells filters apart. */
  readonly kind = "LessThanOrEqual";
}

/** The column equals one of the values. */
export class In extends ValueFilter<readonly FilterValue[]> {
  /** Tells filters apart. */
  readonly kind = "In";
}

/** The column is null. */
export class IsNull extends ColumnFilter {
  /** Tells filters apart. */
  readonly kind = "IsNull";
}

/** The column is not null. */
export class IsNotNull extends ColumnFilter {
  /** Tells filters apart. */
  readonly kind = "IsNotNull";
}

/** The string begins with the value. */
export class StringStartsWith extends ValueFilter<string> {
  /** Tells filters apart. */
  readonly kind = "StringStartsWith";
}

/** The string ends with the value. */
export class StringEndsWith extends ValueFilter<string> {
  /** Tells filters apart. */
  readonly kind = "StringEndsWith";
}

/** The string contains the value. */
export class StringContains extends ValueFilter<string> {
  /** Tells filters apart. */
  readonly kind = "StringContains";
}

/** The other way round; what is unknown, because of a null, stays unknown. */
export class Not {
  /** Tells filters apart. */
  readonly kind = "Not";
  /** What is negated. */
  readonly child: Filter;

  constructor(child: Filter) {
    this.child = child;
  }
}

/**
 * What a batch reader may be asked to do in the source. Semantics of Spark's pushdown filters: a
 * row for which one is false or unknown is left out.
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
 * Returns `value` if it is a filter, of this copy of the package or another. Error:
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
