/** What docs/errors.md says about an error code, in Markdown. */
export interface ErrorMeaning {
  /** Meaning of the code: what happened. */
  readonly means: string;
  /** Advice: what the user should do. */
  readonly do: string;
  /** Whether the engine retries the same step by itself before it gives up. */
  readonly again?: string;
}
