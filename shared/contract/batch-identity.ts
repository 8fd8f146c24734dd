import type { Offset } from "./offset.ts";

/**
 * Identifies a batch by its content. Equal ids are not enough: a ledger that was restored from a
 * backup uses an id a second time, for other rows.
 */
export interface BatchIdentity {
  /** The incarnation of the ledger that planned the batch. */
  readonly incarnation: string;
  /** Id of the batch: 0, 1, 2 and so on. */
  readonly batchId: number;
  /**
   * Random id of the batch's plan. It lives as long as the batch, over all its attempts, and is
   * `UNKNOWN_PLAN` for a batch that an older version planned.
   */
  readonly planId: string;
}

/** What a sink keeps of the newest batch that a pipeline committed to it. */
export interface CommittedBatch extends BatchIdentity {
  /** Where the batch starts. Absent in the records of older versions. */
  readonly start?: Offset;
  /** Where the batch ends. Absent in the records of older versions. */
  readonly end?: Offset;
}

/** The `planId` of batches from versions that had none. */
export const UNKNOWN_PLAN = "0";

/** True if both are the same plan of the same batch. */
export function isSameBatch(a: BatchIdentity, b: BatchIdentity): boolean {
  return a.incarnation === b.incarnation && a.batchId === b.batchId && a.planId === b.planId;
}
