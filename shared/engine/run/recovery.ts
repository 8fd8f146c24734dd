import type { ErrorCode } from "../../contract/error-codes.ts";
import { MillraceError } from "../../contract/errors.ts";

/** The longest wait after failures, unless the interval of the run is longer. */
export const LONGEST_WAIT_MILLISECONDS = 300_000;

/**
 * Codes of errors that no waiting cures: a run has the command, the code and the environment that
 * it began with, and what a ledger or a sink lost comes back only by hand. All other errors may
 * pass, also those that the answer of a source caused: it may be another one the next time.
 */
export const FINAL: ReadonlySet<string> = new Set<ErrorCode>([
  // The pipeline and its options.
  "ARRANGEMENT_INVALID",
  "DATA_SOURCE_NOT_FOUND",
  "DEPENDENCY_MISSING",
  "DISTRIBUTION_INVALID",
  "DURATION_INVALID",
  "FACTORY_NOT_JSON",
  "FACTORY_TOO_LARGE",
  "FILTER_INVALID",
  "LOCATION_NOT_SUPPORTED",
  "MERGE_INVALID",
  "NOT_SUPPORTED",
  "OPTIONS_INVALID",
  "READER_INVALID",
  "ROW_LEVEL_INVALID",
  "SAVE_MODE_INVALID",
  "SAVE_MODE_NOT_SUPPORTED",
  "SCHEMA_INVALID",
  "SECRET_INVALID",
  "SECRET_MISSING",
  "TRIGGER_INVALID",
  "WRITER_INVALID",
  "WRITE_NOT_SUPPORTED",
  // The process.
  "PROCESS_EXIT",
  "UNCAUGHT_ERROR",
  // Another run.
  "FENCED",
  "LEASE_HELD",
  "RUN_IS_STALE",
  // Ledger and sink, which need a person.
  "BATCH_TOO_OLD",
  "LEDGER_BEHIND_SINK",
  "LEDGER_DAMAGED",
  "LEDGER_LOST",
  "LEDGER_VERSION",
  "PIPELINE_CHANGED",
  "SINK_BEHIND_LEDGER",
  "TABLE_VERSION",
]);

/**
 * True if the error ends a run that outlives failures. `hasHeld` is true if the run had the
 * pipeline before: another one can then have it only because this one gave it up to wait.
 */
export function endsRun(error: unknown, hasHeld: boolean): boolean {
  if (!MillraceError.is(error)) return false;
  if (error.code === ("LEASE_HELD" satisfies ErrorCode) && hasHeld) return false;
  return FINAL.has(error.code);
}

/**
 * Returns the milliseconds to wait after so many failures in a row: the interval, then twice as
 * long from try to try.
 */
export function waitAfter(failures: number, interval: number): number {
  return Math.max(interval, Math.min(LONGEST_WAIT_MILLISECONDS, interval * 2 ** (failures - 1)));
}
