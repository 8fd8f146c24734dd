import { type BatchIdentity, UNKNOWN_PLAN } from "../../contract/batch-identity.ts";
import type { Batch, BatchRun, Head, SinkPosition } from "./ledger.ts";

/** Returns what the sink must have, according to the ledger. */
export function positionOf(head: Head): SinkPosition {
  const { pipeline: _pipeline, incarnation, lastInSink, lastCommittedBatchId, ...rest } = head;
  const { isSinkUnchecked: isRewound, formerIncarnations } = rest;
  // Older versions recorded only the id.
  const follows = lastInSink ?? unplanned(incarnation, lastCommittedBatchId);
  return {
    ...(follows === undefined ? {} : { follows }),
    ...(isRewound === undefined ? {} : { isRewound }),
    ...(formerIncarnations === undefined ? {} : { formerIncarnations }),
  };
}

/** Returns the position for a run that an older version started: ids went up by one. */
export function positionOfRun({
  position,
  incarnation,
  batchId,
}: Pick<BatchRun, "position" | "incarnation" | "batchId">): SinkPosition {
  if (position !== undefined) return position;
  const follows = unplanned(incarnation, batchId === 0 ? undefined : batchId - 1);
  return follows === undefined ? {} : { follows };
}

function unplanned(incarnation: string, batchId: number | undefined): BatchIdentity | undefined {
  return batchId === undefined ? undefined : { incarnation, batchId, planId: UNKNOWN_PLAN };
}

/** Returns what identifies a batch. Batches of older versions have no plan id. */
export function identityOf({
  incarnation,
  batchId,
  planId = UNKNOWN_PLAN,
}: Pick<Batch, "incarnation" | "batchId" | "planId">): BatchIdentity {
  return { incarnation, batchId, planId };
}
