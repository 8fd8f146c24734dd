import type { Trigger } from "../../shared/contract/trigger.ts";
import type { BatchStep } from "./batch-step.ts";

/**
 * The time at which a run ends: after `idle` triggers without new data, or after `batch` batches.
 */
export type Until = { readonly idle: number } | { readonly batch: number };

/**
 * The settings of one run of a scenario. The process of the run and its worker threads read them
 * from the environment.
 */
export interface Job {
  /** Path of the file to log to. */
  readonly trace: string;
  readonly home: string;
  /** Name of the class of the source. */
  readonly source: string;
  readonly ropts: Readonly<Record<string, string>>;
  readonly wopts: Readonly<Record<string, string>>;
  readonly trigger: Trigger;
  /** Maximum attempts of one task. (Spark: the `N` of `local[2, N]`.) */
  readonly maxAttempts: number;
  /** The action of a batch; absent for a query. */
  readonly batch?: BatchStep;
  /**
   * The time at which the driver ends a run with an interval. Runs with another trigger end by
   * themselves.
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
