import type { Attribute, FilterValue } from "../../contract/filters.ts";
import { compareKeys, type Key } from "./keys.ts";

/** Bounds of one column of a set of rows. A missing property is unknown. */
export interface ColumnStatistics {
  /** No value is less. Nulls do not count. */
  readonly min?: FilterValue;
  /**
   * No value is greater. Nulls do not count, but NaN does: it is the greatest number, as in Spark.
   */
  readonly max?: FilterValue;
  /** Number of rows in which the column, or a struct around it, is null. */
  readonly nullCount?: number;
}

/** Statistics of a set of rows, such as those of a file. */
export interface Statistics {
  /** Number of rows. */
  readonly rowCount?: number;
  /** Returns the statistics of a column, or `undefined` if there are none. */
  column(attribute: Attribute): ColumnStatistics | undefined;
}

/** The keys that an expression may have in a set of rows. A missing bound is unknown. */
export interface Range {
  readonly min?: Key;
  readonly max?: Key;
  readonly canBeNull: boolean;
  /** False if the expression is null in all rows. */
  readonly canBeValue: boolean;
}

export const ANY_RANGE: Range = { canBeNull: true, canBeValue: true };

/** Returns the range of a literal. */
export function rangeOf(key: Key | null): Range {
  return key === null
    ? { canBeNull: true, canBeValue: false }
    : { min: key, max: key, canBeNull: false, canBeValue: true };
}

/** A set of results of a condition: `TRUE`, `FALSE` and `UNKNOWN` added up. */
export type Outcomes = number;
export const TRUE = 1;
export const FALSE = 2;
export const UNKNOWN = 4;

/** If all, some or none of the rows match. `some` is also the answer if it is not known. */
export type Coverage = "all" | "some" | "none";

export function coverageOf(outcomes: Outcomes): Coverage {
  if (outcomes === TRUE) return "all";
  return outcomes === 0 || outcomes & TRUE ? "some" : "none";
}

/** Returns the results that `test` may have for keys of two ranges. */
export function comparedOutcomes(a: Range, b: Range, test: (sign: number) => boolean): Outcomes {
  const unknown = a.canBeNull || b.canBeNull ? UNKNOWN : 0;
  return unknown | valueOutcomes(a, b, test);
}

/** Like `comparedOutcomes`, for `<=>`. */
export function nullSafeOutcomes(a: Range, b: Range): Outcomes {
  const bothNull = a.canBeNull && b.canBeNull ? TRUE : 0;
  const oneNull = (a.canBeNull && b.canBeValue) || (a.canBeValue && b.canBeNull) ? FALSE : 0;
  return bothNull | oneNull | valueOutcomes(a, b, (sign) => sign === 0);
}

function valueOutcomes(a: Range, b: Range, test: (sign: number) => boolean): Outcomes {
  if (!a.canBeValue || !b.canBeValue) return 0;
  return signsOf(a, b).reduce((outcomes, sign) => outcomes | (test(sign) ? TRUE : FALSE), 0);
}

/** Returns how keys of two ranges may compare: less, equal or greater. */
function signsOf(a: Range, b: Range): readonly number[] {
  const lowToHigh = orderOf(a.min, b.max);
  const highToLow = orderOf(a.max, b.min);
  const signs: number[] = [];
  if (lowToHigh === undefined || lowToHigh < 0) signs.push(-1);
  if ((lowToHigh ?? 0) <= 0 && (highToLow ?? 0) >= 0) signs.push(0);
  if (highToLow === undefined || highToLow > 0) signs.push(1);
  return signs;
}

function orderOf(a: Key | undefined, b: Key | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : compareKeys(a, b);
}

/** Returns the results of `NOT`. */
export function notOutcomes(outcomes: Outcomes): Outcomes {
  return (outcomes & UNKNOWN) | (outcomes & TRUE ? FALSE : 0) | (outcomes & FALSE ? TRUE : 0);
}

/** Returns the results of `AND` if its arguments may have these results in any combination. */
export function andOutcomes(a: Outcomes, b: Outcomes): Outcomes {
  const either = (a | b) & FALSE;
  const both = a & b & TRUE;
  const unknown = (a & UNKNOWN && b & (TRUE | UNKNOWN)) || (b & UNKNOWN && a & TRUE) ? UNKNOWN : 0;
  return either | both | unknown;
}
