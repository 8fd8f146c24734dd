import type { ErrorRecord } from "../shared/contract/errors.ts";
import { boundedError, cut } from "../shared/engine/ports/bounded-error.ts";

/** Step Functions allows 32,768 characters for the cause of a failure. */
const MOST_BYTES = 16 * 1024;

/**
 * Formats message, location and hint in one line, because an execution in the Step Functions
 * console shows nothing else.
 */
export function describeError(record: ErrorRecord): string {
  const error = boundedError(record);
  const where = Object.entries(error.where).map(([key, value]) => `${key} ${value}`);
  const place = where.length === 0 ? "" : ` (${where.join(", ")})`;
  const also = (error.also ?? []).map(({ code, message }) => `. Later ${code}: ${message}`).join("");
  const hint = error.hint === undefined ? "" : `. ${error.hint}`;
  return cut(`${error.message}${place}${also}${hint}`, MOST_BYTES);
}
