import { type ErrorLocation, MillraceError } from "./errors.ts";
import { isPlainObject } from "./json.ts";
import { checkExpression } from "./write/check-predicate.ts";
import {
  type ClusteredDistribution,
  Distributions,
  type OrderedDistribution,
  type SortOrder,
} from "./write/distribution.ts";

/** How the rows of a pipeline are exchanged between tasks and sorted before they are written. */
export interface Arrangement {
  /**
   * Which rows reach the same task. `even`: rows are dealt out, whatever their values are. Absent:
   * rows stay with the task that reads them.
   */
  readonly distribution?: ClusteredDistribution | OrderedDistribution | { readonly kind: "even" };
  /** Number of tasks. Absent: the amount of data decides. */
  readonly numPartitions?: number;
  /** The order of the rows within each task. Absent: none. */
  readonly ordering?: readonly SortOrder[];
}

/** The most tasks that rows can be exchanged between. */
const MOST_PARTITIONS = 10_000;

/**
 * Returns the arrangement with this distribution. `given` begins with the number of tasks if it is
 * set. Throws `ARRANGEMENT_INVALID` or `FILTER_INVALID`.
 */
export function repartitioned(
  before: Arrangement = {},
  kind: "clustered" | "ordered",
  given: readonly (number | string | SortOrder)[],
): Arrangement {
  const method = kind === "clustered" ? ".repartition" : ".repartitionByRange";
  const [first, ...others] = given;
  const numPartitions = typeof first === "number" ? checkNumber(first, method) : undefined;
  const by = typeof first === "number" ? others : given;
  if (by.length === 0 && (kind === "ordered" || numPartitions === undefined))
    throw invalid(`${method}() has no columns`, `Write ${method}(8, "customer") or ${method}("customer").`);
  return {
    ...before,
    distribution: distributionOf(kind, by, method),
    ...(numPartitions === undefined ? {} : { numPartitions }),
  };
}

function distributionOf(
  kind: "clustered" | "ordered",
  by: readonly (number | string | SortOrder)[],
  method: string,
): Exclude<Arrangement["distribution"], undefined> {
  if (kind === "ordered") return Distributions.ordered(...by.map((each) => checkOrder(each, method)));
  if (by.length === 0) return { kind: "even" };
  return Distributions.clustered(...by.map((each) => checkColumn(each, method)));
}

/** Returns the arrangement with this order of each task's rows. Throws `ARRANGEMENT_INVALID`. */
export function sortedWithin(before: Arrangement = {}, orders: readonly (string | SortOrder)[]): Arrangement {
  const method = ".sortWithinPartitions";
  if (orders.length === 0)
    throw invalid(`${method}() has no columns`, `Write ${method}("time", desc("id")).`);
  const ordered = Distributions.ordered(...orders.map((each) => checkOrder(each, method)));
  return { ...before, ordering: ordered.ordering };
}

function checkNumber(value: number, method: string): number {
  if (Number.isInteger(value) && value >= 1 && value <= MOST_PARTITIONS) return value;
  throw invalid(
    `${method}(${value}) is no number of tasks`,
    `Give a whole number from 1 to ${MOST_PARTITIONS}.`,
  );
}

function checkColumn(value: unknown, method: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw invalid(`${method}() needs names of columns`, `Write ${method}(8, "customer").`);
}

function checkOrder(value: unknown, method: string): string | SortOrder {
  if (!isPlainObject(value)) return checkColumn(value, method);
  checkExpression(value["expression"]);
  const isKnown =
    ["ascending", "descending"].includes(value["direction"] as string) &&
    ["nullsFirst", "nullsLast"].includes(value["nullOrdering"] as string);
  if (isKnown) return value as unknown as SortOrder;
  throw invalid(`${method}() has an order of another kind`, 'Write a name, asc("time") or desc("time").');
}

function invalid(problem: string, hint: string): MillraceError {
  return new MillraceError("ARRANGEMENT_INVALID", problem, { hint });
}

/** The error of a merge whose source is arranged. */
export function arrangedMerge(where: ErrorLocation): MillraceError {
  return new MillraceError(
    "MERGE_INVALID",
    "the source of a merge is repartitioned or sorted, but its rows are exchanged by the keys of the merge",
    { where, hint: "Nothing was read or written. Remove .repartition() and the like from the source." },
  );
}
