import type { MillraceError } from "../../contract/errors.ts";
import { optional } from "../../contract/optional.ts";
import { ABSENT, applyChange, type Change, equal, PRESENT, type Where } from "./compare-and-set.ts";
import type { Batch, Fence, Head } from "./ledger.ts";
import type { Action, Adoption, BackfillChange, JournalEntry, Rewind, Skip } from "./manual-operations.ts";
import { conflict, findRewindProblem, holderChanged, unknownPipeline } from "./refusals.ts";
import {
  type BatchTransition,
  batchTransition,
  fencedError,
  fencedOrMissingError,
  type HeadFields,
  heldBy,
  type JournaledTransition,
} from "./transition.ts";

/*
 * The rules of manual operations, in the form of transitions.ts. Each adds an entry to the journal
 * in the same step.
 *
 * - A rewind requires that no batch is open and that the offset is still the one that the person
 *   saw. Batch ids continue. An acknowledgement that is due is dropped, because the source is asked
 *   for its rows again.
 * - An adoption begins a new life after the newest batch in the sink. Its batch ids are above those
 *   of the ledger and of the sink.
 * - A skip starts an attempt without tasks, under a new plan id. Committing it uses up the batch's
 *   id in the sink, so that a late commit of the old plan is refused.
 */

/** Pauses the pipeline from the next plan on. Needs no lease. */
export function paused(pipeline: string, action: Action): JournaledTransition {
  return manualTransition(pipeline, {}, { paused: action }, { action: "pause", ...action });
}

/** Ends a pause. Needs no lease. */
export function resumed(pipeline: string, action: Action): JournaledTransition {
  return manualTransition(pipeline, {}, { paused: undefined }, { action: "resume", ...action });
}

/**
 * Moves the offset while no batch is open, if it is still the offset that the person saw. The sink
 * may have been emptied for it, so its newest batch is not compared with the ledger's. `lastCommit`
 * may name what was there before.
 */
export function rewound(fence: Fence, rewind: Rewind): JournaledTransition {
  return manualTransition(
    fence.pipeline,
    { ...heldBy(fence), openBatchId: ABSENT, offset: equal(rewind.from) },
    { offset: rewind.to, unacknowledged: undefined, lastCommit: undefined, isSinkUnchecked: true },
    { action: "rewind", ...rewind },
    (head) => findRewindProblem(fence, rewind, head),
  );
}

/**
 * Forgets what the name stood for. The next run may have another sink, which lacks the batches of
 * the last one.
 */
export function accepted(pipeline: string, action: Action): JournaledTransition {
  const set = { identity: undefined, lastCommit: undefined, isSinkUnchecked: true };
  return manualTransition(pipeline, {}, set, { action: "accept", ...action });
}

/** Sets the claims of backfills, if they are still those that were looked at. Needs no lease. */
export function backfillsSet(pipeline: string, change: BackfillChange): JournaledTransition {
  const { from, to, by, why, at } = change;
  return manualTransition(
    pipeline,
    { backfills: from.length === 0 ? ABSENT : equal(from) },
    { backfills: to.length === 0 ? undefined : to },
    { action: "backfill", by, at, ...optional("why", why) },
    (head) => conflict(pipeline, head.nextBatchId, "its backfills have changed since they were looked at"),
  );
}

/**
 * Begins a new life after the newest batch in the sink. Its source may forget what the sink has, so
 * that batch is due to be acknowledged.
 */
export function adopted(
  fence: Fence,
  head: Head,
  adoption: Adoption,
  open: Batch | undefined,
): JournaledTransition & Partial<Pick<BatchTransition, "batch">> {
  const { newIncarnation, newest, nextBatchId, to, unacknowledged, isSinkUnchecked, by, why, at } = adoption;
  const former = [...(head.formerIncarnations ?? []), head.incarnation, newest?.incarnation];
  const set: Change<Head>["set"] = {
    incarnation: newIncarnation,
    formerIncarnations: [...new Set(former.filter((one) => one !== undefined))],
    nextBatchId,
    offset: to,
    openBatchId: undefined,
    lastInSink: newest,
    isSinkUnchecked: isSinkUnchecked || undefined,
    lastCommittedBatchId: newest?.batchId,
    lastCommit: undefined,
    unacknowledged,
  };
  const entry: JournalEntry = {
    action: "adopt",
    by,
    at,
    ...optional("why", why),
    ...optional("from", head.offset),
    ...optional("to", to),
    ...optional("batchId", newest?.batchId),
  };
  const { openBatchId } = head;
  const isOpen = { openBatchId: openBatchId === undefined ? ABSENT : equal(openBatchId) };
  return {
    ...manualTransition(
      fence.pipeline,
      { ...heldBy(fence), ...isOpen },
      set,
      entry,
      (current) =>
        fencedError(fence, current) ??
        conflict(fence.pipeline, current.openBatchId ?? nextBatchId, "it has changed since it was shown"),
    ),
    ...(open === undefined ? {} : { batch: givenUp(open, adoption) }),
  };
}

/** The end of a batch that nobody will finish. */
function givenUp(open: Batch, { at, by }: Action): BatchTransition["batch"] {
  const message = `given up: ${by} went on after the newest batch in the sink`;
  const change: Change<Batch> = {
    where: [{ attempt: equal(open.attempt) }],
    set: {
      state: "aborted",
      finishedAt: at,
      error: {
        code: "BATCH_ABORTED",
        message,
        where: { pipeline: open.pipeline, batchId: open.batchId, attempt: open.attempt },
      },
    },
  };
  return { change, after: applyChange(change, open) };
}

/**
 * Starts an attempt of the open batch that has no tasks and a new plan id, in whatever state the
 * batch is.
 */
export function skipped(fence: Fence, batch: Batch, skip: Skip): BatchTransition & JournaledTransition {
  const { pipeline } = fence;
  const { batchId, attempt } = batch;
  const { planId, by, why, at } = skip;
  const action: Action = { by, at, ...optional("why", why) };
  return {
    ...batchTransition(fence, batch, {
      where: [{ attempt: equal(attempt), state: equal(batch.state) }],
      set: {
        attempt: attempt + 1,
        state: "planned",
        tasks: 0,
        planId,
        skipped: action,
        exchanges: undefined,
        plannedAt: at,
        finishedAt: undefined,
        progress: undefined,
      },
    }),
    head: { where: [{ ...heldBy(fence), openBatchId: equal(batchId) }], set: {} },
    entry: { action: "skip", batchId, ...action },
    refusal: (current) =>
      fencedOrMissingError(fence, batchId, current) ??
      conflict(pipeline, batchId, "it has changed since it was shown"),
  };
}

/**
 * Takes the lease away from the holder of this epoch. That run can then change nothing in the
 * ledger.
 */
export function unlocked(fence: Fence, action: Action): JournaledTransition {
  const { pipeline, epoch } = fence;
  const set = { epoch: epoch + 1, lease: undefined };
  return manualTransition(pipeline, heldBy(fence), set, { action: "unlock", ...action }, (head) =>
    holderChanged(fence, head),
  );
}

/** A manual operation. It is not conditional on a lease, but the pipeline must exist. */
function manualTransition(
  pipeline: string,
  where: Where<HeadFields>,
  set: Change<Head>["set"],
  entry: JournalEntry,
  problem: (head: Head) => MillraceError | undefined = () => undefined,
): JournaledTransition {
  return {
    pipeline,
    head: { where: [{ epoch: PRESENT, ...where }], set },
    entry,
    refusal: ({ head }) => (head === undefined ? unknownPipeline(pipeline) : problem(head)),
  };
}
