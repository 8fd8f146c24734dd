import type { MillraceError } from "../../contract/errors.ts";
import { type Offset, sameOffset } from "../../contract/offset.ts";
import { optional } from "../../contract/optional.ts";
import {
  ABSENT,
  absentOr,
  atMost,
  type Change,
  changed,
  equal,
  holds,
  oneOf,
  PRESENT,
  type Where,
} from "./compare-and-set.ts";
import type {
  AcquireRequest,
  Action,
  Batch,
  Decision,
  Fence,
  Head,
  JournalEntry,
  LedgerLimits,
  NewBatch,
  Outcome,
  PlanOfAttempt,
  Rewind,
} from "./ledger.ts";
import {
  conflict,
  fenced,
  findRewindProblem,
  holderChanged,
  tooManyItems,
  unknownPipeline,
} from "./refusals.ts";
import { type BatchState, statesBefore, TRANSITIONS } from "./states.ts";

/*
 * The protocol of the ledger: for each of its steps, what the records must be and what becomes of
 * them. An adapter compares and sets what it finds here, all of it in one atomic step, and knows no
 * rule of its own.
 *
 * - Whoever acquires a pipeline takes the next epoch. Each later step of the run compares that
 *   epoch, so that a run that has lost the pipeline can change nothing. The lease only saves work.
 * - A batch is recorded before it is read. It has the next id, starts at the head's offset, and is
 *   the only one that is open.
 * - An attempt of a batch is decided once: a decision compares the state in which it was taken.
 *   `committing` notes that the sink's commit may be tried, and so may take effect at any later
 *   time.
 * - The end of a commit moves the offset, closes the batch, replaces the sink's hint and leaves the
 *   source's acknowledgement to do. The end of an abort leaves the batch open for its next attempt,
 *   which has the same id, start and end.
 * - What a person does is journaled in the same step. A rewind needs that no batch is open and that
 *   the offset is the one that the person saw; ids go on.
 */

/** What may be compared of a head. */
export interface HeadFields extends Head {
  readonly "lease.owner.id": string;
  readonly "lease.expiresAt": number;
  readonly "unacknowledged.batchId": number;
}

/** The records that a transition was refused for, as far as they are there. */
export interface There {
  readonly head: Head | undefined;
  readonly batch?: Batch | undefined;
}

/** One atomic step: each comparison holds and all is set, or nothing is. */
export interface HeadTransition {
  readonly pipeline: string;
  readonly head: Change<Head, HeadFields>;
  /** The error of a failed comparison; `undefined` if the caller goes on from what is there. */
  refusal(there: There): MillraceError | undefined;
}

/** Made by a person. */
export interface JournaledTransition extends HeadTransition {
  /** Is added to the journal. */
  readonly entry: JournalEntry;
}

export interface BatchTransition extends HeadTransition {
  readonly batch: {
    /** What is compared and set; absent for a new batch, whose id must not be there. */
    readonly change?: Change<Batch>;
    /** The batch as it is afterwards. */
    readonly after: Batch;
  };
}

/** Any of them. */
export type Transition = HeadTransition & Partial<Pick<JournaledTransition, "entry"> & BatchTransition>;

/** True if each comparison of the transition holds. */
export function allows({ head, batch }: Transition, there: There): boolean {
  if (!holds(head.where, there.head)) return false;
  if (batch === undefined) return true;
  return batch.change === undefined ? there.batch === undefined : holds(batch.change.where, there.batch);
}

/**
 * Takes the lease if it is free, over, the caller's own, or its holder is known to have ended, and
 * makes the head if there is none. The epoch grows even for the same owner: the answer of its first
 * call may be lost.
 */
