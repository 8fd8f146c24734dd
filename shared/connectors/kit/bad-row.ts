import { BadRow } from "../../contract/bad-rows.ts";
import type { ErrorCode } from "../../contract/error-codes.ts";
import { MillraceError } from "../../contract/errors.ts";

/** Errors that are about one record, so that others can be read. */
const OF_A_ROW: ReadonlySet<string> = new Set<ErrorCode>([
  "RECORD_NOT_JSON",
  "ROW_MISMATCH",
  "ROW_NOT_A_ROW",
]);

/**
 * Returns what stands for a record from which no row could be made. Throws the error if it is not
 * about the record, such as one of the options.
 */
export function badRow(error: unknown, record: unknown): BadRow {
  if (!MillraceError.is(error) || !OF_A_ROW.has(error.code)) throw error;
  return new BadRow(error, record);
}
