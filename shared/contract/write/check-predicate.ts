import { MillraceError } from "../errors.ts";
import { isAttribute } from "../filters.ts";
import { isPlainObject, kindOf } from "../json.ts";
import { suggest } from "../suggest.ts";
import type { Expression, Predicate, PredicateName, ScalarName } from "./predicates.ts";

/** How many arguments an expression takes, and if they are predicates. */
interface Arguments {
  readonly min: number;
  readonly max: number;
  readonly kind: "values" | "predicates" | "cases";
}

const NONE: Arguments = { min: 0, max: 0, kind: "values" };
const ONE: Arguments = { min: 1, max: 1, kind: "values" };
const TWO: Arguments = { min: 2, max: 2, kind: "values" };
const MANY: Arguments = { min: 1, max: Number.POSITIVE_INFINITY, kind: "values" };

const PREDICATES: Readonly<Record<PredicateName, Arguments>> = {
  "=": TWO,
  "<>": TWO,
  "<=>": TWO,
  "<": TWO,
  "<=": TWO,
  ">": TWO,
  ">=": TWO,
  AND: { ...TWO, kind: "predicates" },
  OR: { ...TWO, kind: "predicates" },
  NOT: { ...ONE, kind: "predicates" },
  IN: MANY,
  IS_NULL: ONE,
  IS_NOT_NULL: ONE,
  STARTS_WITH: TWO,
  ENDS_WITH: TWO,
  CONTAINS: TWO,
  ALWAYS_TRUE: NONE,
  ALWAYS_FALSE: NONE,
};

const SCALARS: Readonly<Record<ScalarName, Arguments>> = {
  "+": TWO,
  "-": { min: 1, max: 2, kind: "values" },
  "*": TWO,
  COALESCE: MANY,
  HASH: MANY,
  CASE_WHEN: { min: 2, max: Number.POSITIVE_INFINITY, kind: "cases" },
};

/** Returns `value` if it is a predicate of known names and arguments. Throws `FILTER_INVALID`. */
export function checkPredicate(value: unknown): Predicate {
  if (!isPlainObject(value) || value["kind"] !== "predicate") {
    const found = isPlainObject(value) ? "an object of another kind" : kindOf(value);
    throw invalid(`a predicate is predicate("=", reference("p"), literal(1)), not ${found}`);
  }
  checkArguments(value, PREDICATES);
  return value as unknown as Predicate;
}

/** Returns `value` if it is an expression of known names and arguments. Throws `FILTER_INVALID`. */
export function checkExpression(value: unknown): Expression {
  if (!isPlainObject(value))
    throw invalid(`an argument is reference("p") or literal(1), not ${kindOf(value)}`);
  switch (value["kind"]) {
    case "predicate":
      return checkPredicate(value);
    case "scalar":
      checkArguments(value, SCALARS);
      break;
    case "reference":
      if (!isAttribute(value["attribute"])) throw invalid("a reference needs an array of names");
      break;
    case "literal":
      if (value["value"] === undefined) throw invalid("a literal needs a value, or null");
      break;
    default:
      throw invalid('an argument is reference("p") or literal(1), not an object of another kind');
  }
  return value as unknown as Expression;
}

function checkArguments(
  { name, children }: Readonly<Record<string, unknown>>,
  known: Readonly<Record<string, Arguments>>,
): void {
  if (typeof name !== "string" || !Object.hasOwn(known, name)) {
    const names = Object.keys(known);
    throw invalid(`there is no expression ${String(name)} here${suggest(String(name), names)}`);
  }
  const { min, max, kind } = known[name] as Arguments;
  if (!Array.isArray(children)) throw invalid(`${name} needs an array of arguments`);
  if (children.length < min || children.length > max)
    throw invalid(`${name} takes ${countText(min, max)}, not ${children.length}`);
  for (const [i, child] of children.entries()) {
    const isCondition = kind === "cases" && i % 2 === 0 && i < children.length - 1;
    if (kind === "predicates" || isCondition) checkPredicate(child);
    else checkExpression(child);
  }
}

function countText(min: number, max: number): string {
  const noun = max === 1 ? "argument" : "arguments";
  if (min === max) return `${min === 0 ? "no" : min} ${noun}`;
  return max === Number.POSITIVE_INFINITY ? `at least ${min} ${noun}` : `${min} or ${max} ${noun}`;
}

function invalid(problem: string): MillraceError {
  return new MillraceError("FILTER_INVALID", problem, {
    hint: 'Give a filter of "millrace", such as new EqualTo("p", 1), or a predicate of "millrace/write", such as predicate("=", reference("p"), literal(1)).',
  });
}
