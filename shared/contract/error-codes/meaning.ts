/** What docs/errors.md says of a code, in Markdown. */
export interface ErrorMeaning {
  /** What happened. */
  readonly means: string;
  /** The way out. */
  readonly do: string;
  /** Whether the engine tries the same thing again by itself before it gives up. */
  readonly again?: string;
}
