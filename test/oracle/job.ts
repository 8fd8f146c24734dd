import type { Trigger } from "../../shared/contract/pipeline.ts";
import type { BatchStep } from "./batch-step.ts";

/** After so many triggers that found nothing new, or, where there was none, so many batches. */
export type Until = { readonly idle: number } | { readonly batch: number };

/**
 * One run of a scenario, as its process is told in its environment: worker threads read it there
 * too.
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
  /** Attempts of one task at most. (Spark: the `N` of `local[2, N]`.) */
  readonly maxAttempts: number;
  /** The action of a batch; absent in a query. */
  readonly batch?: BatchStep;
  /** When the driver ends a run on an interval; a run of another trigger ends by itself. */
  readonly until?: Until;
}

const VARIABLE = "MILLRACE_ORACLE_JOB";

export function environmentOf(job: Job): Record<string, string> {
  return { [VARIABLE]: JSON.stringify(job) };
}

export function readJob(): Job {
  return JSON.parse(process.env[VARIABLE] ?? "{}") as Job;
}
