import { beforeEach, describe, expect, it } from "vitest";
import type { Batch, Fence, Ledger, PlanOfStage } from "../../../../shared/engine/ports/ledger.ts";
import { BOB, FIRST, KEY, LEASE, RUNNING, stepsOf, TASK, WRITE } from "./steps.ts";

const EXCHANGES = { count: 2, done: 0, inputKey: FIRST.partitionsKey, inputTasks: 2 };
const SECOND: PlanOfStage = { partitionsKey: "batches/0/second.json", tasks: 5 };
const LAST: PlanOfStage = { partitionsKey: "batches/0/last.json", tasks: 3, write: WRITE };

/** Tests of the stages of a batch whose tasks exchange rows. */
export function stages(open: () => Promise<Ledger>): void {
  let ledger: Ledger;
  beforeEach(async () => {
    ledger = await open();
  });
  const { fence, decide, replan } = stepsOf(() => ledger);

  async function exchanging(): Promise<{ readonly fence: Fence; readonly batch: Batch }> {
    const mine = await fence();
    return { fence: mine, batch: await ledger.plan(mine, { ...FIRST, exchanges: EXCHANGES }) };
  }

  describe("planStage", () => {
    it("The ledger keeps how far a batch has come", async () => {
      const { fence: mine, batch } = await exchanging();
      expect(batch.exchanges).toEqual(EXCHANGES);

      const second = await ledger.planStage(mine, batch, SECOND);
      expect(second).toEqual({ ...batch, ...SECOND, exchanges: { ...EXCHANGES, done: 1 } });
      const last = await ledger.planStage(mine, second, LAST);
      expect(last).toEqual({ ...batch, ...LAST, exchanges: { ...EXCHANGES, done: 2 } });
      expect(await ledger.batch(KEY.pipeline, 0)).toEqual(last);
    });

    it("Of two plans of a stage the first one stays, and both callers get it", async () => {
      const { fence: mine, batch } = await exchanging();
      const first = await ledger.planStage(mine, batch, SECOND);
      expect(await ledger.planStage(mine, batch, { ...SECOND, tasks: 9, partitionsKey: "other" })).toEqual(
        first,
      );
      expect(await ledger.batch(KEY.pipeline, 0)).toEqual(first);
    });

    it("A batch whose tasks write has no next stage", async () => {
      const { fence: mine, batch } = await exchanging();
      const last = await ledger.planStage(mine, await ledger.planStage(mine, batch, SECOND), LAST);
      await expect(ledger.planStage(mine, last, SECOND)).rejects.toMatchObject({ code: "LEDGER_CONFLICT" });
    });

    it("A decided attempt gets no next stage", async () => {
      const { fence: mine, batch } = await exchanging();
      const aborting = await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" });
      expect(await ledger.planStage(mine, batch, SECOND)).toEqual(aborting);
    });

    it("A run that lost the pipeline plans no stage", async () => {
      const { fence: mine, batch } = await exchanging();
      await fence({ owner: BOB, now: 1000 + LEASE });
      await expect(ledger.planStage(mine, batch, SECOND)).rejects.toMatchObject({ code: "FENCED" });
      expect(await ledger.batch(KEY.pipeline, 0)).toEqual(batch);
    });

    it("The next attempt has the stages that its plan says, and none if it says none", async () => {
      const { fence: mine, batch } = await exchanging();
      await ledger.planStage(mine, batch, SECOND);
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" });
      const aborted = await ledger.batch(KEY.pipeline, 0);
      const ended = await ledger.finish(mine, aborted as Batch, {
        to: "aborted",
        progress: { rows: 0, bytes: 0 },
        now: 3000,
      });
      const plan = { ...FIRST, exchanges: EXCHANGES };
      expect((await ledger.replan(mine, ended, 4000, plan)).exchanges).toEqual(EXCHANGES);
      const again = await replan(mine, 0, 2, 5000);
      expect(again.exchanges).toEqual(EXCHANGES);
      expect((await ledger.replan(mine, again, 6000, FIRST)).exchanges).toBeUndefined();
    });
  });

  describe("tasks of a stage", () => {
    it("The ledger keeps the tasks, claims and reports of each stage apart from those that write", async () => {
      const key = { ...KEY, stage: 1 };
      await ledger.recordTask(key, TASK);
      await ledger.reportProgress(key, RUNNING);
      expect(await ledger.tasks(key)).toEqual([TASK]);
      expect(await ledger.progress(key)).toEqual([RUNNING]);
      for (const other of [KEY, { ...KEY, stage: 0 }]) {
        expect(await ledger.tasks(other)).toEqual([]);
        expect(await ledger.progress(other)).toEqual([]);
      }
    });

    it("The ledger drops tasks of the stage that runs, as long as it runs", async () => {
      const { fence: mine, batch } = await exchanging();
      await ledger.recordTask({ ...KEY, stage: 0 }, TASK);
      await ledger.recordTask(KEY, TASK);
      await ledger.dropTasks(mine, batch, [TASK]);
      expect(await ledger.tasks({ ...KEY, stage: 0 })).toEqual([]);
      expect(await ledger.tasks(KEY)).toEqual([TASK]);

      await ledger.planStage(mine, batch, SECOND);
      await expect(ledger.dropTasks(mine, batch, [TASK])).rejects.toMatchObject({ code: "LEDGER_CONFLICT" });
    });

    it("Forgetting a pipeline deletes the tasks of all stages", async () => {
      const { fence: mine } = await exchanging();
      for (const stage of [0, 1]) await ledger.recordTask({ ...KEY, stage }, TASK);
      await ledger.forget(mine);
      for (const stage of [0, 1]) expect(await ledger.tasks({ ...KEY, stage })).toEqual([]);
    });
  });
}
