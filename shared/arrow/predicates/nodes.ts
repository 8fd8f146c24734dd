import type { Data, Field } from "apache-arrow";
import type { Key, KeyReader } from "./keys.ts";
import type { Outcomes, Range, Statistics } from "./ranges.ts";

/** A compiled expression that yields a value. */
export interface ValueNode {
  /** The type of the value. The name is that of the column, or describes the expression. */
  readonly field: Field;
  /** The key in all rows. Only literals have it. */
  readonly constant?: Key | null;
  /** Returns a reader of the keys of a record batch's rows. */
  bind(rows: Data): KeyReader;
  /** Returns a range that contains the keys of all rows with these statistics. */
  range(statistics: Statistics): Range;
}

/** Returns the result of a condition for a row, in SQL's three-valued logic. */
export type Test = (row: number) => boolean | null;

/** A compiled predicate. */
export interface Condition {
  /** Returns a test of a record batch's rows. */
  bind(rows: Data): Test;
  /** Returns the results that rows with these statistics may have, and perhaps more. */
  outcomes(statistics: Statistics): Outcomes;
}
