import {
  ALWAYS_FALSE,
  ALWAYS_TRUE,
  type Expression,
  literal,
  type Predicate,
  type PredicateName,
  predicate,
  reference,
  scalar,
  source,
} from "../../../shared/contract/write/predicates.ts";
import type { OpRow, Tree } from "./op.ts";

/** The names of the trees whose predicate only has another name, or the same. */
const NAMES: Readonly<Record<string, PredicateName>> = {
  "=": "=",
  "<": "<",
  "<=": "<=",
  ">": ">",
  ">=": ">=",
  "<=>": "<=>",
  and: "AND",
  or: "OR",
  not: "NOT",
  is_null: "IS_NULL",
  in: "IN",
};

/** True if the condition holds for all rows, so that Spark takes an overwrite for a truncate. */
export function isAlways(tree: Tree | null): boolean {
  return tree === null || (tree[0] === "lit" && tree[1] === true);
}

/** Returns the condition of a recording as a predicate. Throws if it has no such form. */
export function predicateOf(tree: Tree): Predicate {
  const [name, ...args] = tree;
  if (name === "lit" && args[0] === true) return ALWAYS_TRUE;
  if (name === "lit" && args[0] === false) return ALWAYS_FALSE;
  // As Spark's planner does.
  if (name === "<>") return predicate("NOT", predicateOf(["=", ...args]));
  const known = NAMES[String(name)];
  if (known === undefined)
    throw new Error(`the condition ${JSON.stringify(tree)} has no form as a predicate`);
  return predicate(known, ...args.map((child) => expressionOf(child as Tree)));
}

/** Returns the value of a recording as an expression. */
export function expressionOf(tree: Tree): Expression {
  const [name, ...args] = tree;
  switch (name) {
    case "col":
      return reference(String(args[0]));
    case "source":
      return source(String(args[0]));
    case "lit":
      return typeof args[0] === "boolean" ? predicateOf(tree) : literal(args[0]);
    case "+":
      return scalar("+", ...args.map((child) => expressionOf(child as Tree)));
    case "hash":
      return scalar("HASH", ...args.map((child) => expressionOf(child as Tree)));
    case "nullif": {
      const [value, other] = args as [Tree, Tree];
      const whenEqual = [predicateOf(["=", value, other]), literal(null)];
      return scalar("CASE_WHEN", ...whenEqual, expressionOf(value));
    }
    default:
      return predicateOf(tree);
  }
}

/** True if all predicates are true for the row, as in SQL. Does not use the engine's evaluation. */
export function matches(predicates: readonly Predicate[], columns: readonly string[], row: OpRow): boolean {
  const columnValue = (name: string) => row[columns.indexOf(name)] ?? null;
  return predicates.every((one) => evaluated(one, columnValue) === true);
}

type Value = boolean | number | string | null;

function evaluated(expression: Expression, columnValue: (column: string) => unknown): Value {
  if (expression.kind === "reference") return columnValue(expression.attribute[0] ?? "") as Value;
  if (expression.kind === "literal") return plain(expression.value);
  const values = expression.children.map((child) => evaluated(child, columnValue));
  const evaluate = FUNCTIONS[expression.name];
  if (evaluate === undefined) throw new Error(`${expression.name} is not known`);
  return evaluate(values);
}

function plain(value: unknown): Value {
  return typeof value === "bigint" ? Number(value) : (value as Value);
}

/** Null if any argument is. */
const strict =
  (body: (a: number, b: number) => Value) =>
  ([a = null, b = null]: readonly Value[]): Value =>
    a === null || b === null ? null : body(a as number, b as number);

const equal = strict((a, b) => a === b);

const FUNCTIONS: Readonly<Record<string, (values: readonly Value[]) => Value>> = {
  ALWAYS_TRUE: () => true,
  ALWAYS_FALSE: () => false,
  "=": equal,
  "<": strict((a, b) => a < b),
  "<=": strict((a, b) => a <= b),
  ">": strict((a, b) => a > b),
  ">=": strict((a, b) => a >= b),
  "<=>": ([a, b]) => a === b,
  "+": strict((a, b) => a + b),
  NOT: ([a = null]) => (a === null ? null : !a),
  IS_NULL: ([a]) => a === null,
  IS_NOT_NULL: ([a]) => a !== null,
  AND: (values) => (values.includes(false) ? false : values.includes(null) ? null : true),
  OR: (values) => (values.includes(true) ? true : values.includes(null) ? null : false),
  IN: ([value, ...list]) => FUNCTIONS["OR"]?.(list.map((item) => equal([value ?? null, item]))) ?? null,
  CASE_WHEN: ([when, then = null, otherwise = null]) => (when === true ? then : otherwise),
};
