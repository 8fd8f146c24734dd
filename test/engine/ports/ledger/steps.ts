import { expect } from "vitest";
import { fenceOf } from "../../../../shared/engine/acquire.ts";
import type {
  AcquireRequest,
  Batch,
  Decision,
  Fence,
  Ledger,
  NewBatch,
  Outcome,
  TableWrite,
} from "../../../../shared/engine/ports/ledger.ts";
import type { BatchState } from "../../../../shared/engine/ports/states.ts";
import type { CommitClaim, RunningTask, Task, TaskKey } from "../../../../shared/engine/ports/tasks.ts";

export const ALICE = { id: "alice", description: "run alice" };
export const BOB = { id: "bob", description: "run bob" };
export const PIPELINE = "orders";
export const LEASE = 60_000;
export const FIRST: NewBatch = {
  incarnation: "life-1",
  batchId: 0,
  planId: "plan-0",
  start: { n: 0 },
  end: { n: 10 },
  partitionsKey: "batches/0/partitions.json",
  tasks: 2,
  schema: "c2NoZW1h",
  now: 1000,
};
export const WRITE: TableWrite = {
  factory: { path: "a", columns: ["n"] },
  isCoordinated: true,
  inputPartitions: 2,
  plannedAt: 900,
};
export const PROGRESS = { rows: 10, bytes: 80 };
export const MEASURED = {
  ...PROGRESS,
  metrics: { "files that were written": "3" },
  trigger: {
    runId: "alice",
    startedAt: 900,
    sincePrevious: 60_000,
    durationMs: { latestOffset: 12, queryPlanning: 3, walCommit: 7, addBatch: 900, triggerExecution: 1100 },
    source: "rest-api",
    sink: "arrow-table",
  },
};
export const KEY: TaskKey = {
  pipeline: PIPELINE,
  incarnation: "life-1",
  batchId: 0,
  attempt: 1,
  partition: 0,
};
export const TASK: Task = {
  partition: 0,
  message: { path: "a.arrow" },
  rows: 5,
  bytes: 40,
  milliseconds: 12,
  attemptNumber: 0,
  writerId: "writer-1",
  recordedAt: 1500,
};
export const CLAIM: CommitClaim = { writerId: "writer-1", attemptNumber: 0, epoch: 3, expiresAt: 9000 };
export const RUNNING: RunningTask = {
  partition: 0,
  attemptNumber: 0,
  startedAt: 1000,
  rows: 33,
  bytes: 0,
  waitsFor: "source",
  progressedAt: 4000,
  reportedAt: 11_000,
};

/**
 * Options of the suite. `forgetsByItself` is true if the ledger's tasks expire by a time to live.
 */
export interface LedgerOptions {
  readonly forgetsByItself?: boolean;
}

/** Returns the steps with which tests bring the open ledger into a state. */
export function stepsOf(ledger: () => Ledger) {
  /** Returns the current batch with another attempt or state, as an earlier run saw it. */
  async function seen(batchId: number, attempt: number, state?: BatchState): Promise<Batch> {
    const { now, ...first } = FIRST;
    const stub = { ...first, pipeline: PIPELINE, lastTriedAttempt: 0, plannedAt: now, firstPlannedAt: now };
    const batch = (await ledger().batch(PIPELINE, batchId)) ?? {
      ...stub,
      batchId,
      attempt,
      state: "planned",
    };
    return { ...batch, attempt, ...(state === undefined ? {} : { state }) };
  }
  const decide = async (by: Fence, d: Decision & { batchId: number; attempt: number; from: BatchState }) =>
    ledger().decide(by, await seen(d.batchId, d.attempt, d.from), d);
  const finish = async (by: Fence, o: Outcome & { batchId: number; attempt: number }) =>
    ledger().finish(by, await seen(o.batchId, o.attempt), o);
  const replan = async (by: Fence, batchId: number, attempt: number, now: number) =>
    ledger().replan(by, await seen(batchId, attempt), now);

  const acquire = (overrides: Partial<AcquireRequest> = {}) =>
    ledger().acquire({
      pipeline: PIPELINE,
      owner: ALICE,
      now: 1000,
      leaseMilliseconds: LEASE,
      newIncarnation: "life-1",
      ...overrides,
    });

  async function fence(overrides: Partial<AcquireRequest> = {}): Promise<Fence> {
    const { acquired, head } = await acquire(overrides);
    expect(acquired).toBe(true);
    return fenceOf(head);
  }

  /** Returns a fence whose epoch is over, because another run has taken the pipeline over. */
  async function lostFence(): Promise<Fence> {
    const lost = await fence();
    await fence({ owner: BOB, now: 1000 + LEASE });
    return lost;
  }

  async function planned(): Promise<{ fence: Fence; batch: Batch }> {
    const mine = await fence();
    return { fence: mine, batch: await ledger().plan(mine, FIRST) };
  }

  async function committed(): Promise<Fence> {
    const { fence: mine } = await planned();
    await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
    await finish(mine, { batchId: 0, attempt: 1, to: "committed", progress: PROGRESS, now: 2000 });
    return mine;
  }

  return { decide, finish, replan, acquire, fence, lostFence, planned, committed };
}
