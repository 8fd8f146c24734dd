import { MillraceError } from "./errors.ts";
import { isUtcTime } from "./iso.ts";
import { canonicalJson, findNonJson, hintOfNonJson, isPlainObject, type JsonValue, kindOf } from "./json.ts";

/**
 * A position in a stream: a JSON object, such as `{ "time": "2026-11-21T00:00:00Z" }`. Offsets are
 * compared as canonical JSON, so the order of keys does not matter. (Spark: the dict of
 * `DataSourceStreamReader`'s offsets.)
 */
export type Offset = { readonly [key: string]: JsonValue };

/** True if two offsets are the same position. */
export function sameOffset(a: Offset, b: Offset): boolean {
  return canonicalJson(a) === canonicalJson(b);
}

/** Returns `value` if it is an offset; else throws what `method` should have given. */
export function checkOffset(value: unknown, method: string): Offset {
  const problem = isPlainObject(value) ? findNonJson(value) : `$: ${kindOf(value)}`;
  if (problem === undefined) return value as Offset;
  throw new MillraceError("OFFSET_NOT_JSON", `${method} must give a JSON object, but gave ${problem}`, {
    hint:
      hintOfNonJson(problem) ??
      'Give a plain object of JSON values, such as { "id": 42 }; write dates as ISO strings and 64-bit integers as strings.',
  });
}

/**
 * The order of two offsets of one field each, numbers or times in one form; `undefined` if that
 * does not tell.
 */
export function compareByValue(a: Offset, b: Offset): number | undefined {
  const [[nameA, valueA] = [], ...restA] = Object.entries(a);
  const [[nameB, valueB] = [], ...restB] = Object.entries(b);
  if (nameA !== nameB || restA.length > 0 || restB.length > 0) return undefined;
  if (typeof valueA === "number" && typeof valueB === "number") return valueA - valueB;
  if (typeof valueA !== "string" || typeof valueB !== "string") return undefined;
  const isTime = valueA.length === valueB.length && isUtcTime(valueA) && isUtcTime(valueB);
  return isTime ? Math.sign(Number(valueA > valueB) - Number(valueA < valueB)) : undefined;
}
