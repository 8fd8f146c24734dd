import type { ErrorCode } from "../shared/contract/error-codes.ts";
import { MillraceError } from "../shared/contract/errors.ts";

/** Exit codes of `millrace`, documented in docs/cli.md. */
export const EXIT = {
  ok: 0,
  /** The run failed: a batch was aborted or something could not be read. The next run continues. */
  failed: 1,
  /** The command line, the pipeline file or its options are wrong. Nothing was started. */
  usage: 2,
  /** Another run has the pipeline's lease. Nothing was started, or this run has lost the lease. */
  leaseHeld: 3,
  /** `status --check`: rows could not be written, and wait for a fix. */
  quarantine: 10,
  /** `status --check`: no batch was committed and no run looked for data for too long. */
  late: 11,
  /** `status --check`: the pipeline is paused. */
  paused: 12,
  /** `status --check`: a batch failed and is not committed yet, or a run could not plan one. */
  failing: 13,
  /** Exit code of a run that SIGINT stopped (128 + 2). */
  interrupted: 130,
  /** Exit code of a run that SIGTERM stopped (128 + 15). */
  terminated: 143,
} as const;

const USAGE_ERRORS: ReadonlySet<string> = new Set<ErrorCode>([
  "BACKFILL_INCOMPLETE",
  "BACKFILL_NOT_SUPPORTED",
  "BACKFILL_OVERLAPS",
  "BACKFILL_RANGE_INVALID",
  "BATCH_NOT_FOUND",
  "BATCH_NOT_OPEN",
  "BATCH_OPEN",
  "CDK_NOT_FOUND",
  "DATA_SOURCE_NOT_FOUND",
  "DEPENDENCY_MISSING",
  "DURATION_INVALID",
  "FILTER_INVALID",
  "HOME_NOT_FOUND",
  "LOCATION_NOT_SUPPORTED",
  "NOT_SUPPORTED",
  "OPTIONS_INVALID",
  "OFFSET_UNREADABLE",
  "PIPELINE_FILE_FAILED",
  "PIPELINE_FILE_NOT_FOUND",
  "PIPELINE_NAME_INVALID",
  "PIPELINE_NOT_EXPORTED",
  "PIPELINE_NOT_FOUND",
  "SAVE_MODE_INVALID",
  "SAVE_MODE_NOT_SUPPORTED",
  "SCHEMA_INVALID",
  "SCHEMA_REQUIRED",
  "SECRET_INVALID",
  "SECRET_MISSING",
  "STACK_NOT_FOUND",
  "TABLE_NOT_FOUND",
  "TARGET_UNUSABLE",
  "TRIGGER_INVALID",
  "USAGE",
]);

export function exitCodeOf(error: unknown): number {
  if (!MillraceError.is(error)) return EXIT.failed;
  if (error.code === "LEASE_HELD" || error.code === "FENCED" || error.code === "RUN_IS_STALE")
    return EXIT.leaseHeld;
  // An error with a batch id is never a usage error, because a run was already started.
  return USAGE_ERRORS.has(error.code) && error.where.batchId === undefined ? EXIT.usage : EXIT.failed;
}
