import { describe, expect, it } from "vitest";
import type { Batch, Decision, Head, NewBatch } from "../../../../shared/engine/ports/ledger.ts";
import type { BatchState } from "../../../../shared/engine/ports/states.ts";
import * as transitions from "../../../../shared/engine/ports/transitions.ts";
import { ACTION, BATCH, code, FENCE, HEAD, make, NO_ITEMS, OPEN, PLAN, PROGRESS } from "./made.ts";

const STATES: readonly BatchState[] = ["planned", "committing", "committed", "aborting", "aborted"];
const FOLLOWS: readonly string[] = [
  "planned → committing",
  "planned → aborting",
  "committing → committed",
  "committing → aborting",
  "aborting → aborted",
];

describe("planned", () => {
  it("A plan records the first attempt, opens the batch and raises the next id", () => {
    expect(make(transitions.planned(FENCE, PLAN), { head: HEAD })).toEqual({
      made: true,
      head: { ...OPEN, lastPlannedAt: 1000 },
      batch: { ...BATCH, attempt: 1, lastTriedAttempt: 0, plannedAt: 1000, firstPlannedAt: 1000 },
    });
  });

  it("A plan sets the offset of a pipeline that has none", () => {
    const { offset: _offset, ...empty } = HEAD;
    expect(make(transitions.planned(FENCE, PLAN), { head: empty }).head?.offset).toEqual({ n: 60 });
  });

  it("A plan takes offsets as equal whatever the order of their keys is", () => {
    const head = { ...HEAD, offset: { a: 1, b: { c: 2, d: 3 } } };
    const plan = { ...PLAN, start: { b: { d: 3, c: 2 }, a: 1 } };
    expect(make(transitions.planned(FENCE, plan), { head }).made).toBe(true);
  });

  it.each<[string, Head, Batch | undefined]>([
    ["batch 6 is open", { ...HEAD, openBatchId: 6 }, undefined],
    ["the next batch is 8", { ...HEAD, nextBatchId: 8 }, undefined],
    ["it does not start where the batch before it ended", { ...HEAD, offset: { n: 61 } }, undefined],
    ["the ledger has one of this id already", HEAD, BATCH],
  ])("A plan is refused with the reason that %s", (reason, head, batch) => {
    expect(() => make(transitions.planned(FENCE, PLAN), { head, batch })).toThrow(`batch 7: ${reason}`);
    expect(() => make(transitions.planned(FENCE, PLAN), { head, batch })).toThrow(code("LEDGER_CONFLICT"));
  });
});

describe("decided and finished", () => {
  /** Returns true if a batch in the state `state` can be moved to the state `to`. */
  function reaches(state: BatchState, to: BatchState): boolean {
    const batch = { ...BATCH, state };
    try {
      const transition =
        to === "committed" || to === "aborted"
          ? transitions.finished(FENCE, batch, { to, progress: PROGRESS, now: 1 }, NO_ITEMS)
          : transitions.decided(FENCE, batch, { to } as Decision);
      return make(transition, { head: OPEN, batch }).made;
    } catch (error) {
      expect(error).toMatchObject({ code: "LEDGER_CONFLICT" });
      return false;
    }
  }

  it("A batch goes from each state to those that may follow it, and to no other", () => {
    const pairs = STATES.flatMap((from) => STATES.map((to) => [from, to] as const));
    expect(pairs.filter(([from, to]) => reaches(from, to)).map((pair) => pair.join(" → "))).toEqual(FOLLOWS);
  });

  it("A late decision or end changes nothing in another attempt and returns the present batch", () => {
    const batch = { ...BATCH, attempt: 3 };
    const late = [
      transitions.decided(FENCE, BATCH, { to: "aborting" }),
      transitions.finished(FENCE, BATCH, { to: "aborted", progress: PROGRESS, now: 1 }, NO_ITEMS),
    ];
    for (const transition of late)
      expect(make(transition, { head: OPEN, batch })).toEqual({ made: false, head: OPEN, batch });
  });

  it("A decision on a missing batch is refused", () => {
    const transition = transitions.decided(FENCE, BATCH, { to: "aborting" });
    expect(() => make(transition, { head: OPEN })).toThrow("batch 7: there is no such batch");
  });
});

