import type { ConfiguredSource } from "./configured.ts";
import type { Filter } from "./filters.ts";
import type { Expression, Predicate } from "./write/predicates.ts";

/**
 * New values by column: an expression of the old row, in a merge also of the source's row, or a
 * plain value.
 */
export type Assignments = Readonly<Record<string, unknown>>;

/** What a merge does with a row of the table that a row of the source matches. */
export type MatchedClause =
  | { readonly when?: Filter | Predicate; readonly then: "update"; readonly set: Assignments | "*" }
  | { readonly when?: Filter | Predicate; readonly then: "delete" };

/** What a merge does with a row of the source that matches no row of the table. */
export interface NotMatchedClause {
  /** For which rows the clause holds. Default: for all. */
  readonly when?: Filter | Predicate;
  /** The action. */
  readonly then: "insert";
  /** The values of the new row. `"*"`: all columns of the source, by name. */
  readonly set: Assignments | "*";
}

/** What a merge does with a row of the table that no row of the source matches. */
export type NotMatchedBySourceClause =
  | { readonly when?: Filter | Predicate; readonly then: "update"; readonly set: Assignments }
  | { readonly when?: Filter | Predicate; readonly then: "delete" };

/** The clauses of a merge. Of each list, the first clause whose condition holds acts. */
export interface MergeClauses {
  /**
   * When a row of the table and a row of the source belong together: columns that both have, or a
   * condition that names columns of the source as `source("name")`.
   */
  readonly on: string | readonly string[] | Predicate;
  /** For rows of the table that match. Default: they stay as they are. */
  readonly whenMatched?: readonly MatchedClause[];
  /** For rows of the source without a match. Default: they are left out. */
  readonly whenNotMatched?: readonly NotMatchedClause[];
  /** For rows of the table without a match. Default: they stay as they are. */
  readonly whenNotMatchedBySource?: readonly NotMatchedBySourceClause[];
}

/** The new values of a column. */
export interface Assignment {
  /** Name of the column. */
  readonly column: string;
  /** The value, computed from the old row, in a merge also from the source's row. */
  readonly value: Expression;
}

/** A clause with checked expressions. `set` is `"*"` until the columns are known. */
export interface CheckedClause {
  /** For which rows the clause holds. Absent: for all. */
  readonly when?: Predicate;
  /** The action. */
  readonly then: "update" | "delete" | "insert";
  /** The new values, unless rows are deleted. `"*"`: all columns of the source, by name. */
  readonly set?: readonly Assignment[] | "*";
}

/** A command that changes the rows of a table. A batch pipeline has it in place of a source. */
export type RowCommand =
  | { readonly command: "DELETE"; readonly where?: Predicate }
  | { readonly command: "UPDATE"; readonly where?: Predicate; readonly set: readonly Assignment[] }
  | {
      readonly command: "MERGE";
      readonly source: ConfiguredSource;
      /** Columns of the source are references with `side: "source"`. */
      readonly on: Predicate;
      readonly matched: readonly CheckedClause[];
      readonly notMatched: readonly CheckedClause[];
      readonly notMatchedBySource: readonly CheckedClause[];
    };
