import { isPlainObject, JsonNumber } from "../../contract/json.ts";
import { parseJson } from "../kit/json-parser.ts";
import { jsonText, mapJson } from "./request-body.ts";

/**
 * Identifies a page of a list; `null` is the first page. Depending on the pagination it is the
 * number of rows before the page, the cursor, or the link's path and query. A cursor that is an
 * object, an array or a number of many digits is stored as its JSON text. It has no secrets, so
 * that it can be stored.
 */
export type PageRef = string | number | true | { readonly json: string } | null;

/** Returns a text that is equal for equal pages. */
export function keyOf(ref: PageRef): string {
  return JSON.stringify(ref);
}

/** Returns a cursor as it can be stored. `hide` replaces secrets in a text. */
export function refOf(cursor: unknown, hide: (text: string) => string): PageRef | undefined {
  if (cursor === null || cursor === undefined || cursor === false || cursor === "") return undefined;
  if (typeof cursor === "string") return hide(cursor);
  if (cursor === true) return cursor;
  if (typeof cursor === "number" && !Object.is(cursor, -0)) return cursor;
  return { json: jsonText(mapJson(cursor, (value) => (typeof value === "string" ? hide(value) : value))) };
}

/** Returns the cursor of a stored page as a JSON value. `reveal` puts secrets back into a text. */
export function cursorOf(ref: Exclude<PageRef, null>, reveal: (text: string) => string): unknown {
  if (typeof ref === "string") return reveal(ref);
  if (typeof ref !== "object") return ref;
  const parsed = parseJson(ref.json);
  return mapJson(parsed, (value) => (typeof value === "string" ? reveal(value) : value));
}

/** Formats a value for a query parameter: objects and arrays as JSON text. */
export function queryText(value: unknown): string {
  if (value instanceof JsonNumber) return value.source;
  return isPlainObject(value) || Array.isArray(value) ? jsonText(value) : String(value);
}

/** Returns the number of rows up to the end of a page with `rows` rows, if it is known. */
export function after({ before }: { readonly before: number | undefined }, rows: number): number | undefined {
  return before === undefined ? undefined : before + rows;
}