describe("decided", () => {
  it("A decision notes the attempt whose commit may be tried, and only that one", () => {
    const decide = (to: "committing" | "aborting") =>
      make(transitions.decided(FENCE, BATCH, { to }), { head: OPEN, batch: BATCH }).batch;
    expect(decide("committing")).toEqual({ ...BATCH, state: "committing", lastTriedAttempt: 2 });
    expect(decide("aborting")).toEqual({ ...BATCH, state: "aborting" });
  });

  it("A decision without an error keeps the recorded one", () => {
    const error = { code: "TASKS_MISSING", message: "a task failed", where: {} };
    const failed = { ...BATCH, error };
    const decide = transitions.decided(FENCE, failed, { to: "committing" });
    expect(make(decide, { head: OPEN, batch: failed }).batch?.error).toEqual(error);
    const again = { ...error, code: "SINK_FAILED" };
    const abort = transitions.decided(FENCE, failed, { to: "aborting", error: again });
    expect(make(abort, { head: OPEN, batch: failed }).batch?.error).toEqual(again);
  });

  it("A late decision follows the one that was taken since its caller looked", () => {
    const batch: Batch = { ...BATCH, state: "committing" };
    const late = transitions.decided(FENCE, BATCH, { to: "aborting" });
    expect(make(late, { head: OPEN, batch })).toEqual({ made: false, head: OPEN, batch });
  });
});

describe("finished", () => {
  const error = { code: "TASKS_MISSING", message: "a task failed", where: {} };
  const committing: Batch = { ...BATCH, state: "committing", error };
  const commit = { to: "committed", progress: PROGRESS, now: 2000 } as const;

  it("A commit moves the offset, closes the batch and makes its acknowledgement due", () => {
    const { error: _error, ...batch } = committing;
    const head = { ...OPEN, lastCommit: { version: 1 } };
    const transition = transitions.finished(FENCE, committing, { ...commit, lastCommit: 2 }, NO_ITEMS);
    const { openBatchId: _open, ...closed } = OPEN;
    expect(make(transition, { head, batch: committing })).toEqual({
      made: true,
      head: {
        ...closed,
        offset: { n: 70 },
        lastCommittedBatchId: 7,
        unacknowledged: { batchId: 7, end: { n: 70 } },
        lastCommit: 2,
        lastInSink: { incarnation: "life-1", batchId: 7, planId: "plan-7" },
      },
      batch: { ...batch, state: "committed", finishedAt: 2000, progress: PROGRESS },
    });
  });

  it("A commit without a hint forgets the hint of the commit before", () => {
    const head = { ...OPEN, lastCommit: { version: 1 } };
    const transition = transitions.finished(FENCE, committing, commit, NO_ITEMS);
    expect(make(transition, { head, batch: committing }).head).not.toHaveProperty("lastCommit");
  });

  it("An abort leaves the head as it is and keeps the error in the batch", () => {
    const aborting: Batch = { ...BATCH, state: "aborting", error };
    const transition = transitions.finished(FENCE, aborting, { ...commit, to: "aborted" }, NO_ITEMS);
    expect(make(transition, { head: OPEN, batch: aborting })).toEqual({
      made: true,
      head: OPEN,
      batch: { ...aborting, state: "aborted", finishedAt: 2000, progress: PROGRESS },
    });
  });

  it("Aborts by errors that will not pass are counted, and the last that is allowed pauses the pipeline in the same step", () => {
    const abort = (batch: Batch, head: Head, pausesAfter?: number) => {
      const lasting = { code: "ROW_MISMATCH", ...(pausesAfter === undefined ? {} : { pausesAfter }) };
      const transition = transitions.finished(FENCE, batch, { ...commit, to: "aborted", lasting }, NO_ITEMS);
      return { ...make(transition, { head, batch }), entry: transition.entry };
    };
    const aborting: Batch = { ...BATCH, state: "aborting", error };
    const first = abort(aborting, OPEN, 2);
    expect(first).toMatchObject({ head: OPEN, batch: { lastingFailures: 1 } });
    expect(first.entry).toBeUndefined();

    const again: Batch = { ...aborting, lastingFailures: 1 };
    const second = abort(again, OPEN, 2);
    const paused = { by: "millrace", at: 2000, batchId: 7, code: "ROW_MISMATCH" };
    expect(second.head?.paused).toMatchObject(paused);
    expect(second.head?.paused?.why).toBe(
      "batch 7 was aborted 2 times: ROW_MISMATCH; after the fix `millrace resume orders`, or `millrace skip orders` before it to leave its rows out",
    );
    expect(second.entry).toMatchObject({ action: "pause", by: "millrace", at: 2000, batchId: 7 });
    expect(second.batch).not.toHaveProperty("lastingFailures");

    const byAnn = { ...OPEN, paused: ACTION };
    expect(abort(again, byAnn, 2).head).toEqual(byAnn);
    expect(abort({ ...aborting, lastingFailures: 99 }, OPEN)).toMatchObject({
      head: OPEN,
      batch: { lastingFailures: 100 },
    });
  });

  it("An abort by an error that may pass neither counts nor forgets the aborts that count", () => {
    const aborting: Batch = { ...BATCH, state: "aborting", error, lastingFailures: 9 };
    const transition = transitions.finished(FENCE, aborting, { ...commit, to: "aborted" }, NO_ITEMS);
    expect(make(transition, { head: OPEN, batch: aborting })).toMatchObject({
      head: OPEN,
      batch: { lastingFailures: 9 },
    });
  });

  it("A commit is refused if it has more items of the sink than the ledger takes", () => {
    const finish = (count: number) => () =>
      transitions.finished(
        FENCE,
        committing,
        { ...commit, sinkItems: Array(count).fill({ kind: "any" }) as { kind: string }[] },
        { ...NO_ITEMS, maxSinkItems: 3 },
      );
    expect(finish(3)).not.toThrow();
    expect(finish(4)).toThrow(code("TRANSACTION_REFUSED"));
  });
});

