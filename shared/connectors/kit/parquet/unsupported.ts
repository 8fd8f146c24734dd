import { MillraceError } from "../../../contract/errors.ts";

const DEFAULT_HINT = "Write the file again without it, or leave the column out of .schema(…).";

/**
 * A page needs a feature that this reader lacks. The message names the feature. `PageReader` turns
 * it into an error with the place of the page.
 */
export class NotSupportedError extends Error {
  readonly hint: string;

  constructor(feature: string, hint: string = DEFAULT_HINT) {
    super(feature);
    this.hint = hint;
  }
}

/** Returns the error for a file that is valid, but needs a feature that this reader lacks. */
export function notSupported(feature: string, hint: string = DEFAULT_HINT, field?: string): MillraceError {
  return new MillraceError("FILE_FEATURE_NOT_SUPPORTED", `${feature}, which is not supported`, {
    ...(field === undefined ? {} : { where: { field } }),
    hint,
  });
}
