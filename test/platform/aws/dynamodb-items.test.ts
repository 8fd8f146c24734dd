import { describe, expect, it } from "vitest";
import { authorized, claimReleased, taskRecorded } from "../../../shared/engine/ports/commit-claims.ts";
import type { Batch } from "../../../shared/engine/ports/ledger.ts";
import { rewound } from "../../../shared/engine/ports/manual-transitions.ts";
import type { Task } from "../../../shared/engine/ports/tasks.ts";
import { acquired, decided, finished, planned } from "../../../shared/engine/ports/transitions.ts";
import {
  batchChange,
  batchItem,
  batchOf,
  headChange,
  toItem,
} from "../../../shared/platform/aws/dynamodb-items.ts";
import { slotChange, slotOf } from "../../../shared/platform/aws/dynamodb-task-items.ts";

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
const TASK: Task = {
  partition: 0,
  message: { path: "a.arrow" },
  rows: 5,
  bytes: 40,
  milliseconds: 12,
  attemptNumber: 0,
  writerId: "writer-1",
  recordedAt: 1999,
};
const LIMITS = { messageBytes: 100, maxSinkItems: 0 };
const OUTCOME = { to: "committed", progress: { rows: 1, bytes: 8 }, now: 2000 } as const;

/** Returns the item that has these attributes, like one that DynamoDB has updated. */
const itemOf = (set: Readonly<Record<string, unknown>>) => toItem({ pk: "T#orders", sk: "0", ...set });

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

  it("How a batch writes to a table is one attribute in JSON", () => {
    const write = { factory: { path: "a" }, isCoordinated: true, inputPartitions: 2, plannedAt: 800 };
    const item = batchItem({ ...BATCH, write });
    expect(item["write"]).toEqual({ S: JSON.stringify(write) });
    expect(batchOf(item)).toEqual({ ...BATCH, write });
  });

  it("A task is stored as its fields, with message and metrics in JSON, and lives for 100 days", () => {
    const change = slotChange(taskRecorded({ ...TASK, metrics: { files: 2 } }));
    expect(change).toMatchObject({ where: [{ writerId: { absent: true } }], initial: {}, add: {} });
    expect(change.set).toEqual({
      ...TASK,
      message: '{"path":"a.arrow"}',
      metrics: '{"files":2}',
      expiresAt: 1 + 100 * 86_400,
      claimWriterId: undefined,
      claimAttemptNumber: undefined,
      claimEpoch: undefined,
      claimExpiresAt: undefined,
    });
    expect(slotOf(itemOf(change.set))).toEqual({ task: { ...TASK, metrics: { files: 2 } } });
    expect(slotOf(itemOf(slotChange(taskRecorded(TASK)).set))).toEqual({ task: TASK });
  });

  it("A claim is stored beside the key of its task, and lives for 7 days after it has expired", () => {
    const claim = { writerId: "writer-1", attemptNumber: 1, epoch: 4, expiresAt: 9999 };
    const change = slotChange(authorized(claim, 5000));
    expect(change.where).toEqual([
      { writerId: { absent: true }, claimWriterId: { absent: true } },
      { writerId: { absent: true }, claimExpiresAt: { atMost: 5000 } },
      { writerId: { absent: true }, claimEpoch: { atMost: 3 } },
      { writerId: { absent: true }, claimWriterId: { oneOf: ["writer-1"] } },
    ]);
    expect(change.set).toEqual({
      claimWriterId: "writer-1",
      claimAttemptNumber: 1,
      claimEpoch: 4,
      claimExpiresAt: 9999,
      expiresAt: 9 + 7 * 86_400,
    });
    expect(slotOf(itemOf(change.set))).toEqual({ claim });
  });

  it("A released claim leaves an item that is neither a task nor a claim", () => {
    const { where, set } = slotChange(claimReleased("writer-1"));
    expect(where).toEqual([{ writerId: { absent: true }, claimWriterId: { oneOf: ["writer-1"] } }]);
    expect(Object.values(set)).toEqual([undefined, undefined, undefined, undefined]);
    expect(slotOf(itemOf({ expiresAt: 1 }))).toEqual({});
    expect(slotOf(undefined)).toEqual({});
  });
});
