import type { RowCommand } from "../../contract/row-command.ts";
import { predicatesOf } from "../../contract/write/convert-filters.ts";
import {
  ALWAYS_TRUE,
  hasFormForTables,
  isAlwaysTrue,
  type Predicate,
} from "../../contract/write/predicates.ts";
import { conjunctsOf, isOfSide, withNotNull } from "./expressions.ts";
import type { OperationFacts } from "./facts.ts";

/** Returns the condition in the form that tables get, or `undefined` if it holds for all rows. */
export function conditionsOf(where: Predicate | undefined): readonly Predicate[] | undefined {
  if (where === undefined) return undefined;
  const predicates = predicatesOf(where);
  return isAlwaysTrue(predicates) ? undefined : predicates;
}

/**
 * Returns the predicates that a scan gets, or `undefined` if it is not told. A row for which they
 * do not hold is not changed. The engine evaluates the whole condition all the same.
 */
export function pushedPredicates(
  command: RowCommand,
  { form, all }: Pick<OperationFacts, "form" | "all">,
): readonly Predicate[] | undefined {
  // As in Spark, a scan of groups is always told, and gets the predicates as they are.
  if (command.command !== "MERGE") {
    const conditions = conditionsOf(command.where)?.filter(hasFormForTables);
    if (form === "group") return conditions ?? [ALWAYS_TRUE];
    if (conditions === undefined || conditions.length === 0) return undefined;
    return withNotNull(conditions, conditions, all);
  }
  // A row without a partner is changed, too.
  if (command.notMatchedBySource.length > 0) return form === "group" ? [ALWAYS_TRUE] : undefined;
  const parts = conjunctsOf(command.on).filter(hasFormForTables);
  const own = parts.filter((part) => isOfSide(part, "target"));
  if (form === "group") return own;
  const pushed = withNotNull(own, parts, all);
  return pushed.length === 0 ? undefined : pushed;
}
