import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";

/** The error of a save mode that depends on a target of which the sink cannot tell if it exists. */
export function modeNotSupported(sink: string, mode: string, where: ErrorLocation): MillraceError {
  return new MillraceError(
    "SAVE_MODE_NOT_SUPPORTED",
    `the data source "${sink}" cannot be written in the mode "${mode}"`,
    { where, hint: 'Choose .mode("append") or .mode("overwrite"), or give its writer exists(context).' },
  );
}

/** The error of a target that exists, in the save mode `errorifexists`. */
export function targetExists(sink: string, where: ErrorLocation): MillraceError {
  return new MillraceError("TARGET_EXISTS", `the target of "${sink}" is there already`, {
    where,
    hint: 'Nothing was read or written. Choose .mode("append"), .mode("overwrite") or .mode("ignore"), or another target.',
  });
}
