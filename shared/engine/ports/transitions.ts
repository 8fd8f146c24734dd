import type { ErrorRecord, MillraceError } from "../../contract/errors.ts";
import { type Offset, sameOffset } from "../../contract/offset.ts";
import { optional } from "../../contract/optional.ts";
import {
  ABSENT,
  absentOr,
  applyChange,
  atMost,
  type Change,
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
 * The rules of the ledger as pure functions. Each function describes one step: what the records
 * must be, and what is written. A ledger compares and sets exactly this, in one atomic step, and
 * adds no rule of its own.
 *
 * - Each acquired lease gets the next epoch. Every later step of the run compares that epoch, so a
 *   run that has lost the pipeline cannot change anything. The lease itself only prevents duplicate
 *   work.
 * - A batch is recorded before it is read. It has the next id, starts at the head's offset, and is
 *   the only open batch.
 * - An attempt is decided once, because a decision compares the state in which it was made.
 *   `committing` also notes that the sink's commit may be tried. From then on that commit may take
 *   effect at any time.
 * - The end of a commit moves the offset, closes the batch, replaces the sink's hint and notes that
 *   the source must be told. The end of an abort leaves the batch open for its next attempt, which
 *   has the same id, start and end.
 * - A manual operation is added to the journal in the same step. A rewind requires that no batch is
 *   open and that the offset is still the one that the person saw. Batch ids continue.
 */

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

/**
 * Acquires the lease if it is free, expired or the caller's own, or if its holder is known to have
 * ended. Creates the head if there is none. The epoch grows even for the same owner, because the
 * answer to its first call may have been lost.
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

/** Releases the lease. Nothing happens if the run has already lost it. */
export function released(fence: Fence): HeadTransition {
  return { ...headTransition(fence, {}, { lease: undefined }), refusal: () => undefined };
}

/** Sets the first offset, if the pipeline has none yet. */
export function initialized(fence: Fence, offset: Offset): HeadTransition {
  return headTransition(fence, { offset: ABSENT }, { offset });
}

/** Records the next batch and opens it. */
export function planned(fence: Fence, batch: NewBatch): BatchTransition {
  const { now, ...plan } = batch;
  const { batchId, start } = batch;
  return {
    ...headTransition(
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
    refusal: ({ head }) =>
      fencedError(fence, head) ?? conflict(fence.pipeline, batchId, planProblem(batch, head)),
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
 * Starts the next attempt of a batch that was aborted, or that was planned so long ago that its
 * task records have expired. `lastTriedAttempt` and the error of the last attempt are kept.
 */
export function replanned(
  fence: Fence,
  batch: Batch,
  now: number,
  { partitionsKey, schema }: PlanOfAttempt = batch,
): BatchTransition {
  const { batchId, attempt } = batch;
  return {
    ...batchTransition(fence, batch, {
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
    refusal: (current) =>
      fencedOrMissingError(fence, batchId, current) ??
      conflict(fence.pipeline, batchId, `attempt ${attempt} cannot be followed by another`),
  };
}

/**
 * Decides between commit and abort, if the batch is still in the state that the caller saw. Throws
 * `LEDGER_CONFLICT` if `to` cannot follow that state.
 */
export function decided(fence: Fence, batch: Batch, { to, error }: Decision): BatchTransition {
  const { batchId, attempt, state } = batch;
  if (!TRANSITIONS[state].includes(to))
    throw conflict(fence.pipeline, batchId, `it is ${state}, and cannot become ${to}`);
  return batchTransition(fence, batch, {
    where: [{ attempt: equal(attempt), state: equal(state) }],
    set: {
      state: to,
      ...(to === "committing" ? { lastTriedAttempt: attempt } : {}),
      ...optional("error", error),
    },
  });
}

/** Sets the error of an attempt that could not be ended, if it is still in the same state. */
export function errorRecorded(fence: Fence, batch: Batch, error: ErrorRecord): BatchTransition {
  const { attempt, state } = batch;
  return batchTransition(fence, batch, {
    where: [{ state: equal(state), attempt: equal(attempt) }],
    set: { error },
  });
}

/**
 * Ends the attempt as decided. Throws `TRANSACTION_REFUSED` if the sink has more items than the
 * ledger's transaction can write.
 */
export function finished(
  fence: Fence,
  batch: Batch,
  outcome: Outcome,
  { maxSinkItems }: LedgerLimits,
): BatchTransition {
  const { batchId, attempt, end } = batch;
  const { to, now, progress, lastCommit, sinkItems = [] } = outcome;
  if (sinkItems.length > maxSinkItems) throw tooManyItems(fence, batchId, sinkItems.length, maxSinkItems);
  const isCommit = to === "committed";
  const change: Change<Batch> = {
    where: [{ attempt: equal(attempt), state: oneOf(statesBefore(to)) }],
    set: { state: to, finishedAt: now, progress, ...(isCommit ? { error: undefined } : {}) },
  };
  if (!isCommit) return batchTransition(fence, batch, change);
  return batchTransition(fence, batch, change, {
    offset: end,
    lastCommittedBatchId: batchId,
    openBatchId: undefined,
    unacknowledged: { batchId, end },
    lastCommit,
  });
}

/** Notes that the source was told about the batch. Nothing changes if that was noted before. */
export function acknowledged(fence: Fence, batchId: number): HeadTransition {
  return headTransition(fence, { "unacknowledged.batchId": equal(batchId) }, { unacknowledged: undefined });
}

/** Pauses the pipeline from the next plan on. Needs no lease. */
export function paused(pipeline: string, action: Action): JournaledTransition {
  return manualTransition(pipeline, {}, { paused: action }, { action: "pause", ...action });
}

/** Ends a pause. Needs no lease. */
export function resumed(pipeline: string, action: Action): JournaledTransition {
  return manualTransition(pipeline, {}, { paused: undefined }, { action: "resume", ...action });
}

/** Moves the offset while no batch is open, if it is still the offset that the person saw. */
export function rewound(fence: Fence, rewind: Rewind): JournaledTransition {
  const where = { epoch: equal(fence.epoch), openBatchId: ABSENT, offset: equal(rewind.from) };
  return manualTransition(
    fence.pipeline,
    where,
    { offset: rewind.to },
    { action: "rewind", ...rewind },
    (head) => findRewindProblem(fence, rewind, head),
  );
}

/**
 * Takes the lease away from the holder of this epoch. That run can then change nothing in the
 * ledger.
 */
export function unlocked(fence: Fence, action: Action): JournaledTransition {
  const { pipeline, epoch } = fence;
  const set = { epoch: epoch + 1, lease: undefined };
  return manualTransition(pipeline, { epoch: equal(epoch) }, set, { action: "unlock", ...action }, (head) =>
    holderChanged(fence, head),
  );
}

/** A transition of a run that changes the head. */
function headTransition(fence: Fence, where: Where<HeadFields>, set: Change<Head>["set"]): HeadTransition {
  return {
    pipeline: fence.pipeline,
    head: { where: [{ epoch: equal(fence.epoch), ...where }], set },
    refusal: ({ head }) => fencedError(fence, head),
  };
}

/**
 * A transition of a run that changes a batch and perhaps the head. If only the comparison of the
 * batch fails, the caller continues with the current batch.
 */
function batchTransition(
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

/** Returns `FENCED` if the run no longer holds the pipeline, otherwise `undefined`. */
function fencedError(fence: Fence, head: Head | undefined): MillraceError | undefined {
  return head?.epoch === fence.epoch ? undefined : fenced(fence, head);
}

/**
 * Returns the error if the run no longer holds the pipeline or the batch does not exist, otherwise
 * `undefined`.
 */
function fencedOrMissingError(
  fence: Fence,
  batchId: number,
  { head, batch }: CurrentRecords,
): MillraceError | undefined {
  const missing = () =>
    batch === undefined ? conflict(fence.pipeline, batchId, "there is no such batch") : undefined;
  return fencedError(fence, head) ?? missing();
}
