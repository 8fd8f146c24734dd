import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";

/** The error of a record in a target that a newer Millrace wrote. `subject` ends with a verb. */
export function newerFormat(
  subject: string,
  format: number | undefined,
  known: number,
  where: ErrorLocation,
): MillraceError {
  return new MillraceError("TABLE_VERSION", `${subject} format ${format}, this Millrace knows ${known}`, {
    where,
    hint: "Nothing was written. Use the Millrace that wrote it, or a newer one.",
  });
}
