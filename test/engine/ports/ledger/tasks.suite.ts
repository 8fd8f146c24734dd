import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "../../../../shared/engine/ports/ledger.ts";
import type { TaskKey } from "../../../../shared/engine/ports/tasks.ts";
import { BOB, KEY, LEASE, type LedgerOptions, RUNNING, stepsOf, TASK } from "./steps.ts";

/** Tests of a ledger's records of finished and running tasks. */
export function tasks(open: () => Promise<Ledger>, options: LedgerOptions): void {
  let ledger: Ledger;
  beforeEach(async () => {
    ledger = await open();
  });
  const { fence, lostFence, planned } = stepsOf(() => ledger);

  describe("recordTask", () => {
    it("The ledger records the first attempt of a task and returns the winner to any later one", async () => {
      expect(await ledger.recordTask(KEY, TASK)).toEqual(TASK);
      expect(
        await ledger.recordTask(KEY, { ...TASK, writerId: "writer-2", attemptNumber: 1, rows: 6 }),
      ).toEqual(TASK);
      expect(await ledger.task(KEY)).toEqual(TASK);
    });

    it("The ledger returns one winner to many attempts at once", async () => {
      const tasks = Array.from({ length: 8 }, (_, i) => ({ ...TASK, writerId: `writer-${i}` }));
      const winners = await Promise.all(tasks.map((task) => ledger.recordTask(KEY, task)));
      expect(new Set(winners.map((task) => task.writerId)).size).toBe(1);
    });

    it.each<[string, Partial<TaskKey>]>([
      ["pipelines", { pipeline: "clicks" }],
      ["incarnations", { incarnation: "life-2" }],
      ["batches", { batchId: 1 }],
      ["attempts", { attempt: 2 }],
      ["stages", { stage: 0 }],
      ["partitions", { partition: 1 }],
    ])("The ledger keeps the tasks of %s apart", async (_what, other) => {
      await ledger.recordTask(KEY, TASK);
      expect(await ledger.task({ ...KEY, ...other })).toBeUndefined();
    });

    it("A task record is not fenced: a late writer of a lost run may win", async () => {
      await planned();
      await fence({ owner: BOB, now: 1000 + LEASE });
      expect(await ledger.recordTask(KEY, TASK)).toEqual(TASK);
    });

    it("The ledger keeps a message as large as its limit whole", async () => {
      const { messageBytes } = ledger.limits;
      expect(messageBytes).toBeGreaterThanOrEqual(64 * 1024);
      // The size includes the quotes and the backslash of `\n`.
      const task = { ...TASK, message: `${"x".repeat(messageBytes - 4)}\n` };
      expect(Buffer.byteLength(JSON.stringify(task.message))).toBe(messageBytes);
      expect(await ledger.recordTask(KEY, task)).toEqual(task);
      expect(await ledger.task(KEY)).toEqual(task);
    });

    it("The ledger keeps the metrics of a task, also numbers that a database would round", async () => {
      const metrics = { "files added": 3, ratio: 0.1, huge: 1.7e308, negative: -(2 ** 53) };
      await ledger.recordTask(KEY, { ...TASK, metrics });
      expect(await ledger.task(KEY)).toEqual({ ...TASK, metrics });
      expect(await ledger.tasks(KEY)).toEqual([{ ...TASK, metrics }]);
    });

    it("The ledger keeps messages of any JSON value and the place of a large one", async () => {
      const task = { ...TASK, message: null, messageKey: "batches/0/message.json" };
      await ledger.recordTask(KEY, task);
      expect(await ledger.tasks(KEY)).toEqual([task]);
    });
  });

  it("The ledger returns all tasks of one attempt in partition order, and of no other", async () => {
    const partitions = Array.from({ length: 1200 }, (_, i) => (i * 7) % 1200);
    for (const partition of partitions)
      await ledger.recordTask({ ...KEY, partition }, { ...TASK, partition });
    await ledger.recordTask({ ...KEY, attempt: 2 }, TASK);
    const tasks = await ledger.tasks(KEY);
    expect(tasks.map((task) => task.partition)).toEqual(partitions.toSorted((a, b) => a - b));
  });

  describe("dropTasks", () => {
    const record = async (partitions: number) => {
      for (let partition = 0; partition < partitions; partition++)
        await ledger.recordTask(
          { ...KEY, partition },
          { ...TASK, partition, writerId: `writer-${partition}` },
        );
      return await ledger.tasks(KEY);
    };
    const left = async () => (await ledger.tasks(KEY)).map((task) => task.partition);

    it("The ledger forgets the given tasks of a planned attempt and no other, so that they can run again", async () => {
      const { fence: held, batch } = await planned();
      const [first, second] = await record(3);
      await ledger.dropTasks(
        held,
        batch,
        [first, second].filter((task) => task !== undefined),
      );
      expect(await left()).toEqual([2]);
      const again = { ...TASK, writerId: "writer-again" };
      expect(await ledger.recordTask(KEY, again)).toEqual(again);
    });

    it("The ledger forgets many tasks at once, and none twice", async () => {
      const { fence: held, batch } = await planned();
      const tasks = await record(250);
      await ledger.dropTasks(held, batch, tasks.slice(0, 240));
      await ledger.dropTasks(held, batch, tasks.slice(0, 240));
      expect(await left()).toHaveLength(10);
    });

    it("The ledger keeps the record of another writer in place of the one that is to be dropped", async () => {
      const { fence: held, batch } = await planned();
      await record(2);
      const dropped = [
        { ...TASK, writerId: "writer-before" },
        { ...TASK, partition: 1, writerId: "writer-1" },
      ];
      await ledger.dropTasks(held, batch, dropped);
      expect(await left()).toEqual([0]);
    });

    it("A run that lost the pipeline drops no task", async () => {
      const { fence: held, batch } = await planned();
      const tasks = await record(1);
      await fence({ owner: BOB, now: 1000 + LEASE });
      await expect(ledger.dropTasks(held, batch, tasks)).rejects.toMatchObject({ code: "FENCED" });
      const otherLife = { ...held, incarnation: "life-2", epoch: held.epoch + 1 };
      await expect(ledger.dropTasks(otherLife, batch, tasks)).rejects.toMatchObject({ code: "FENCED" });
      expect(await left()).toEqual([0]);
    });

    it.each(["committing", "aborting"] as const)("The tasks of an attempt that is %s stay", async (to) => {
      const { fence: held, batch } = await planned();
      const tasks = await record(1);
      await ledger.decide(held, batch, { to });
      await expect(ledger.dropTasks(held, batch, tasks)).rejects.toMatchObject({ code: "LEDGER_CONFLICT" });
      expect(await left()).toEqual([0]);
    });
  });

  describe("reportProgress", () => {
    it("The ledger keeps the last progress of each task in partition order, apart from its record", async () => {
      await ledger.reportProgress({ ...KEY, partition: 1 }, { ...RUNNING, partition: 1 });
      await ledger.reportProgress(KEY, RUNNING);
      const later = {
        ...RUNNING,
        rows: 50,
        waitsFor: "sink",
        progressedAt: 20_000,
        reportedAt: 21_000,
      } as const;
      await ledger.reportProgress(KEY, later);
      expect(await ledger.progress(KEY)).toEqual([later, { ...RUNNING, partition: 1 }]);
      expect(await ledger.tasks(KEY)).toEqual([]);
      expect(await ledger.task(KEY)).toBeUndefined();
      expect(await ledger.recordTask(KEY, TASK)).toEqual(TASK);
      expect(await ledger.tasks(KEY)).toEqual([TASK]);
      expect(await ledger.progress(KEY)).toHaveLength(2);
    });

    it.each<[string, Partial<TaskKey>]>([
      ["pipelines", { pipeline: "clicks" }],
      ["incarnations", { incarnation: "life-2" }],
      ["batches", { batchId: 1 }],
      ["attempts", { attempt: 2 }],
      ["stages", { stage: 0 }],
    ])("The ledger keeps the progress of %s apart", async (_what, other) => {
      await ledger.reportProgress(KEY, RUNNING);
      expect(await ledger.progress({ ...KEY, ...other })).toEqual([]);
    });

    it("A progress report is not fenced and needs no batch, because it decides nothing", async () => {
      await lostFence();
      await ledger.reportProgress(KEY, RUNNING);
      expect(await ledger.progress(KEY)).toEqual([RUNNING]);
    });
  });

  if (options.forgetsByItself !== true) {
    it("The ledger forgets progress reports before a given time", async () => {
      await ledger.reportProgress(KEY, RUNNING);
      await ledger.reportProgress({ ...KEY, partition: 1 }, { ...RUNNING, partition: 1, reportedAt: 11_001 });
      await ledger.expireTasks(11_001);
      expect((await ledger.progress(KEY)).map((running) => running.partition)).toEqual([1]);
    });

    it("The ledger forgets tasks that were recorded before a given time and no later ones", async () => {
      await ledger.recordTask(KEY, TASK);
      await ledger.recordTask({ ...KEY, partition: 1 }, { ...TASK, partition: 1, recordedAt: 1501 });
      await ledger.expireTasks(1501);
      expect((await ledger.tasks(KEY)).map((task) => task.partition)).toEqual([1]);
    });
  }
}
