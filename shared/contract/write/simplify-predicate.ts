import { ALWAYS_FALSE, ALWAYS_TRUE, type Expression, type Predicate, predicate } from "./predicates.ts";

/**
 * Returns an equivalent predicate as Spark's optimiser hands it to a table: negations are moved to
 * the comparisons, constants disappear, and a list of one value is a comparison. So a table has
 * fewer forms to know. The result for a null is the same too.
 */
export function simplified(one: Predicate): Predicate {
  const [first, second] = one.children as readonly Predicate[];
  switch (one.name) {
    case "NOT":
      return first === undefined ? one : negated(simplified(first));
    case "AND":
    case "OR":
      if (first === undefined || second === undefined) return one;
      return combined(one.name, simplified(first), simplified(second));
    case "<>":
      return predicate("NOT", predicate("=", ...one.children));
    case "IN":
      return simplifiedIn(one);
    default:
      return one;
  }
}

/**
 * The comparison that holds if another one does not. A comparison with a null is unknown in both.
 */
const OPPOSITES = {
  ">": "<=",
  ">=": "<",
  "<": ">=",
  "<=": ">",
  IS_NULL: "IS_NOT_NULL",
  IS_NOT_NULL: "IS_NULL",
  ALWAYS_TRUE: "ALWAYS_FALSE",
  ALWAYS_FALSE: "ALWAYS_TRUE",
} as const;

/** Returns the negation of a simplified predicate. */
function negated(one: Predicate): Predicate {
  if (one.name === "NOT") return one.children[0] as Predicate;
  if (one.name === "AND" || one.name === "OR") {
    const [left, right] = (one.children as readonly Predicate[]).map(negated);
    return combined(one.name === "AND" ? "OR" : "AND", left as Predicate, right as Predicate);
  }
  const opposite = OPPOSITES[one.name as keyof typeof OPPOSITES];
  return opposite === undefined ? predicate("NOT", one) : predicate(opposite, ...one.children);
}

function combined(name: "AND" | "OR", left: Predicate, right: Predicate): Predicate {
  const [neutral, decisive] = name === "AND" ? [ALWAYS_TRUE, ALWAYS_FALSE] : [ALWAYS_FALSE, ALWAYS_TRUE];
  if (left.name === decisive.name || right.name === decisive.name) return decisive;
  if (left.name === neutral.name) return right;
  return right.name === neutral.name || isEqual(left, right) ? left : predicate(name, left, right);
}

/** Repeated values of a list of literals are left out. */
function simplifiedIn(one: Predicate): Predicate {
  const [value, ...list] = one.children;
  if (value === undefined) return one;
  if (list.length === 0) return ALWAYS_FALSE;
  if (list.some(({ kind }) => kind !== "literal")) return one;
  const different = list.filter((item, i) => list.findIndex((other) => isEqual(other, item)) === i);
  const [only] = different;
  const isOne = different.length === 1 && only?.kind === "literal" && only.value !== null;
  return isOne ? predicate("=", value, only) : predicate("IN", value, ...different);
}

/**
 * True if both expressions are the same. Literals of objects are the same if they are identical.
 */
function isEqual(one: Expression, other: Expression): boolean {
  if (one.kind === "literal") return other.kind === "literal" && Object.is(one.value, other.value);
  if (one.kind === "reference") {
    return (
      other.kind === "reference" &&
      one.side === other.side &&
      one.attribute.length === other.attribute.length &&
      one.attribute.every((name, i) => name === other.attribute[i])
    );
  }
  return (
    one.kind === other.kind &&
    one.name === other.name &&
    one.children.length === other.children.length &&
    one.children.every((child, i) => isEqual(child, other.children[i] as Expression))
  );
}