describe("replanned", () => {
  const aborted: Batch = { ...BATCH, state: "aborted", finishedAt: 1500, progress: PROGRESS };
  const replan = (batch: Batch) => make(transitions.replanned(FENCE, batch, 2000), { head: OPEN, batch });

  it("A new attempt forgets the outcome of the last one", () => {
    expect(replan(aborted)).toEqual({
      made: true,
      head: OPEN,
      batch: { ...BATCH, attempt: 3, plannedAt: 2000 },
    });
  });

  it("A new attempt of other code counts its aborts anew, and one of the same code goes on counting", () => {
    const failed: Batch = { ...aborted, code: "a", lastingFailures: 3 };
    expect(transitions.replanned(FENCE, failed, 2000).batch.after.lastingFailures).toBe(3);
    const other = transitions.replanned(FENCE, failed, 2000, { ...failed, code: "b" });
    expect(other.batch.after).not.toHaveProperty("lastingFailures");
  });

  it("A new attempt may have another schema and partitions file, but neither other offsets nor another id", () => {
    const plan = { partitionsKey: "batches/7/other.json", schema: "b3RoZXI" };
    const another: NewBatch = { ...PLAN, ...plan, batchId: 9, end: { n: 99 } };
    expect(transitions.replanned(FENCE, aborted, 2000, another).batch.after).toEqual({
      ...BATCH,
      ...plan,
      attempt: 3,
      plannedAt: 2000,
    });
  });

  it("A new attempt follows one that was aborted or is still planned, and no other", () => {
    const states = STATES.filter((state) => {
      try {
        return replan({ ...aborted, state }).made;
      } catch (error) {
        expect(error).toMatchObject({ code: "LEDGER_CONFLICT" });
        return false;
      }
    });
    expect(states).toEqual(["planned", "aborted"]);
  });

  it("A new attempt begins once, however often it is asked for", () => {
    const batch = replan(aborted).batch;
    expect(() => make(transitions.replanned(FENCE, aborted, 2000), { head: OPEN, batch })).toThrow(
      "attempt 2 cannot be followed by another",
    );
  });
});

describe("acknowledged", () => {
  const due = { ...HEAD, unacknowledged: { batchId: 6, end: { n: 60 } } };

  it("An acknowledgement removes its batch from the head and is no error if the head has none", () => {
    expect(make(transitions.acknowledged(FENCE, 6), { head: due })).toEqual({ made: true, head: HEAD });
    expect(make(transitions.acknowledged(FENCE, 6), { head: HEAD })).toEqual({ made: false, head: HEAD });
  });

  it("An acknowledgement leaves the head with another unacknowledged batch as it is", () => {
    expect(make(transitions.acknowledged(FENCE, 5), { head: due })).toEqual({ made: false, head: due });
  });
});
