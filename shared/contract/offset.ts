import { MillraceError } from "./errors.ts";
import { isUtcTime } from "./iso.ts";
import { canonicalJson, findNonJson, hintOfNonJson, isPlainObject, type JsonValue, kindOf } from "./json.ts";

/**
 * A position in a stream: a JSON object, such as `{ "time": "2026-11-21T00:00:00Z" }`. Offsets are
 * compared as canonical JSON, so the order of keys does not matter. (Spark: the dict that
 * `DataSourceStreamReader` uses as an offset.)
 */
export type Offset = { readonly [key: string]: JsonValue };

/** True if two offsets are the same position. */
export function sameOffset(a: Offset, b: Offset): boolean {
  return canonicalJson(a) === canonicalJson(b);
}

/**
 * Returns `value` if it is an offset; otherwise throws `OFFSET_NOT_JSON`. `method` names the
 * reader's method in the message.
 */
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
 * Compares two offsets that both have the same single field, with a number or a UTC time of equal
 * length. Returns `undefined` for any other offsets.
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
