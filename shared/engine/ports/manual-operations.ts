import type { BackfillRange } from "../../contract/backfill.ts";
import type { BatchIdentity } from "../../contract/batch-identity.ts";
import type { Offset } from "../../contract/offset.ts";
import type { Unacknowledged } from "./records.ts";

/** A manual operation on a pipeline. */
export interface Action {
  /** The person who performed the operation. */
  readonly by: string;
  readonly why?: string;
  /** When it was done, in epoch milliseconds. */
  readonly at: number;
}

/** A pause of the pipeline. */
export interface Pause extends Action {
  /** Present if a batch paused the pipeline, because it was aborted again and again. */
  readonly batchId?: number;
  /** The code of the error that aborted the batch. */
  readonly code?: string;
}

/** Moves the offset manually. The next batch starts at `to` and gets a new batch id. */
export interface Rewind extends Action {
  /** The offset that the pipeline must have; otherwise the rewind is refused. */
  readonly from: Offset;
  readonly to: Offset;
}

/**
 * Continues the batches that the sink has, in a new life of the pipeline. The batch that was open
 * is given up.
 */
export interface Adoption extends Action {
  /** The incarnation of the new life. */
  readonly newIncarnation: string;
  /** The newest batch in the sink; absent if it has none. */
  readonly newest?: BatchIdentity;
  /** The first id that neither the ledger nor the sink has used. */
  readonly nextBatchId: number;
  /** Where the next batch starts. Absent to begin at the source's initial offset. */
  readonly to?: Offset;
  /** The batch for which the source must be told that it may forget its rows. */
  readonly unacknowledged?: Unacknowledged;
  /** True if the sink cannot tell its newest batch. */
  readonly isSinkUnchecked: boolean;
}

/** Gives up the open batch: its id is committed without rows. */
export interface Skip extends Action {
  /**
   * The new plan of the batch, so that a late commit of the old plan is refused. The old one if the
   * batch has landed.
   */
  readonly planId: string | undefined;
}

/** A range that a backfill of the pipeline reads. It is taken for good when the backfill begins. */
export interface BackfillClaim extends BackfillRange {
  /** Name of the backfill, which is a pipeline of its own. */
  readonly name: string;
  /** Random id, by which the command that made the claim recognizes it. */
  readonly id: string;
}

/** Changes the claims of a pipeline's backfills, if they are still those that were looked at. */
export interface BackfillChange extends Action {
  readonly from: readonly BackfillClaim[];
  readonly to: readonly BackfillClaim[];
}

/** A manual operation as the ledger stores it. It is written in one step with the change itself. */
export interface JournalEntry extends Action {
  readonly action: "pause" | "resume" | "rewind" | "unlock" | "adopt" | "accept" | "skip" | "backfill";
  /** The offset before a rewind or an adoption; absent for other operations, like `to`. */
  readonly from?: Offset;
  readonly to?: Offset;
  /** The batch that was skipped, that paused, or after which an adoption goes on. */
  readonly batchId?: number;
}
