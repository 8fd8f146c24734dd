import type { ErrorParts } from "../shared/contract/errors.ts";

/**
 * Formats message, location and hint in one line, because an execution in the Step Functions
 * console shows nothing else.
 */
export function describeError(error: Pick<ErrorParts, "message" | "where" | "hint" | "also">): string {
  const where = Object.entries(error.where ?? {}).map(([key, value]) => `${key} ${value}`);
  const place = where.length === 0 ? "" : ` (${where.join(", ")})`;
  const also = (error.also ?? []).map(({ code, message }) => `. Later ${code}: ${message}`).join("");
  return `${error.message}${place}${also}${error.hint === undefined ? "" : `. ${error.hint}`}`;
}
