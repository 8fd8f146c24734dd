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
