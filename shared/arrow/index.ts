/**
 * Re-exports the copy of `apache-arrow` that Millrace uses. A sink should import Arrow from here:
 * two copies do not recognise each other's types, and files that mix them cannot be read. Also
 * exports the evaluator of filters and predicates on rows and record batches.
 */
export * from "apache-arrow";
export { filterMatcher, matcherOf, type RowMatcher } from "./predicates/row-matcher.ts";
