import { beforeEach, describe, expect, it } from "vitest";
import { fenceOf } from "../../../../shared/engine/acquire.ts";
import type { Ledger, NewBatch } from "../../../../shared/engine/ports/ledger.ts";
import { FIRST, PIPELINE, PROGRESS, stepsOf, WRITE } from "./steps.ts";

/** Tests of the plan of a batch and of its new attempts. */
export function plans(open: () => Promise<Ledger>): void {
  let ledger: Ledger;
  beforeEach(async () => {
    ledger = await open();
  });
  const { decide, finish, replan, acquire, fence, planned, committed } = stepsOf(() => ledger);

  describe("initialize", () => {
    it("The ledger keeps the first offset of a pipeline and no later one", async () => {
      const mine = await fence();
      await ledger.initialize(mine, { n: 5 });
      await ledger.initialize(mine, { n: 6 });
      expect((await ledger.head(PIPELINE))?.offset).toEqual({ n: 5 });
    });
  });

  describe("plan", () => {
    it("A plan records the batch, opens it and raises the next id", async () => {
      const { batch } = await planned();
      expect(batch).toEqual({
        pipeline: PIPELINE,
        incarnation: "life-1",
        batchId: 0,
        planId: "plan-0",
        start: { n: 0 },
        end: { n: 10 },
        partitionsKey: FIRST.partitionsKey,
        tasks: 2,
        schema: FIRST.schema,
        attempt: 1,
        state: "planned",
        lastTriedAttempt: 0,
        plannedAt: 1000,
        firstPlannedAt: 1000,
      });
      expect(await ledger.batch(PIPELINE, 0)).toEqual(batch);
      expect(await ledger.head(PIPELINE)).toMatchObject({
        openBatchId: 0,
        nextBatchId: 1,
        offset: { n: 0 },
      });
    });

    it.each<[string, Partial<NewBatch>]>([
      ["while a batch is open", { batchId: 1 }],
      ["of an id that was used", {}],
    ])("A plan is refused %s, and changes nothing", async (_what, overrides) => {
      const { fence: mine, batch } = await planned();
      const head = await ledger.head(PIPELINE);
      await expect(ledger.plan(mine, { ...FIRST, ...overrides })).rejects.toMatchObject({
        code: "LEDGER_CONFLICT",
      });
      expect(await ledger.head(PIPELINE)).toEqual(head);
      expect(await ledger.batches(PIPELINE, { limit: 10 })).toEqual([batch]);
    });

    it.each<[string, Partial<NewBatch>]>([
      ["of an id that was used", { batchId: 0, start: { n: 10 } }],
      ["of an id that leaves one out", { batchId: 2, start: { n: 10 } }],
      ["that does not start where the last one ended", { batchId: 1, start: { n: 11 } }],
    ])("A plan after a commit is refused %s", async (_what, overrides) => {
      const mine = await committed();
      await expect(ledger.plan(mine, { ...FIRST, end: { n: 20 }, ...overrides })).rejects.toMatchObject({
        code: "LEDGER_CONFLICT",
      });
      expect(await ledger.head(PIPELINE)).toMatchObject({ nextBatchId: 1, offset: { n: 10 } });
      expect((await ledger.head(PIPELINE))?.openBatchId).toBeUndefined();
    });

    it("A plan keeps the latest offset of the source through the attempts of the batch", async () => {
      const mine = await fence();
      const latest = { n: 25, shard: { a: [1, 2] } };
      const batch = await ledger.plan(mine, { ...FIRST, latest });
      expect(batch).toMatchObject({ end: { n: 10 }, latest });
      expect(await ledger.batch(PIPELINE, 0)).toEqual(batch);
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" });
      await finish(mine, { batchId: 0, attempt: 1, to: "aborted", progress: PROGRESS, now: 2000 });
      expect(await replan(mine, 0, 1, 3000)).toMatchObject({ attempt: 2, latest });
    });

    it("A plan stores its time for the next run, also after its batch is committed", async () => {
      await planned();
      expect(await ledger.head(PIPELINE)).toMatchObject({ lastPlannedAt: 1000 });
      const mine = await fence();
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
      await finish(mine, { batchId: 0, attempt: 1, to: "committed", progress: PROGRESS, now: 2000 });
      const { head } = await acquire();
      expect(head).toMatchObject({ lastPlannedAt: 1000 });
      const next = fenceOf(head);
      await ledger.plan(next, { ...FIRST, batchId: 1, start: { n: 10 }, end: { n: 20 }, now: 61_000 });
      expect(await ledger.head(PIPELINE)).toMatchObject({ lastPlannedAt: 61_000 });
    });

    it("A plan takes offsets as equal whatever the order of their keys is", async () => {
      const mine = await fence();
      await ledger.initialize(mine, { a: 1, b: { c: 2, d: 3 } });
      const batch = await ledger.plan(mine, { ...FIRST, start: { b: { d: 3, c: 2 }, a: 1 } });
      expect(batch.state).toBe("planned");
    });
  });

  describe("replan", () => {
    it("A new attempt of an aborted batch has the same offsets and partitions and no outcome", async () => {
      const { fence: mine, batch } = await planned();
      const error = { code: "TASKS_MISSING", message: "a task failed", where: {} };
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting", error });
      await finish(mine, { batchId: 0, attempt: 1, to: "aborted", progress: PROGRESS, now: 2000 });
      expect(await replan(mine, 0, 1, 3000)).toEqual({
        ...batch,
        attempt: 2,
        plannedAt: 3000,
        error,
      });
    });

    it("A new attempt may have another plan, which is read back", async () => {
      const { fence: mine, batch } = await planned();
      const aborted = { ...batch, state: "aborted" as const };
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" });
      await finish(mine, { batchId: 0, attempt: 1, to: "aborted", progress: PROGRESS, now: 2000 });
      const plan = { partitionsKey: "batches/another.json", schema: "another", tasks: 3, planId: "another" };
      const next = await ledger.replan(mine, aborted, 3000, plan);
      expect(next).toMatchObject({ ...plan, attempt: 2, start: batch.start, end: batch.end });
      expect(await ledger.batch(PIPELINE, 0)).toMatchObject(plan);
    });

    it("The ledger keeps how a batch writes to a table, and a new plan replaces or removes it", async () => {
      const mine = await fence();
      const batch = await ledger.plan(mine, { ...FIRST, write: WRITE });
      expect(batch.write).toEqual(WRITE);
      expect(await ledger.batch(PIPELINE, 0)).toEqual(batch);
      const again = await ledger.replan(mine, batch, 2000);
      expect((await ledger.batch(PIPELINE, 0))?.write).toEqual(WRITE);
      const { partitionsKey, tasks } = FIRST;
      const write = { ...WRITE, factory: {}, isCoordinated: false };
      const replaced = await ledger.replan(mine, again, 3000, { partitionsKey, tasks, write });
      expect(replaced.write).toEqual(write);
      expect((await ledger.batch(PIPELINE, 0))?.write).toEqual(write);
      expect((await ledger.replan(mine, replaced, 4000, { partitionsKey, tasks })).write).toBeUndefined();
      expect((await ledger.batch(PIPELINE, 0))?.write).toBeUndefined();
    });

    it("A new attempt keeps the list of attempts whose commit was tried", async () => {
      const { fence: mine } = await planned();
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
      await decide(mine, { batchId: 0, attempt: 1, from: "committing", to: "aborting" });
      await finish(mine, { batchId: 0, attempt: 1, to: "aborted", progress: PROGRESS, now: 2000 });
      expect(await replan(mine, 0, 1, 3000)).toMatchObject({ attempt: 2, lastTriedAttempt: 1 });
    });

    it("A new attempt begins once, however often it is asked for", async () => {
      const { fence: mine } = await planned();
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" });
      await finish(mine, { batchId: 0, attempt: 1, to: "aborted", progress: PROGRESS, now: 2000 });
      await replan(mine, 0, 1, 3000);
      await expect(replan(mine, 0, 1, 3000)).rejects.toMatchObject({ code: "LEDGER_CONFLICT" });
      expect((await ledger.batch(PIPELINE, 0))?.attempt).toBe(2);
    });

    it.each(["committing", "aborting"] as const)(
      "A new attempt is refused while the batch is %s",
      async (to) => {
        const { fence: mine } = await planned();
        await decide(mine, { batchId: 0, attempt: 1, from: "planned", to });
        await expect(replan(mine, 0, 1, 3000)).rejects.toMatchObject({ code: "LEDGER_CONFLICT" });
      },
    );

    it("A new attempt is refused for a committed batch", async () => {
      const mine = await committed();
      await expect(replan(mine, 0, 1, 3000)).rejects.toMatchObject({ code: "LEDGER_CONFLICT" });
    });
  });

  it("The ledger returns the newest batches first, up to a limit, before a given one", async () => {
    const mine = await fence();
    for (let batchId = 0; batchId < 12; batchId++) {
      await ledger.plan(mine, { ...FIRST, batchId, start: { n: batchId }, end: { n: batchId + 1 } });
      await decide(mine, { batchId, attempt: 1, from: "planned", to: "committing" });
      await finish(mine, { batchId, attempt: 1, to: "committed", progress: PROGRESS, now: 2000 });
    }
    const ids = async (options: { limit: number; before?: number }) =>
      (await ledger.batches(PIPELINE, options)).map((batch) => batch.batchId);
    expect(await ids({ limit: 3 })).toEqual([11, 10, 9]);
    expect(await ids({ limit: 3, before: 9 })).toEqual([8, 7, 6]);
    expect(await ids({ limit: 100, before: 2 })).toEqual([1, 0]);
    expect(await ledger.batches("nobody", { limit: 3 })).toEqual([]);
  });
}
