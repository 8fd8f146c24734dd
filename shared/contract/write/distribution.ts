import { type Expression, reference } from "./predicates.ts";
import type { Write } from "./write.ts";

/** The direction of a `SortOrder`. */
export type SortDirection = "ascending" | "descending";

/** Where nulls come in a `SortOrder`. */
export type NullOrdering = "nullsFirst" | "nullsLast";

/** By what rows are sorted. (Spark: `SortOrder`.) */
export interface SortOrder {
  /** The compared value: a column, or an expression of columns. */
  readonly expression: Expression;
  /** The direction. */
  readonly direction: SortDirection;
  /** Where nulls come. */
  readonly nullOrdering: NullOrdering;
}

/**
 * Returns an order by a column or an expression. As in Spark, nulls come first if it ascends, and
 * last if it descends, unless `nullOrdering` says otherwise.
 */
export function sortOrder(
  by: string | Expression,
  direction: SortDirection = "ascending",
  nullOrdering: NullOrdering = direction === "ascending" ? "nullsFirst" : "nullsLast",
): SortOrder {
  return { expression: typeof by === "string" ? reference(by) : by, direction, nullOrdering };
}

/** Returns the ascending order by a column. (Spark: `asc`.) */
export function asc(by: string | Expression): SortOrder {
  return sortOrder(by, "ascending");
}

/** Returns the descending order by a column. (Spark: `desc`.) */
export function desc(by: string | Expression): SortOrder {
  return sortOrder(by, "descending");
}

/** The rows may be in any task. (Spark: `UnspecifiedDistribution`.) */
export interface UnspecifiedDistribution {
  /** Discriminant of the `Distribution` union. */
  readonly kind: "unspecified";
}

/** Rows with equal values are in one task. (Spark: `ClusteredDistribution`.) */
export interface ClusteredDistribution {
  /** Discriminant of the `Distribution` union. */
  readonly kind: "clustered";
  /** The compared values, at least one expression. */
  readonly clustering: readonly Expression[];
}

/**
 * The rows of a task all come before, or all come after, those of another one. Within a task they
 * are in no order. (Spark: `OrderedDistribution`.)
 */
export interface OrderedDistribution {
  /** Discriminant of the `Distribution` union. */
  readonly kind: "ordered";
  /** The order, at least one. */
  readonly ordering: readonly SortOrder[];
}

/** How rows are distributed over the tasks that write them. (Spark: `Distribution`.) */
export type Distribution = UnspecifiedDistribution | ClusteredDistribution | OrderedDistribution;

/** Creates distributions. (Spark: `Distributions`.) */
export const Distributions: {
  unspecified(): UnspecifiedDistribution;
  clustered(...by: readonly (string | Expression)[]): ClusteredDistribution;
  ordered(...by: readonly (string | SortOrder)[]): OrderedDistribution;
} = {
  unspecified: () => ({ kind: "unspecified" }),
  clustered: (...by) => ({
    kind: "clustered",
    clustering: by.map((each) => (typeof each === "string" ? reference(each) : each)),
  }),
  ordered: (...by) => ({
    kind: "ordered",
    ordering: by.map((each) => (typeof each === "string" ? sortOrder(each) : each)),
  }),
};

/**
 * A `Write` that requires how the rows are distributed over its tasks, and in which order each task
 * gets them. If a distribution is required, tasks exchange their rows before they are written.
 * Columns are those of `LogicalWriteInfo.schema`; a row-level operation may also name its metadata
 * columns and row ids. (Spark: `RequiresDistributionAndOrdering`.)
 */
export interface RequiresDistributionAndOrdering extends Write {
  /** Returns the distribution. */
  requiredDistribution(): Distribution;
  /**
   * True, the default, if the distribution must hold. If false, it is a wish: a large partition may
   * be split, so equal values reach several tasks.
   */
  distributionStrictlyRequired?(): boolean;
  /** Returns the number of tasks; 0, the default, if there may be any number. */
  requiredNumPartitions?(): number;
  /**
   * Returns how many bytes of rows a task should get; 0, the default, if there is no wish. Not
   * together with `requiredNumPartitions`.
   */
  advisoryPartitionSizeInBytes?(): number;
  /** Returns the order of the rows within each task. */
  requiredOrdering(): readonly SortOrder[];
}
