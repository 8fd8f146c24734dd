import type { ErrorRecord } from "../../contract/errors.ts";
import { type Offset, sameOffset } from "../../contract/offset.ts";
import { optional } from "../../contract/optional.ts";
import { boundedError } from "./bounded-error.ts";
import { ABSENT, absentOr, atMost, type Change, equal, oneOf } from "./compare-and-set.ts";
import type {
  AcquireRequest,
  Batch,
  Decision,
  Fence,
  Head,
  LedgerLimits,
  NewBatch,
  Outcome,
  PipelineIdentity,
  PlanOfAttempt,
  PlanOfStage,
} from "./ledger.ts";
import type { Pause } from "./manual-operations.ts";
import { identityOf } from "./position.ts";
import type { Unplanned } from "./records.ts";
import { conflict, tooManyItems } from "./refusals.ts";
import { type BatchState, statesBefore, TRANSITIONS } from "./states.ts";
import {
  type BatchTransition,
  batchTransition,
  fencedError,
  fencedOrMissingError,
  type HeadTransition,
  headTransition,
  heldBy,
  type JournaledTransition,
} from "./transition.ts";

/*
 * The rules of the ledger as pure functions. Each function describes one step: what the records
 * must be, and what is written. A ledger compares and sets exactly this, in one atomic step, and
 * adds no rule of its own.
 *
 * - Each acquired lease gets the next epoch. Every later step of the run compares that epoch and
 *   the incarnation, so a run that has lost the pipeline, or whose ledger was replaced by another
 *   one, cannot change anything. The lease itself only prevents duplicate work.
 * - A batch is recorded before it is read. It has the next id, starts at the head's offset, and is
 *   the only open batch.
 * - An attempt is decided once, because a decision compares the state in which it was made.
 *   `committing` also notes that the sink's commit may be tried. From then on that commit may take
 *   effect at any time.
 * - The end of a commit moves the offset, closes the batch, replaces the sink's hint and notes that
 *   the source must be told. The end of an abort leaves the batch open for its next attempt, which
 *   has the same id, start and end. If such ends do not stop, one of them pauses the pipeline.
 */

/**
 * Acquires the lease if it is free, expired or the caller's own, or if its holder is known to have
 * ended. Creates the head if there is none. The epoch grows even for the same owner, because the
 * answer to its first call may have been lost.
 */
export function acquired(request: AcquireRequest): HeadTransition {
  const { pipeline, owner, now, takeOver } = request;
  return {
    pipeline,
    head: {
      where: [
        { lease: ABSENT },
        { "lease.expiresAt": atMost(now) },
        { "lease.owner.id": equal(owner.id) },
        ...(takeOver === undefined ? [] : [heldBy(takeOver)]),
      ],
      initial: { incarnation: request.newIncarnation, nextBatchId: 0 },
      add: { epoch: 1 },
      set: { lease: { owner, expiresAt: now + request.leaseMilliseconds } },
    },
    refusal: () => undefined,
  };
}

/**
 * Releases the lease, and records why the run planned no batch, if it says so. Nothing happens if
 * the run has already lost it.
 */
export function released(fence: Fence, { idleAt, failure }: Unplanned = {}): HeadTransition {
  const set = {
    lease: undefined,
    ...(idleAt === undefined ? {} : { lastIdleAt: idleAt, planFailure: undefined }),
    ...(failure === undefined ? {} : { planFailure: { at: failure.at, error: boundedError(failure.error) } }),
  };
  return { ...headTransition(fence, {}, set), refusal: () => undefined };
}

/** Records that a run which keeps the lease found no new data. */
export function idled(fence: Fence, now: number): HeadTransition {
  return headTransition(fence, {}, { lastIdleAt: now, planFailure: undefined });
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
      {
        openBatchId: batchId,
        nextBatchId: batchId + 1,
        offset: start,
        lastPlannedAt: now,
        planFailure: undefined,
      },
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
  { partitionsKey, schema, code, tasks, planId, write, exchanges }: PlanOfAttempt = batch,
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
        code,
        tasks,
        planId,
        write,
        exchanges,
        finishedAt: undefined,
        progress: undefined,
        // Other code may be the fix.
        ...(code === batch.code ? {} : { lastingFailures: undefined }),
      },
    }),
    refusal: (current) =>
      fencedOrMissingError(fence, batchId, current) ??
      conflict(fence.pipeline, batchId, `attempt ${attempt} cannot be followed by another`),
  };
}

/**
 * Records the plan of the next stage. The plan that it replaces is compared, so that of two steps
 * at once only one plans the stage. Throws `LEDGER_CONFLICT` if there is no next stage.
 */
export function stagePlanned(
  fence: Fence,
  batch: Batch,
  { partitionsKey, tasks, write }: PlanOfStage,
): BatchTransition {
  const { batchId, attempt, exchanges } = batch;
  if (exchanges === undefined || exchanges.done === exchanges.count)
    throw conflict(fence.pipeline, batchId, "its tasks write already, so it has no next stage");
  return batchTransition(fence, batch, {
    where: [
      {
        attempt: equal(attempt),
        state: equal<BatchState>("planned"),
        partitionsKey: equal(batch.partitionsKey),
      },
    ],
    set: { partitionsKey, tasks, write, exchanges: { ...exchanges, done: exchanges.done + 1 } },
  });
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
      ...optional("error", error && boundedError(error)),
    },
  });
}

