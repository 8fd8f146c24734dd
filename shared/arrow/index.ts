/**
 * Re-exports the copy of `apache-arrow` that Millrace uses, and what evaluates predicates. A sink
 * should import Arrow from here: two copies do not recognise each other's types, and files that mix
 * them cannot be read.
 */
export * from "apache-arrow";
export type { ColumnStatistics, Coverage, Statistics } from "./predicates/ranges.ts";
export { filterMatcher, matcherOf, type RowMatcher } from "./predicates/row-matcher.ts";
export { takeRows } from "./take.ts";
