import type { Trigger } from "../../shared/contract/pipeline.ts";
import type { BatchStep } from "./batch-step.ts";

/**
 * The end of a run: after so many triggers without new data, or, if there was none, so many
 * batches.
 */
export type Until = { readonly idle: number } | { readonly batch: number };

/**
 * One run of a scenario, as its process gets it in its environment, which worker threads read, too.
 */
export interface Job {
  /** File to log to. */
  readonly trace: string;
  readonly home: string;
  /** Class of the source. */
  readonly source: string;
  readonly ropts: Readonly<Record<string, string>>;
  readonly wopts: Readonly<Record<string, string>>;
  readonly trigger: Trigger;
  /** Maximum attempts of one task. (Spark: the `N` of `local[2, N]`.) */
  readonly maxAttempts: number;
  /** The action of a batch; absent in a query. */
  readonly batch?: BatchStep;
  /**
   * The point at which the driver ends a run on an interval; a run of another trigger ends by
   * itself.
   */
  readonly until?: Until;
}

const VARIABLE = "MILLRACE_ORACLE_JOB";

export function environmentOf(job: Job): Record<string, string> {
  return { [VARIABLE]: JSON.stringify(job) };
}

export function readJob(): Job {
  return JSON.parse(process.env[VARIABLE] ?? "{}") as Job;
}
