import { checkFilter, type Filter, type LeafFilter } from "../filters.ts";
import { isPlainObject } from "../json.ts";
import { checkPredicate } from "./check-predicate.ts";
import {
  ALWAYS_FALSE,
  ALWAYS_TRUE,
  type Expression,
  literal,
  type NamedReference,
  type Predicate,
  type PredicateName,
  predicate,
  reference,
} from "./predicates.ts";
import { simplified } from "./simplify-predicate.ts";

/**
 * Returns the predicates that must all hold for a row that matches the condition, in the form in
 * which Spark hands them to a table: simplified, and split at each `AND` at the top. Throws
 * `FILTER_INVALID`.
 */
export function predicatesOf(condition: Filter | Predicate): readonly Predicate[] {
  const checked = isPredicate(condition) ? checkPredicate(condition) : predicateOf(checkFilter(condition));
  return conjunctsOf(simplified(checked));
}

function isPredicate(condition: unknown): condition is Predicate {
  return isPlainObject(condition) && condition["kind"] === "predicate";
}

function conjunctsOf(one: Predicate): readonly Predicate[] {
  return one.name === "AND" ? (one.children as readonly Predicate[]).flatMap(conjunctsOf) : [one];
}

/** The predicates of filters on one column. */
const NAME_OF_KIND: Readonly<Record<LeafFilter["kind"], PredicateName>> = {
  EqualTo: "=",
  EqualNullSafe: "<=>",
  GreaterThan: ">",
  GreaterThanOrEqual: ">=",
  LessThan: "<",
  LessThanOrEqual: "<=",
  In: "IN",
  IsNull: "IS_NULL",
  IsNotNull: "IS_NOT_NULL",
  StringStartsWith: "STARTS_WITH",
  StringEndsWith: "ENDS_WITH",
  StringContains: "CONTAINS",
};

/** Returns the predicate that Spark makes of a filter. */
export function predicateOf(filter: Filter): Predicate {
  switch (filter.kind) {
    case "AlwaysTrue":
      return ALWAYS_TRUE;
    case "AlwaysFalse":
      return ALWAYS_FALSE;
    case "Not":
      return predicate("NOT", predicateOf(filter.child));
    case "And":
      return predicate("AND", predicateOf(filter.left), predicateOf(filter.right));
    case "Or":
      return predicate("OR", predicateOf(filter.left), predicateOf(filter.right));
    default:
      return predicate(NAME_OF_KIND[filter.kind], reference(filter.attribute), ...literalsOf(filter));
  }
}

function literalsOf(filter: LeafFilter): readonly Expression[] {
  if (filter.kind === "In") return filter.value.map(literal);
  return "value" in filter ? [literal(filter.value)] : [];
}

/**
 * Returns the predicates as filters, or `undefined` if one of them has no such form: if it computes
 * with `+`, for example, or compares two columns.
 */
export function filtersOf(predicates: readonly Predicate[]): readonly Filter[] | undefined {
  const filters = predicates.map(filterOf);
  return filters.includes(undefined) ? undefined : (filters as readonly Filter[]);
}

/** The filters of predicates that compare a column with literals. */
export const KIND_OF_NAME: Readonly<Record<string, LeafFilter["kind"]>> = Object.fromEntries(
  Object.entries(NAME_OF_KIND).map(([kind, name]) => [name, kind as LeafFilter["kind"]]),
);

/** The comparison that holds if the arguments change places. */
const MIRRORED: Readonly<Record<string, PredicateName>> = {
  "=": "=",
  "<=>": "<=>",
  "<": ">",
  "<=": ">=",
  ">": "<",
  ">=": "<=",
};

function filterOf({ name, children }: Predicate): Filter | undefined {
  switch (name) {
    case "ALWAYS_TRUE":
      return { kind: "AlwaysTrue" };
    case "ALWAYS_FALSE":
      return { kind: "AlwaysFalse" };
    case "NOT":
      return negated(filterOf(children[0] as Predicate));
    case "<>":
      return negated(filterOf(predicate("=", ...children)));
    case "AND":
    case "OR":
      return combined(name, children as readonly Predicate[]);
    default:
      return leafOf(name, children);
  }
}

function negated(child: Filter | undefined): Filter | undefined {
  return child && { kind: "Not", child };
}

function combined(name: "AND" | "OR", children: readonly Predicate[]): Filter | undefined {
  const [left, right] = children.map(filterOf);
  return left && right && { kind: name === "AND" ? "And" : "Or", left, right };
}

function leafOf(name: string, children: readonly Expression[]): Filter | undefined {
  const [first, ...others] = children;
  const mirrored = MIRRORED[name];
  if (first?.kind === "literal" && others[0]?.kind === "reference" && mirrored !== undefined)
    return leafFilter(mirrored, others[0], [first.value]);
  const values = others.flatMap((one) => (one.kind === "literal" ? [one.value] : []));
  if (first?.kind !== "reference" || values.length < others.length) return undefined;
  return leafFilter(name, first, values);
}

function leafFilter(
  name: string,
  { attribute }: NamedReference,
  values: readonly unknown[],
): Filter | undefined {
  const kind = KIND_OF_NAME[name];
  if (kind === undefined) return undefined;
  if (kind === "In") return { kind, attribute, value: values };
  if (kind === "IsNull" || kind === "IsNotNull") return { kind, attribute };
  const [value] = values;
  if (kind === "StringStartsWith" || kind === "StringEndsWith" || kind === "StringContains")
    return typeof value === "string" ? { kind, attribute, value } : undefined;
  return { kind, attribute, value };
}
