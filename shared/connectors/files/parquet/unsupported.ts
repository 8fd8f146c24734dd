export interface NotSupportedOptions {
  /** What the user should do. */
  readonly hint?: string | undefined;
  /** The column, with its path. */
  readonly field?: string | undefined;
}

/** A file is valid, but needs a feature that this reader lacks. The message names the feature. */
export class NotSupportedError extends Error {
  readonly hint: string;
  readonly field: string | undefined;

  constructor(feature: string, { hint, field }: NotSupportedOptions = {}) {
    super(feature);
    this.hint = hint ?? "Write the file again without it, or leave the column out of .schema(…).";
    this.field = field;
  }
}
