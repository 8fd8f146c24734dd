import { MillraceError } from "../contract/errors.ts";
import type { Batch } from "./ports/ledger.ts";

/** Enough of a digest to tell two apart. */
const SHOWN = 12;

/**
 * Returns a warning if a run resumes a batch that other code has planned, and `undefined` if both
 * digests are equal or one is not known.
 */
export function otherCodeWarning(batch: Batch, code: string | undefined): MillraceError | undefined {
  if (batch.code === undefined || code === undefined || batch.code === code) return undefined;
  const { pipeline, batchId, attempt } = batch;
  const [planned, now] = [batch.code, code].map((digest) => digest.slice(0, SHOWN));
  return new MillraceError(
    "CODE_CHANGED",
    `batch ${batchId} was planned by code ${planned}, and code ${now} goes on with it`,
    {
      where: { pipeline, batchId, attempt },
      hint: "Its partitions stay as they were planned, and the new code must be able to read them.",
    },
  );
}
