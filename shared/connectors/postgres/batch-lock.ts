import type { Session } from "../kit/postgres/session.ts";

/**
 * Locks the pipeline's record of batches until the current transaction ends. A commit whose answer
 * was lost may still be open on the server. This lock is granted only after that commit has ended.
 * A lock of the row would not be enough, because each incarnation has its own row, and the first
 * batch has none yet. It is a statement of its own, so that the next one sees what the transaction
 * that held the lock has committed. The wait is bounded by `lockSeconds`.
 */
export async function lockBatches(session: Session, pipeline: string): Promise<void> {
  await session.query(
    "waiting for an earlier commit of this pipeline",
    "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
    [JSON.stringify(["millrace", pipeline])],
  );
}