export function acquired(request: AcquireRequest): HeadTransition {
  const { pipeline, owner, now, takeOverEpoch } = request;
  return {
    pipeline,
    head: {
      where: [
        { lease: ABSENT },
        { "lease.expiresAt": atMost(now) },
        { "lease.owner.id": equal(owner.id) },
        ...(takeOverEpoch === undefined ? [] : [{ epoch: equal(takeOverEpoch) }]),
      ],
      initial: { incarnation: request.newIncarnation, nextBatchId: 0 },
      add: { epoch: 1 },
      set: { lease: { owner, expiresAt: now + request.leaseMilliseconds } },
    },
    refusal: () => undefined,
  };
}

/** Gives the lease back; one that was lost is not this run's to give. */
export function released(fence: Fence): HeadTransition {
  return { ...ofHead(fence, {}, { lease: undefined }), refusal: () => undefined };
}

/** Keeps the first offset, and no later one. */
export function initialized(fence: Fence, offset: Offset): HeadTransition {
  return ofHead(fence, { offset: ABSENT }, { offset });
}

/** Records the next batch and opens it. */
export function planned(fence: Fence, batch: NewBatch): BatchTransition {
  const { now, ...plan } = batch;
  const { batchId, start } = batch;
  return {
    ...ofHead(
      fence,
      { openBatchId: ABSENT, nextBatchId: equal(batchId), offset: absentOr(start) },
      { openBatchId: batchId, nextBatchId: batchId + 1, offset: start, lastPlannedAt: now },
    ),
    batch: {
      after: {
        ...plan,
        pipeline: fence.pipeline,
        attempt: 1,
        state: "planned",
        lastTriedAttempt: 0,
        plannedAt: now,
        firstPlannedAt: now,
      },
    },
    refusal: ({ head }) => lost(fence, head) ?? conflict(fence.pipeline, batchId, planProblem(batch, head)),
  };
}

function planProblem({ batchId, start }: NewBatch, head: Head | undefined): string {
  if (head?.openBatchId !== undefined) return `batch ${head.openBatchId} is open`;
  if (head?.nextBatchId !== batchId) return `the next batch is ${head?.nextBatchId}`;
  if (head.offset !== undefined && !sameOffset(head.offset, start))
    return "it does not start where the batch before it ended";
  return "the ledger has one of this id already";
}

/**
 * Begins the next attempt of a batch that was aborted, or that was planned for so long that its
 * tasks are forgotten. It knows which attempts had their commit tried, and why the last one was
 * aborted.
 */
export function replanned(
  fence: Fence,
  batch: Batch,
  now: number,
  { partitionsKey, schema }: PlanOfAttempt = batch,
): BatchTransition {
  const { batchId, attempt } = batch;
  return {
    ...ofBatch(fence, batch, {
      where: [{ attempt: equal(attempt), state: oneOf<BatchState>(["aborted", "planned"]) }],
      set: {
        attempt: attempt + 1,
        state: "planned",
        plannedAt: now,
        partitionsKey,
        schema,
        finishedAt: undefined,
        progress: undefined,
      },
    }),
    refusal: (there) =>
      lostOrMissing(fence, batchId, there) ??
      conflict(fence.pipeline, batchId, `attempt ${attempt} cannot be followed by another`),
  };
}

/**
 * Chooses between commit and abort, in the state in which the caller saw the batch. Error:
 * `LEDGER_CONFLICT` for a decision that no batch of this state can come to.
 */
export function decided(fence: Fence, batch: Batch, { to, error }: Decision): BatchTransition {
  const { batchId, attempt, state } = batch;
  if (!TRANSITIONS[state].includes(to))
    throw conflict(fence.pipeline, batchId, `it is ${state}, and cannot become ${to}`);
  return ofBatch(fence, batch, {
    where: [{ attempt: equal(attempt), state: equal(state) }],
    set: {
      state: to,
      ...(to === "committing" ? { lastTriedAttempt: attempt } : {}),
      ...optional("error", error),
    },
  });
}

/**
 * Ends the attempt as it was decided. Error: `TRANSACTION_REFUSED` if the sink has more items than
 * the ledger's transaction takes.
 */
