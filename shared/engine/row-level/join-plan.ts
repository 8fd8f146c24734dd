import type { Data, Schema } from "apache-arrow";
import { Compiler } from "../../arrow/predicates/compile.ts";
import { hashable } from "../../arrow/predicates/keys.ts";
import type { ValueNode } from "../../arrow/predicates/nodes.ts";
import { matcherOf, type RowMatcher } from "../../arrow/predicates/row-matcher.ts";
import type { RowCommand } from "../../contract/row-command.ts";
import { type Expression, type ScalarExpression, scalar } from "../../contract/write/predicates.ts";
import { conjunctsOf, isOfSide, joinedExpression } from "./expressions.ts";
import type { Sides } from "./row-values.ts";

/** How the sides of a merge are joined. */
export interface JoinPlan {
  /** Equal in rows that match, and the same for rows of both sides. They name joined columns. */
  readonly keys: readonly ScalarExpression[];
  /** Returns a function that gives the key of a row, or `undefined` if it matches no row. */
  bindKeys(rows: Data): (row: number) => JoinKey | undefined;
  /** What must hold besides; absent if nothing. */
  readonly residual: RowMatcher | undefined;
  /** True if several rows of the source must not match one row of the table. */
  readonly checksCardinality: boolean;
}

/** What a `Map` finds by value. */
export type JoinKey = number | bigint | boolean | string;

interface EquiKey {
  readonly key: ScalarExpression;
  /** True if a null equals a null. */
  readonly isNullSafe: boolean;
}

/** Plans the join of a merge. Throws `FILTER_INVALID`. */
export function joinPlan(
  { on, matched }: Extract<RowCommand, { command: "MERGE" }>,
  { joined }: Pick<Sides, "joined">,
): JoinPlan {
  const parts = conjunctsOf(on);
  const keys = parts.flatMap((part) => equiKey(part) ?? []);
  const residual = parts.filter((part) => equiKey(part) === undefined);
  const isSafeDelete = matched.length === 1 && matched[0]?.then === "delete" && matched[0].when === undefined;
  return {
    keys: keys.map(({ key }) => key),
    bindKeys: keyBinder(keys, joined),
    residual: residual.length === 0 ? undefined : matcherOf(joined, residual.map(joinedExpression)),
    checksCardinality: matched.length > 0 && !isSafeDelete,
  };
}

/** Returns the key if the condition says that a value of each side is equal. */
function equiKey(part: Expression): EquiKey | undefined {
  if (part.kind !== "predicate" || (part.name !== "=" && part.name !== "<=>")) return undefined;
  const [one, other] = part.children as readonly [Expression, Expression];
  const isKey =
    (isOfSide(one, "target") && isOfSide(other, "source")) ||
    (isOfSide(one, "source") && isOfSide(other, "target"));
  if (!isKey) return undefined;
  // Of the two sides only one is there, so this is its value, in the type of both.
  const key = scalar("COALESCE", joinedExpression(one), joinedExpression(other));
  return { key, isNullSafe: part.name === "<=>" };
}

function keyBinder(keys: readonly EquiKey[], joined: Schema): JoinPlan["bindKeys"] {
  const compiler = new Compiler(joined, (name) => name);
  const nodes = keys.map(({ key }): ValueNode => compiler.value(key, "the condition of the merge"));
  return (rows) => {
    const readers = nodes.map((node) => node.bind(rows));
    const [only] = readers;
    if (only === undefined) return () => 0;
    const partAt = (i: number, row: number) => {
      const key = hashable(readers[i]?.(row) ?? null);
      return key === null && keys[i]?.isNullSafe !== true ? undefined : key;
    };
    if (readers.length === 1 && keys[0]?.isNullSafe !== true) return (row) => partAt(0, row) ?? undefined;
    return (row) => {
      const parts = readers.map((_, i) => partAt(i, row));
      return parts.includes(undefined) ? undefined : parts.map(keyText).join("");
    };
  };
}

/** The length in front keeps the parts apart. */
function keyText(part: JoinKey | null | undefined): string {
  const text = String(part);
  return `${part === null ? "n" : "v"}${text.length}:${text}`;
}
