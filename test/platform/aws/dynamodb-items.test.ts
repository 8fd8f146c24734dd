import { describe, expect, it } from "vitest";
import type { Batch } from "../../../shared/engine/ports/ledger.ts";
import { rewound } from "../../../shared/engine/ports/manual-transitions.ts";
import { acquired, decided, finished, planned } from "../../../shared/engine/ports/transitions.ts";
import { batchChange, batchItem, batchOf, headChange } from "../../../shared/platform/aws/dynamodb-items.ts";

const FENCE = { pipeline: "orders", incarnation: "life-1", epoch: 4 };
const BATCH: Batch = {
  pipeline: "orders",
  incarnation: "life-1",
  batchId: 7,
  planId: "plan-7",
  start: { n: 60, a: 1 },
  end: { n: 70, a: 1 },
  latest: { n: 99 },
  partitionsKey: "batches/7/partitions.json",
  tasks: 2,
  schema: "c2NoZW1h",
  attempt: 2,
  state: "committing",
  lastTriedAttempt: 2,
  plannedAt: 900,
  firstPlannedAt: 800,
  error: { code: "TASKS_MISSING", message: "a task failed", where: {} },
};
const LIMITS = { messageBytes: 100, maxSinkItems: 0 };
const OUTCOME = { to: "committed", progress: { rows: 1, bytes: 8 }, now: 2000 } as const;

/** Deployed ledgers contain these names, so they must not change. */
describe("the attributes of the ledger's items", () => {
  it("The attributes of a batch are its fields, with offsets as canonical JSON", () => {
    const item = batchItem(BATCH);
    expect(item).toEqual({
      pk: { S: "P#orders" },
      sk: { S: "B#000000000007" },
      pipeline: { S: "orders" },
      incarnation: { S: "life-1" },
      batchId: { N: "7" },
      start: { S: '{"a":1,"n":60}' },
      end: { S: '{"a":1,"n":70}' },
      latest: { S: '{"n":99}' },
      planId: { S: "plan-7" },
      partitionsKey: { S: "batches/7/partitions.json" },
      tasks: { N: "2" },
      schema: { S: "c2NoZW1h" },
      attempt: { N: "2" },
      state: { S: "committing" },
      lastTriedAttempt: { N: "2" },
      plannedAt: { N: "900" },
      firstPlannedAt: { N: "800" },
      error: { S: '{"code":"TASKS_MISSING","message":"a task failed","where":{}}' },
    });
    expect(batchOf(item)).toEqual(BATCH);
  });

  it("The lease and the acknowledgement of a head are stored in several attributes", () => {
    const owner = { id: "a", description: "run a" };
    const request = { pipeline: "orders", owner, now: 10, leaseMilliseconds: 5, newIncarnation: "life-1" };
    expect(headChange(acquired({ ...request, takeOver: { ...FENCE, epoch: 3 } }).head)).toEqual({
      where: [
        { leaseOwner: { absent: true } },
        { leaseExpiresAt: { atMost: 10 } },
        { leaseOwner: { oneOf: ["a"] } },
        { incarnation: { oneOf: ["life-1"] }, epoch: { oneOf: [3] } },
      ],
      set: { leaseOwner: "a", leaseDescription: "run a", leaseExpiresAt: 15 },
      initial: { incarnation: "life-1", nextBatchId: 0 },
      add: { epoch: 1 },
    });
    expect(headChange(finished(FENCE, BATCH, { ...OUTCOME, lastCommit: { v: 1 } }, LIMITS).head)).toEqual({
      where: [{ incarnation: { oneOf: ["life-1"] }, epoch: { oneOf: [4] } }],
      set: {
        position: '{"a":1,"n":70}',
        lastCommittedBatchId: 7,
        openBatchId: undefined,
        unacknowledgedBatchId: 7,
        unacknowledgedEnd: '{"a":1,"n":70}',
        lastCommit: '{"v":1}',
        lastInSink: '{"incarnation":"life-1","batchId":7,"planId":"plan-7"}',
        isSinkUnchecked: undefined,
      },
      initial: {},
      add: {},
    });
  });

  it("The offset of a head is compared as canonical JSON", () => {
    const { head } = planned(FENCE, { ...BATCH, now: 1 });
    expect(headChange(head).where).toEqual([
      {
        incarnation: { oneOf: ["life-1"] },
        epoch: { oneOf: [4] },
        openBatchId: { absent: true },
        nextBatchId: { oneOf: [7] },
        position: { absent: true, oneOf: ['{"a":1,"n":60}'] },
      },
    ]);
    const rewind = { by: "ann", at: 1, from: BATCH.end, to: BATCH.start };
    expect(headChange(rewound(FENCE, rewind).head)).toMatchObject({
      where: [{ position: { oneOf: ['{"a":1,"n":70}'] } }],
      set: { position: '{"a":1,"n":60}' },
    });
  });

  it("A changed batch has its attempt and state compared and its empty attributes removed", () => {
    const committed = finished(FENCE, BATCH, OUTCOME, LIMITS).batch.change;
    expect(committed && batchChange(committed)).toMatchObject({
      where: [{ attempt: { oneOf: [2] }, state: { oneOf: ["committing"] } }],
      set: { state: "committed", finishedAt: 2000, progress: '{"rows":1,"bytes":8}', error: undefined },
    });
    const aborted = decided(FENCE, BATCH, { to: "aborting" }).batch.change;
    expect(aborted && Object.keys(batchChange(aborted).set)).toEqual(["state"]);
  });
});
