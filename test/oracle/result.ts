/**
 * The result of replaying one recording. `same`: all calls are equal, except for the named
 * exceptions. `differs`: `detail` has the first difference. `not built` and `no trace`: nothing was
 * compared, and `detail` says why. `out of scope`: the same, of statements that no driver without
 * Spark can make.
 */
export type Verdict = "same" | "differs" | "not built" | "out of scope" | "no trace";

/** The row of one recording in the table of results. */
export interface Result {
  readonly scenario: string;
  readonly verdict: Verdict;
  readonly calls: number;
  readonly exceptions: readonly string[];
  readonly detail?: string;
}
