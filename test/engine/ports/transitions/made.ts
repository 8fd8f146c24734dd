import { expect } from "vitest";
import { applyChange } from "../../../../shared/engine/ports/compare-and-set.ts";
import type { Batch, Fence, Head, NewBatch } from "../../../../shared/engine/ports/ledger.ts";
import { allows, type CurrentRecords, type Transition } from "../../../../shared/engine/ports/transition.ts";

export const ALICE = { id: "alice", description: "run alice" };
export const FENCE: Fence = { pipeline: "orders", incarnation: "life-1", epoch: 4 };
export const LOST: Fence = { pipeline: "orders", incarnation: "life-1", epoch: 3 };
export const ACTION = { by: "ann@desk", at: 5000 };
export const PROGRESS = { rows: 10, bytes: 80 };
export const NO_ITEMS = { messageBytes: 100, maxSinkItems: 0 };

export const HEAD: Head = {
  pipeline: "orders",
  incarnation: "life-1",
  epoch: 4,
  lease: { owner: ALICE, expiresAt: 9000 },
  nextBatchId: 7,
  offset: { n: 60 },
  lastCommittedBatchId: 6,
};
export const PLAN: NewBatch = {
  incarnation: "life-1",
  batchId: 7,
  planId: "plan-7",
  start: { n: 60 },
  end: { n: 70 },
  partitionsKey: "batches/7/partitions.json",
  tasks: 2,
  schema: "c2NoZW1h",
  now: 1000,
};
const { now: _now, ...RECORDED } = PLAN;
export const BATCH: Batch = {
  ...RECORDED,
  pipeline: "orders",
  attempt: 2,
  state: "planned",
  lastTriedAttempt: 1,
  plannedAt: 900,
  firstPlannedAt: 800,
};
/** The head of the pipeline while batch 7 is open. */
export const OPEN: Head = { ...HEAD, openBatchId: 7, nextBatchId: 8 };

/** Applies a transition as an adapter does. */
export function make(
  transition: Transition,
  there: CurrentRecords,
): CurrentRecords & { readonly made: boolean } {
  if (!allows(transition, there)) {
    const refusal = transition.refusal(there);
    if (refusal !== undefined) throw refusal;
    return { ...there, made: false };
  }
  const { pipeline, head, batch } = transition;
  return { made: true, head: applyChange(head, there.head ?? { pipeline }), batch: batch?.after };
}

export const code = (expected: string) => expect.objectContaining({ code: expected }) as Error;
