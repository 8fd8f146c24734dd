import { MillraceError } from "./errors.ts";
import type { Filter } from "./filters.ts";
import { isPlainObject } from "./json.ts";
import type { Source } from "./pipeline-source.ts";
import type { Assignment, Assignments, CheckedClause, MergeClauses, RowCommand } from "./row-command.ts";
import { checkCondition } from "./save-mode.ts";
import { checkExpression, checkPredicate } from "./write/check-predicate.ts";
import { predicatesOf } from "./write/convert-filters.ts";
import {
  type Expression,
  literal,
  type Predicate,
  predicate,
  reference,
  source as sourceColumn,
} from "./write/predicates.ts";

/** Which rows an update changes, and how. */
export interface UpdateOptions {
  /** The new values by column, computed from the old row. */
  readonly set: Assignments;
  /** Which rows change. Default: all. */
  readonly where?: Filter | Predicate;
}

/**
 * A table whose rows a pipeline changes. Each method returns a batch pipeline, which runs like any
 * other: with a ledger, retries and replay. Guide: docs/merge.md.
 */
export class TableTarget<P> {
  readonly #pipeline: string;
  readonly #make: (command: RowCommand) => P;

  constructor(pipeline: string, make: (command: RowCommand) => P) {
    this.#pipeline = pipeline;
    this.#make = make;
  }

  /**
   * Deletes the rows for which the condition holds; without one, all rows. (Spark: `DELETE FROM`.)
   * Throws `FILTER_INVALID`.
   */
  deleteWhere(condition?: Filter | Predicate): P {
    return this.#make({ command: "DELETE", ...whereOf(condition) });
  }

  /** Changes rows. (Spark: `UPDATE`.) Throws `MERGE_INVALID` or `FILTER_INVALID`. */
  update({ set, where }: UpdateOptions): P {
    return this.#make({ command: "UPDATE", set: this.#assignments(set, "set"), ...whereOf(where) });
  }

  /**
   * Merges the rows of a source: `.read.format(…)` of the same pipeline, with its options. (Spark:
   * `MERGE INTO`.) Throws `MERGE_INVALID` or `FILTER_INVALID`. A run throws
   * `MERGE_CARDINALITY_VIOLATION` if several rows of the source would change one row of the table.
   */
  merge(source: Source<never>, clauses: MergeClauses): P {
    const { on, whenMatched = [], whenNotMatched = [], whenNotMatchedBySource = [] } = clauses;
    const matched = this.#clauses(whenMatched, "whenMatched", ["update", "delete"]);
    const notMatched = this.#clauses(whenNotMatched, "whenNotMatched", ["insert"]);
    const notMatchedBySource = this.#clauses(whenNotMatchedBySource, "whenNotMatchedBySource", [
      "update",
      "delete",
    ]);
    if (matched.length + notMatched.length + notMatchedBySource.length === 0)
      throw this.#invalid("the merge has no clause, so it would change nothing");
    return this.#make({
      command: "MERGE",
      source: source.configured,
      on: this.#on(on),
      matched,
      notMatched,
      notMatchedBySource,
    });
  }

  #on(on: MergeClauses["on"]): Predicate {
    if (isPlainObject(on)) return checkPredicate(on);
    const columns: readonly unknown[] = typeof on === "string" ? [on] : (on as readonly unknown[]);
    if (!Array.isArray(columns) || columns.length === 0)
      throw this.#invalid("on needs a predicate, or the names of columns that both sides have");
    return columns
      .map((name) => {
        if (typeof name !== "string") throw this.#invalid("on needs names of columns");
        return predicate("=", reference(name), sourceColumn(name));
      })
      .reduce((all, one) => predicate("AND", all, one));
  }

  #clauses(clauses: unknown, list: string, actions: readonly string[]): readonly CheckedClause[] {
    if (!Array.isArray(clauses)) throw this.#invalid(`${list} is not a list of clauses`);
    return clauses.map((clause: unknown, i) => {
      const where = `${list}[${i}]`;
      if (!isPlainObject(clause)) throw this.#invalid(`${where} is not an object`);
      const { when, set, ...others } = clause;
      const action = others["then"];
      if (typeof action !== "string" || !actions.includes(action))
        throw this.#invalid(`${where} needs then: "${actions.join('" or "')}"`);
      if (i < clauses.length - 1 && when === undefined)
        throw this.#invalid(`${where} has no condition, so no clause after it could act`);
      const condition = when === undefined ? {} : { when: conditionOf(when as Predicate) };
      const then = action as CheckedClause["then"];
      if (then === "delete") return { ...condition, then };
      const isStar = set === "*" && list !== "whenNotMatchedBySource";
      return { ...condition, then, set: isStar ? "*" : this.#assignments(set, `${where}.set`) };
    });
  }

  #assignments(set: unknown, where: string): readonly Assignment[] {
    if (!isPlainObject(set) || Object.keys(set).length === 0)
      throw this.#invalid(`${where} needs an object with a value for each column`);
    return Object.entries(set).map(([column, value]) => {
      if (value === undefined) throw this.#invalid(`${where}.${column} has no value`);
      return { column, value: expressionOf(value) };
    });
  }

  #invalid(problem: string): MillraceError {
    return new MillraceError("MERGE_INVALID", problem, {
      where: { pipeline: this.#pipeline },
      hint: 'Write .update({ set: { v: 1 } }), or .merge(source, { on: ["id"], whenMatched: [{ then: "update", set: "*" }] }). Guide: docs/merge.md.',
    });
  }
}

const EXPRESSION_KINDS: ReadonlySet<unknown> = new Set<Expression["kind"]>([
  "predicate",
  "scalar",
  "reference",
  "literal",
]);

function expressionOf(value: unknown): Expression {
  const isExpression = isPlainObject(value) && EXPRESSION_KINDS.has(value["kind"]);
  return isExpression ? checkExpression(value) : literal(value);
}

function whereOf(condition: Filter | Predicate | undefined): { readonly where?: Predicate } {
  return condition === undefined ? {} : { where: conditionOf(condition) };
}

/** Several predicates that must all hold are one. */
function conditionOf(condition: Filter | Predicate): Predicate {
  return predicatesOf(checkCondition(condition)).reduce((all, one) => predicate("AND", all, one));
}