export function finished(
  fence: Fence,
  batch: Batch,
  outcome: Outcome,
  { joinedItems }: LedgerLimits,
): BatchTransition {
  const { batchId, attempt, end } = batch;
  const { to, now, progress, lastCommit, join = [] } = outcome;
  if (join.length > joinedItems) throw tooManyItems(fence, batchId, join.length, joinedItems);
  const isCommit = to === "committed";
  const change: Change<Batch> = {
    where: [{ attempt: equal(attempt), state: oneOf(statesBefore(to)) }],
    set: { state: to, finishedAt: now, progress, ...(isCommit ? { error: undefined } : {}) },
  };
  if (!isCommit) return ofBatch(fence, batch, change);
  return ofBatch(fence, batch, change, {
    offset: end,
    lastCommittedBatchId: batchId,
    openBatchId: undefined,
    unacknowledged: { batchId, end },
    lastCommit,
  });
}

/** Notes that the source knows of the batch. Nothing is left to do if it was noted before. */
export function acknowledged(fence: Fence, batchId: number): HeadTransition {
  return ofHead(fence, { "unacknowledged.batchId": equal(batchId) }, { unacknowledged: undefined });
}

/** Keeps runs from their next plan. Needs no lease. */
export function paused(pipeline: string, action: Action): JournaledTransition {
  return byHand(pipeline, {}, { paused: action }, { action: "pause", ...action });
}

/** Lets runs plan again. Needs no lease. */
export function resumed(pipeline: string, action: Action): JournaledTransition {
  return byHand(pipeline, {}, { paused: undefined }, { action: "resume", ...action });
}

/** Moves the offset between two batches, from where the person saw it. */
export function rewound(fence: Fence, rewind: Rewind): JournaledTransition {
  const where = { epoch: equal(fence.epoch), openBatchId: ABSENT, offset: equal(rewind.from) };
  return byHand(fence.pipeline, where, { offset: rewind.to }, { action: "rewind", ...rewind }, (head) =>
    findRewindProblem(fence, rewind, head),
  );
}

/** Takes the lease from the holder of this epoch, who can change nothing from then on. */
export function unlocked(fence: Fence, action: Action): JournaledTransition {
  const { pipeline, epoch } = fence;
  const set = { epoch: epoch + 1, lease: undefined };
  return byHand(pipeline, { epoch: equal(epoch) }, set, { action: "unlock", ...action }, (head) =>
    holderChanged(fence, head),
  );
}

/** A step of a run that concerns the head. */
function ofHead(fence: Fence, where: Where<HeadFields>, set: Change<Head>["set"]): HeadTransition {
  return {
    pipeline: fence.pipeline,
    head: { where: [{ epoch: equal(fence.epoch), ...where }], set },
    refusal: ({ head }) => lost(fence, head),
  };
}

/** A step of a run that concerns a batch. Who comes late goes on from the batch that is there. */
function ofBatch(
  fence: Fence,
  batch: Batch,
  change: Change<Batch>,
  head: Change<Head>["set"] = {},
): BatchTransition {
  return {
    ...ofHead(fence, {}, head),
    batch: { change, after: changed(change, batch) },
    refusal: (there) => lostOrMissing(fence, batch.batchId, there),
  };
}

/** A step of a person, who may act on any pipeline that is there. */
function byHand(
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

/** The error of a step whose run has lost the pipeline. */
function lost(fence: Fence, head: Head | undefined): MillraceError | undefined {
  return head?.epoch === fence.epoch ? undefined : fenced(fence, head);
}

/** The error of a step whose run has lost the pipeline, or whose batch is not there. */
function lostOrMissing(fence: Fence, batchId: number, { head, batch }: There): MillraceError | undefined {
  const missing = () =>
    batch === undefined ? conflict(fence.pipeline, batchId, "there is no such batch") : undefined;
  return lost(fence, head) ?? missing();
}
