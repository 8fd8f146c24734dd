import type { SinkContext } from "../../contract/context.ts";
import type { Session } from "./session.ts";

/**
 * Locks the pipeline's record of batches until the current transaction ends. A commit whose answer
 * was lost may still be open on the server. This lock is granted only after that commit has ended.
 * A lock of the row would not be enough, because the first batch has no row yet. The wait is
 * bounded by `lockSeconds`.
 */
export async function lockBatches(session: Session, { pipeline, incarnation }: SinkContext): Promise<void> {
  await session.query(
    "waiting for an earlier commit of this pipeline",
    "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
    [JSON.stringify(["millrace", pipeline, incarnation])],
  );
}
