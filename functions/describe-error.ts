import type { ErrorRecord } from "../shared/contract/errors.ts";

/** Message, place and hint in one line, for whoever looks at an execution and sees only that. */
export function describeError(
  error: Pick<ErrorRecord, "message" | "where"> & { readonly hint?: string | undefined },
): string {
  const where = Object.entries(error.where).map(([key, value]) => `${key} ${value}`);
  const place = where.length === 0 ? "" : ` (${where.join(", ")})`;
  return `${error.message}${place}${error.hint === undefined ? "" : `. ${error.hint}`}`;
}
