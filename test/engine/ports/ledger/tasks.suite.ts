import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger, TaskKey } from "../../../../shared/engine/ports/ledger.ts";
import { BOB, KEY, LEASE, type LedgerOptions, RUNNING, stepsOf, TASK } from "./steps.ts";

/** What a ledger keeps of tasks: those that ended, and those that run. */
export function tasks(open: () => Promise<Ledger>, options: LedgerOptions): void {
  let ledger: Ledger;
  beforeEach(async () => {
    ledger = await open();
  });
  const { fence, lostFence, planned } = stepsOf(() => ledger);

  describe("recordTask", () => {
    it("records the first attempt, and gives the winner to any later one", async () => {
      expect(await ledger.recordTask(KEY, TASK)).toEqual(TASK);
      expect(
        await ledger.recordTask(KEY, { ...TASK, writerId: "writer-2", attemptNumber: 1, rows: 6 }),
      ).toEqual(TASK);
      expect(await ledger.task(KEY)).toEqual(TASK);
    });

    it("gives one winner to many at once", async () => {
      const tasks = Array.from({ length: 8 }, (_, i) => ({ ...TASK, writerId: `writer-${i}` }));
      const winners = await Promise.all(tasks.map((task) => ledger.recordTask(KEY, task)));
      expect(new Set(winners.map((task) => task.writerId)).size).toBe(1);
    });

    it.each<[string, Partial<TaskKey>]>([
      ["pipelines", { pipeline: "clicks" }],
      ["incarnations", { incarnation: "life-2" }],
      ["batches", { batchId: 1 }],
      ["attempts", { attempt: 2 }],
      ["partitions", { partition: 1 }],
    ])("keeps %s apart", async (_what, other) => {
      await ledger.recordTask(KEY, TASK);
      expect(await ledger.task({ ...KEY, ...other })).toBeUndefined();
    });

    it("is not fenced: a late writer of a lost run may win", async () => {
      await planned();
      await fence({ owner: BOB, now: 1000 + LEASE });
      expect(await ledger.recordTask(KEY, TASK)).toEqual(TASK);
    });

    it("a message as large as the ledger's limit is kept whole", async () => {
      const { messageBytes } = ledger.limits;
      expect(messageBytes).toBeGreaterThanOrEqual(64 * 1024);
      // Quotes and the backslash of an escape count, too.
      const task = { ...TASK, message: `${"x".repeat(messageBytes - 4)}\n` };
      expect(Buffer.byteLength(JSON.stringify(task.message))).toBe(messageBytes);
      expect(await ledger.recordTask(KEY, task)).toEqual(task);
      expect(await ledger.task(KEY)).toEqual(task);
    });

    it("keeps messages of any JSON value, and where a large one lies", async () => {
      const task = { ...TASK, message: null, messageKey: "batches/0/message.json" };
      await ledger.recordTask(KEY, task);
      expect(await ledger.tasks(KEY)).toEqual([task]);
    });
  });

  it("gives the tasks of an attempt in partition order, all of them, and of no other", async () => {
    const partitions = Array.from({ length: 1200 }, (_, i) => (i * 7) % 1200);
    for (const partition of partitions)
      await ledger.recordTask({ ...KEY, partition }, { ...TASK, partition });
    await ledger.recordTask({ ...KEY, attempt: 2 }, TASK);
    const tasks = await ledger.tasks(KEY);
    expect(tasks.map((task) => task.partition)).toEqual(partitions.toSorted((a, b) => a - b));
  });

  describe("reportProgress", () => {
    it("keeps what a task told last, in partition order, apart from what it records", async () => {
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
    ])("keeps %s apart", async (_what, other) => {
      await ledger.reportProgress(KEY, RUNNING);
      expect(await ledger.progress({ ...KEY, ...other })).toEqual([]);
    });

    it("is not fenced, and needs no batch: it decides nothing", async () => {
      await lostFence();
      await ledger.reportProgress(KEY, RUNNING);
      expect(await ledger.progress(KEY)).toEqual([RUNNING]);
    });
  });

  if (options.forgetsByItself !== true) {
    it("forgets what tasks told before a time", async () => {
      await ledger.reportProgress(KEY, RUNNING);
      await ledger.reportProgress({ ...KEY, partition: 1 }, { ...RUNNING, partition: 1, reportedAt: 11_001 });
      await ledger.expireTasks(11_001);
      expect((await ledger.progress(KEY)).map((running) => running.partition)).toEqual([1]);
    });

    it("forgets tasks that were recorded before a time, and no later ones", async () => {
      await ledger.recordTask(KEY, TASK);
      await ledger.recordTask({ ...KEY, partition: 1 }, { ...TASK, partition: 1, recordedAt: 1501 });
      await ledger.expireTasks(1501);
      expect((await ledger.tasks(KEY)).map((task) => task.partition)).toEqual([1]);
    });
  }
}