/**
 * Changes nothing but holds only while the attempt is not decided. With it, records of tasks are
 * deleted. Throws `LEDGER_CONFLICT` if the attempt is decided.
 */
export function undecided(fence: Fence, batch: Batch): BatchTransition {
  const { batchId, attempt } = batch;
  return {
    ...batchTransition(fence, batch, {
      where: [
        {
          attempt: equal(attempt),
          state: equal<BatchState>("planned"),
          partitionsKey: equal(batch.partitionsKey),
        },
      ],
      set: {},
    }),
    refusal: (current) =>
      fencedOrMissingError(fence, batchId, current) ??
      conflict(fence.pipeline, batchId, `attempt ${attempt} is decided, so its tasks stay`),
  };
}

/** Sets the error of an attempt that could not be ended, if it is still in the same state. */
export function errorRecorded(fence: Fence, batch: Batch, error: ErrorRecord): BatchTransition {
  const { attempt, state } = batch;
  return batchTransition(fence, batch, {
    where: [{ state: equal(state), attempt: equal(attempt) }],
    set: { error: boundedError(error) },
  });
}

/**
 * Ends the attempt as decided. The same step makes its quarantined rows visible, and ends those
 * that it sent again. Throws `TRANSACTION_REFUSED` if the sink has more items than the
 * ledger's transaction can write.
 */
export function finished(
  fence: Fence,
  batch: Batch,
  outcome: Outcome,
  { maxSinkItems }: Pick<LedgerLimits, "maxSinkItems">,
): BatchTransition & Partial<Pick<JournaledTransition, "entry">> {
  const { batchId, attempt, end } = batch;
  const { to, now, progress, lastCommit, lasting, sinkItems = [] } = outcome;
  if (sinkItems.length > maxSinkItems) throw tooManyItems(fence, batchId, sinkItems.length, maxSinkItems);
  const isCommit = to === "committed";
  const change: Change<Batch> = {
    where: [{ attempt: equal(attempt), state: oneOf(statesBefore(to)) }],
    set: { state: to, finishedAt: now, progress, ...(isCommit ? { error: undefined } : {}) },
  };
  if (lasting !== undefined) return abortedAgain(fence, batch, change, outcome);
  if (!isCommit) return batchTransition(fence, batch, change);
  const quarantined = progress.bad?.key === undefined ? 0 : progress.bad.rows;
  // A retry that was skipped has sent nothing.
  const kept =
    batch.isRetry && batch.skipped === undefined
      ? { quarantinedRows: quarantined || undefined, lastRetryBatchId: batchId }
      : undefined;
  const transition = batchTransition(fence, batch, change, {
    ...kept,
    offset: end,
    lastCommittedBatchId: batchId,
    openBatchId: undefined,
    unacknowledged: { batchId, end },
    lastCommit,
    lastInSink: identityOf(batch),
    isSinkUnchecked: undefined,
    planFailure: undefined,
  });
  if (kept !== undefined || quarantined === 0) return transition;
  return { ...transition, head: { ...transition.head, add: { quarantinedRows: quarantined } } };
}

/**
 * Counts an abort by an error that will not pass. The last one that the pipeline allows pauses it
 * in the same step, unless it is paused already, and the count begins anew.
 */
function abortedAgain(
  fence: Fence,
  batch: Batch,
  { where, set }: Change<Batch>,
  outcome: Outcome,
): BatchTransition & Partial<Pick<JournaledTransition, "entry">> {
  const pause = pauseBy(batch, outcome);
  const lastingFailures = pause === undefined ? failuresWith(batch) : undefined;
  const transition = batchTransition(fence, batch, { where, set: { ...set, lastingFailures } });
  if (pause === undefined) return transition;
  const { code: _code, ...action } = pause;
  return {
    ...transition,
    head: { ...transition.head, initial: { paused: pause } },
    entry: { action: "pause", ...action },
  };
}

function failuresWith({ lastingFailures = 0 }: Batch): number {
  return lastingFailures + 1;
}

/** Returns the pause by which this end of an attempt pauses the pipeline, if it does. */
export function pauseBy(batch: Batch, { now, lasting }: Outcome): Pause | undefined {
  const failures = failuresWith(batch);
  if (lasting?.pausesAfter === undefined || failures < lasting.pausesAfter) return undefined;
  const { pipeline, batchId } = batch;
  const { code } = lasting;
  const aborts = failures === 1 ? "once" : `${failures} times`;
  return {
    by: "millrace",
    at: now,
    why: `batch ${batchId} was aborted ${aborts}: ${code}; after the fix \`millrace resume ${pipeline}\`, or \`millrace skip ${pipeline}\` before it to leave its rows out`,
    batchId,
    code,
  };
}

/** Notes that the source was told about the batch. Nothing changes if that was noted before. */
export function acknowledged(fence: Fence, batchId: number): HeadTransition {
  return headTransition(fence, { "unacknowledged.batchId": equal(batchId) }, { unacknowledged: undefined });
}

/** Records what the pipeline's name stands for. */
export function identified(fence: Fence, identity: PipelineIdentity): HeadTransition {
  return headTransition(fence, {}, { identity });
}
