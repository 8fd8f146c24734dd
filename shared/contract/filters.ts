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

/** Both filters hold. */
export class And {
  /** Discriminant of the `Filter` union. */
  readonly kind = "And";
  /** The first filter. */
  readonly left: Filter;
  /** The second filter. */
  readonly right: Filter;

  constructor(left: Filter, right: Filter) {
    this.left = left;
    this.right = right;
  }
}

/** At least one of both filters holds. */
export class Or {
  /** Discriminant of the `Filter` union. */
  readonly kind = "Or";
  /** The first filter. */
  readonly left: Filter;
  /** The second filter. */
  readonly right: Filter;

  constructor(left: Filter, right: Filter) {
    this.left = left;
    this.right = right;
  }
}

/** Holds for every row. */
export class AlwaysTrue {
  /** Discriminant of the `Filter` union. */
  readonly kind = "AlwaysTrue";
}

/** Holds for no row. */
export class AlwaysFalse {
  /** Discriminant of the `Filter` union. */
  readonly kind = "AlwaysFalse";
}

/**
 * A filter of rows, such as `new GreaterThan("id", 5)`, or a plain object with the same properties.
 * Works like Spark's pushdown filters: a row is left out if the filter is false or unknown for it.
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
  | Not
  | And
  | Or
  | AlwaysTrue
  | AlwaysFalse;

/** A filter on one column. */
export type LeafFilter = Exclude<
  Filter,
  { readonly kind: "Not" | "And" | "Or" | "AlwaysTrue" | "AlwaysFalse" }
>;

type Property = "attribute" | "value" | "list" | "text" | "child" | "left" | "right";

/** The properties of each kind of filter. A list and a text are in `value`. */
const PROPERTIES: Readonly<Record<Filter["kind"], readonly Property[]>> = {
  EqualTo: ["attribute", "value"],
  EqualNullSafe: ["attribute", "value"],
  GreaterThan: ["attribute", "value"],
  GreaterThanOrEqual: ["attribute", "value"],
  LessThan: ["attribute", "value"],
  LessThanOrEqual: ["attribute", "value"],
  In: ["attribute", "list"],
  IsNull: ["attribute"],
  IsNotNull: ["attribute"],
  StringStartsWith: ["attribute", "text"],
  StringEndsWith: ["attribute", "text"],
  StringContains: ["attribute", "text"],
  Not: ["child"],
  And: ["left", "right"],
  Or: ["left", "right"],
  AlwaysTrue: [],
  AlwaysFalse: [],
};

/**
 * Returns `value` if it is a filter: an instance of one of the classes, also of another copy of the
 * package, or a plain object such as `{ kind: "EqualTo", attribute: ["p"], value: 1 }`. Throws
 * `FILTER_INVALID`.
 */
export function checkFilter(value: unknown): Filter {
  if (!isFilterLike(value)) {
    const found = isPlainObject(value) ? "an object of another kind" : kindOf(value);
    throw invalid(`a filter is new GreaterThan("id", 5), not ${found}`);
  }
  for (const property of PROPERTIES[value.kind]) {
    if (property === "child" || property === "left" || property === "right") checkFilter(value[property]);
    else checkProperty(value, property);
  }
  return value as unknown as Filter;
}

interface FilterLike extends Readonly<Record<string, unknown>> {
  readonly kind: Filter["kind"];
}

function isFilterLike(value: unknown): value is FilterLike {
  return (
    typeof value === "object" &&
    value !== null &&
    "kind" in value &&
    typeof value.kind === "string" &&
    Object.hasOwn(PROPERTIES, value.kind)
  );
}

function checkProperty(
  { kind, attribute, value }: FilterLike,
  property: "attribute" | "value" | "list" | "text",
): void {
  if (property === "attribute") {
    if (isAttribute(attribute)) return;
    throw invalid(`${kind} needs an attribute, which is an array of names such as ["place", "x"]`);
  }
  if (value === undefined) throw invalid(`${kind} compares with undefined, which is not a value`);
  if (property === "list" && !(Array.isArray(value) && !value.includes(undefined)))
    throw invalid(`${kind} needs an array of values, not ${kindOf(value)}`);
  if (property === "text" && value !== null && typeof value !== "string")
    throw invalid(`${kind} looks for a string, not for ${kindOf(value)}`);
}

/** True if `value` is the path of a column. */
export function isAttribute(value: unknown): value is Attribute {
  return Array.isArray(value) && value.length > 0 && value.every((part) => typeof part === "string");
}

/** Returns the filters of which `filter` is the conjunction. */
export function conjunctsOf(filter: Filter): readonly Filter[] {
  return filter.kind === "And" ? [filter.left, filter.right].flatMap(conjunctsOf) : [filter];
}

function invalid(problem: string): MillraceError {
  return new MillraceError("FILTER_INVALID", problem, {
    hint: 'Give .filter() filters of "millrace", one after the other: .filter(new GreaterThan("id", 5), new IsNotNull("name")). All of them have to hold.',
  });
}
