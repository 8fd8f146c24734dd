import type { MillraceError } from "../../contract/errors.ts";
import { applyChange, type Change, equal, holds, type Where } from "./compare-and-set.ts";
import type { Batch, Fence, Head } from "./ledger.ts";
import type { JournalEntry } from "./manual-operations.ts";
import { conflict, fenced, isHeldBy } from "./refusals.ts";

/** The fields of a head that a transition can compare, including nested ones. */
export interface HeadFields extends Head {
  readonly "lease.owner.id": string;
  readonly "lease.expiresAt": number;
  readonly "unacknowledged.batchId": number;
}

/** The current records, from which a failed transition derives its error. */
export interface CurrentRecords {
  readonly head: Head | undefined;
  readonly batch?: Batch | undefined;
}

/**
 * A change of the ledger in one atomic step. If all comparisons hold, everything is set; otherwise
 * nothing is.
 */
export interface HeadTransition {
  readonly pipeline: string;
  readonly head: Change<Head, HeadFields>;
  /**
   * Returns the error for a failed comparison, or `undefined` if the caller continues with the
   * current records.
   */
  refusal(current: CurrentRecords): MillraceError | undefined;
}

/** A manual operation on a pipeline. */
export interface JournaledTransition extends HeadTransition {
  /** The entry that is added to the journal. */
  readonly entry: JournalEntry;
}

export interface BatchTransition extends HeadTransition {
  readonly batch: {
    /** The fields to compare and to set. Absent for a new batch, whose id must not exist yet. */
    readonly change?: Change<Batch>;
    /** The batch after the step. */
    readonly after: Batch;
  };
}

/** A transition of any kind. */
export type Transition = HeadTransition & Partial<Pick<JournaledTransition, "entry"> & BatchTransition>;

/** True if all comparisons of the transition hold. */
export function allows({ head, batch }: Transition, current: CurrentRecords): boolean {
  if (!holds(head.where, current.head)) return false;
  if (batch === undefined) return true;
  return batch.change === undefined ? current.batch === undefined : holds(batch.change.where, current.batch);
}

/** A transition of a run that changes the head. */
export function headTransition(
  fence: Fence,
  where: Where<HeadFields>,
  set: Change<Head>["set"],
): HeadTransition {
  return {
    pipeline: fence.pipeline,
    head: { where: [{ ...heldBy(fence), ...where }], set },
    refusal: ({ head }) => fencedError(fence, head),
  };
}

/**
 * A transition of a run that changes a batch and perhaps the head. If only the comparison of the
 * batch fails, the caller continues with the current batch.
 */
export function batchTransition(
  fence: Fence,
  batch: Batch,
  change: Change<Batch>,
  head: Change<Head>["set"] = {},
): BatchTransition {
  return {
    ...headTransition(fence, {}, head),
    batch: { change, after: applyChange(change, batch) },
    refusal: (current) => fencedOrMissingError(fence, batch.batchId, current),
  };
}

/** The comparison that holds if nobody has acquired the pipeline since, in this life. */
export function heldBy({ incarnation, epoch }: Fence): Where<HeadFields> {
  return { incarnation: equal(incarnation), epoch: equal(epoch) };
}

/** Returns `FENCED` if the run no longer holds the pipeline, otherwise `undefined`. */
export function fencedError(fence: Fence, head: Head | undefined): MillraceError | undefined {
  return isHeldBy(fence, head) ? undefined : fenced(fence, head);
}

/**
 * Returns the error if the run no longer holds the pipeline or the batch does not exist, otherwise
 * `undefined`.
 */
export function fencedOrMissingError(
  fence: Fence,
  batchId: number,
  { head, batch }: CurrentRecords,
): MillraceError | undefined {
  const missing = () =>
    batch === undefined ? conflict(fence.pipeline, batchId, "there is no such batch") : undefined;
  return fencedError(fence, head) ?? missing();
}
