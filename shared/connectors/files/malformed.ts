export interface MalformedOptions {
  /** What to do. Default: to take the file away and put it back corrected. */
  readonly hint?: string;
  /** For the terminal only: what may be content. */
  readonly found?: string;
  readonly cause?: unknown;
}

/** What is wrong with a file, in words that quote nothing of it. */
export class Malformed extends Error {
  readonly hint: string | undefined;
  readonly found: string | undefined;

  constructor(message: string, { hint, found, cause }: MalformedOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.hint = hint;
    this.found = found;
  }
}

/** What is wrong with the row after those that were read. */
export class MalformedRow extends Malformed {}
