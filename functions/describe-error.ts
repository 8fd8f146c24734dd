import type { ErrorRecord } from "../shared/contract/errors.ts";

/**
 * Formats message, location and hint in one line, because an execution in the Step Functions
 * console shows nothing else.
 */
export function describeError(
  error: Pick<ErrorRecord, "message" | "where"> & { readonly hint?: string | undefined },
): string {
  const where = Object.entries(error.where).map(([key, value]) => `${key} ${value}`);
  const place = where.length === 0 ? "" : ` (${where.join(", ")})`;
  return `${error.message}${place}${error.hint === undefined ? "" : `. ${error.hint}`}`;
}
