import { ValueMismatch } from "../../arrow/builders/builder.ts";

export interface MalformedOptions {
  /** What the user should do. Default: remove the file and add it again when it is corrected. */
  readonly hint?: string;
  /**
   * Content of the file that may help the user. It is shown in the terminal only, because it may be
   * confidential.
   */
  readonly found?: string;
  readonly cause?: unknown;
}

/** A file cannot be read. The message never quotes the file's content. */
export class MalformedFileError extends Error {
  readonly hint: string | undefined;
  readonly found: string | undefined;

  constructor(message: string, { hint, found, cause }: MalformedOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.hint = hint;
    this.found = found;
  }
}

/** The row after the rows that were read so far is malformed. */
export class MalformedRowError extends MalformedFileError {}

/** A value of the next row does not fit its column, and an option may say how to read it. */
export class TextMismatch extends ValueMismatch {
  readonly hint: string;

  constructor(field: string, expected: string, value: unknown, problem: string, hint: string) {
    super(expected, value, problem, `.${field}`);
    this.hint = hint;
  }
}
