import { beforeEach, describe, expect, it } from "vitest";
import type { Batch, Fence, Ledger, PipelineIdentity } from "../../../../shared/engine/ports/ledger.ts";
import type { Adoption, Skip } from "../../../../shared/engine/ports/manual-operations.ts";
import type { BatchState } from "../../../../shared/engine/ports/states.ts";
import { BOB, FIRST, KEY, LEASE, PIPELINE, PROGRESS, RUNNING, stepsOf, TASK } from "./steps.ts";

const ACTION = { by: "ann@desk", why: "the ledger was restored", at: 5000 };
const IDENTITY: PipelineIdentity = { kind: "stream", source: "rest-api", sink: "arrow-table" };
const NEWEST = { incarnation: "life-0", batchId: 7, planId: "plan-7" };
const ADOPTION: Adoption = {
  ...ACTION,
  newIncarnation: "life-2",
  newest: NEWEST,
  isSinkUnchecked: false,
  nextBatchId: 8,
  to: { n: 80 },
  unacknowledged: { batchId: 7, end: { n: 80 } },
};
const SKIP: Skip = { ...ACTION, planId: "plan-of-skip" };
const ERROR = { code: "SINK_FAILED", message: "commit() failed", where: {}, also: [] };

/**
 * Tests of the operations that end a batch or a life by hand, and of the fences of another life.
 */
export function operations(open: () => Promise<Ledger>): void {
  let ledger: Ledger;
  beforeEach(async () => {
    ledger = await open();
  });
  const { decide, finish, acquire, fence, lostFence, planned, committed } = stepsOf(() => ledger);
  const journal = () => ledger.journal(PIPELINE, { limit: 10 });

  /** Expects that a step is refused and leaves the records of the pipeline as they are. */
  async function expectRefused(step: () => Promise<unknown>, code: string): Promise<void> {
    const records = async () => [
      await ledger.head(PIPELINE),
      await ledger.batch(PIPELINE, 0),
      await journal(),
    ];
    const before = await records();
    await expect(step()).rejects.toMatchObject({ code });
    expect(await records()).toEqual(before);
  }

  describe("identify and accept", () => {
    it("What a name stands for is recorded in the head, and replaced by a later record", async () => {
      const mine = await fence();
      await ledger.identify(mine, IDENTITY);
      const next = {
        ...IDENTITY,
        target: "/lake/orders",
        entry: "/project/orders.ts",
        home: "/project/.millrace",
      };
      await ledger.identify(mine, next);
      expect(await ledger.head(PIPELINE)).toMatchObject({ identity: next, epoch: mine.epoch });
      expect(await journal()).toEqual([]);
    });

    it("What a name stands for is not recorded by a run that lost the pipeline", async () => {
      const lost = await lostFence();
      await expectRefused(() => ledger.identify(lost, IDENTITY), "FENCED");
    });

    it("An acceptance forgets what the name stood for, beside a run, and leaves the offset", async () => {
      const mine = await committed();
      await ledger.identify(mine, IDENTITY);
      const { identity, lastCommit: _hint, ...rest } = (await ledger.head(PIPELINE)) ?? {};
      expect(identity).toEqual(IDENTITY);
      await ledger.accept(PIPELINE, ACTION);
      expect(await ledger.head(PIPELINE)).toEqual({ ...rest, isSinkUnchecked: true });
      expect(await journal()).toEqual([{ action: "accept", ...ACTION }]);
      await ledger.identify(mine, IDENTITY);
      expect(await ledger.head(PIPELINE)).toMatchObject({ identity: IDENTITY });
    });

    it("An acceptance of a pipeline that never ran is refused and leaves no trace", async () => {
      await expect(ledger.accept("nobody", ACTION)).rejects.toMatchObject({ code: "PIPELINE_NOT_FOUND" });
      expect(await ledger.head("nobody")).toBeUndefined();
      expect(await ledger.journal("nobody", { limit: 10 })).toEqual([]);
    });
  });

  describe("adopt", () => {
    it("An adoption begins a life after the sink's newest batch, whose end is due to be acknowledged", async () => {
      const mine = await committed();
      await ledger.adopt(mine, ADOPTION, undefined);
      const head = await ledger.head(PIPELINE);
      expect(head).toMatchObject({
        incarnation: "life-2",
        formerIncarnations: ["life-1", "life-0"],
        nextBatchId: 8,
        offset: { n: 80 },
        lastInSink: NEWEST,
        lastCommittedBatchId: 7,
        unacknowledged: { batchId: 7, end: { n: 80 } },
        epoch: mine.epoch,
      });
      expect(head).not.toHaveProperty("openBatchId");
      expect(head).not.toHaveProperty("lastCommit");
      expect(await journal()).toEqual([
        { action: "adopt", ...ACTION, from: { n: 10 }, to: { n: 80 }, batchId: 7 },
      ]);
    });

    it("An adoption without a newest batch begins at the source's initial offset", async () => {
      const mine = await fence();
      const { newest: _newest, to: _to, unacknowledged: _due, ...fromStart } = ADOPTION;
      await ledger.adopt(mine, { ...fromStart, nextBatchId: 0 }, undefined);
      const head = await ledger.head(PIPELINE);
      expect(head).toMatchObject({
        incarnation: "life-2",
        formerIncarnations: ["life-1"],
        nextBatchId: 0,
      });
      for (const field of ["offset", "lastInSink", "lastCommittedBatchId", "unacknowledged"])
        expect(head).not.toHaveProperty(field);
      expect(await journal()).toEqual([{ action: "adopt", ...ACTION }]);
    });

    it("An adoption gives up the open batch, which stays in the list as aborted", async () => {
      const { fence: mine, batch } = await planned();
      await ledger.adopt(mine, ADOPTION, batch);
      expect(await ledger.head(PIPELINE)).not.toHaveProperty("openBatchId");
      expect(await ledger.batch(PIPELINE, 0)).toMatchObject({
        incarnation: "life-1",
        state: "aborted",
        finishedAt: ACTION.at,
        error: { code: "BATCH_ABORTED", where: { pipeline: PIPELINE, batchId: 0, attempt: 1 } },
      });
    });

    it("An adoption closes an open batch whose record is gone", async () => {
      const { fence: mine } = await planned();
      await ledger.adopt(mine, ADOPTION, undefined);
      const head = await ledger.head(PIPELINE);
      expect(head).toMatchObject({ incarnation: "life-2", nextBatchId: 8 });
      expect(head).not.toHaveProperty("openBatchId");
    });

    it("The new life goes on with the next id, and the run of the old life can change nothing", async () => {
      const { fence: mine, batch } = await planned();
      await ledger.adopt(mine, ADOPTION, batch);
      await expectRefused(() => ledger.decide(mine, batch, { to: "committing" }), "FENCED");
      await ledger.release(mine);
      const next = await fence({ owner: BOB, now: 1000 + LEASE, newIncarnation: "life-9" });
      expect(next.incarnation).toBe("life-2");
      const plan = { ...FIRST, incarnation: "life-2", batchId: 8, start: { n: 80 }, end: { n: 90 } };
      expect(await ledger.plan(next, plan)).toMatchObject({ incarnation: "life-2", batchId: 8 });
    });

    it("An adoption is refused to a run that lost the pipeline", async () => {
      const { fence: lost, batch } = await planned();
      await fence({ owner: BOB, now: 1000 + LEASE });
      await expectRefused(() => ledger.adopt(lost, ADOPTION, batch), "FENCED");
    });

    it("An adoption is refused if the open batch has got another attempt since it was read", async () => {
      const { fence: mine, batch } = await planned();
      const next = await ledger.replan(mine, batch, 2000);
      expect(next.attempt).toBe(2);
      await expectRefused(() => ledger.adopt(mine, ADOPTION, batch), "LEDGER_CONFLICT");
    });
  });

  describe("skip", () => {
    /** Brings the open batch into a state. */
    async function openIn(state: BatchState): Promise<{ fence: Fence; batch: Batch }> {
      const { fence: mine } = await planned();
      const step = { batchId: 0, attempt: 1 };
      if (state === "committing") await decide(mine, { ...step, from: "planned", to: "committing" });
      if (state === "aborting" || state === "aborted")
        await decide(mine, { ...step, from: "planned", to: "aborting", error: ERROR });
      if (state === "aborted") await finish(mine, { ...step, to: "aborted", progress: PROGRESS, now: 2000 });
      const batch = await ledger.batch(PIPELINE, 0);
      if (batch?.state !== state) throw new Error(`the batch is ${batch?.state}`);
      return { fence: mine, batch };
    }

    it.each<BatchState>(["planned", "committing", "aborting", "aborted"])(
      "A skip of a batch that is %s starts an attempt without tasks under another plan",
      async (state) => {
        const { fence: mine, batch } = await openIn(state);
        const head = await ledger.head(PIPELINE);
        const skipped = await ledger.skip(mine, batch, SKIP);
        expect(skipped).toMatchObject({
          attempt: 2,
          state: "planned",
          tasks: 0,
          planId: "plan-of-skip",
          skipped: ACTION,
          start: { n: 0 },
          end: { n: 10 },
          lastTriedAttempt: state === "committing" ? 1 : 0,
          plannedAt: ACTION.at,
          firstPlannedAt: 1000,
        });
        for (const field of ["finishedAt", "progress"]) expect(skipped).not.toHaveProperty(field);
        expect(await ledger.batch(PIPELINE, 0)).toEqual(skipped);
        expect(await ledger.head(PIPELINE)).toEqual(head);
        expect(await journal()).toEqual([{ action: "skip", batchId: 0, ...ACTION }]);
      },
    );

    it("A batch that was skipped ends like any other: the offset moves, and the sink has its new plan", async () => {
      const { fence: mine, batch } = await openIn("committing");
      const skipped = await ledger.skip(mine, batch, SKIP);
      await ledger.decide(mine, skipped, { to: "committing" });
      const tried = { ...skipped, state: "committing" as const };
      const nothing = { rows: 0, bytes: 0 };
      const ended = await ledger.finish(mine, tried, { to: "committed", progress: nothing, now: 6000 });
      expect(ended).toMatchObject({ state: "committed", skipped: ACTION });
      expect(await ledger.head(PIPELINE)).toMatchObject({
        offset: { n: 10 },
        lastInSink: { incarnation: "life-1", batchId: 0, planId: "plan-of-skip" },
        unacknowledged: { batchId: 0, end: { n: 10 } },
      });
    });

    it("A skip of a batch that has landed keeps its plan", async () => {
      const { fence: mine, batch } = await openIn("committing");
      expect(await ledger.skip(mine, batch, { ...ACTION, planId: batch.planId })).toMatchObject({
        planId: "plan-0",
        tasks: 0,
      });
    });

    it("A skip is refused to a run that lost the pipeline", async () => {
      const { fence: lost, batch } = await openIn("planned");
      await fence({ owner: BOB, now: 1000 + LEASE });
      await expectRefused(() => ledger.skip(lost, batch, SKIP), "FENCED");
    });

    it("A skip is refused if the batch has changed since it was read, or is not there", async () => {
      const { fence: mine, batch } = await openIn("planned");
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
      await expectRefused(() => ledger.skip(mine, batch, SKIP), "LEDGER_CONFLICT");
      await expectRefused(() => ledger.skip(mine, { ...batch, batchId: 5 }, SKIP), "LEDGER_CONFLICT");
    });

    it("A skip of a batch that is not open is refused", async () => {
      const mine = await committed();
      const batch = await ledger.batch(PIPELINE, 0);
      if (batch === undefined) throw new Error("there is no batch");
      await expectRefused(() => ledger.skip(mine, batch, SKIP), "LEDGER_CONFLICT");
    });
  });

  describe("forget", () => {
    it("A forgotten pipeline leaves no record, and the records of other pipelines stay", async () => {
      const mine = await committed();
      await ledger.recordTask(KEY, TASK);
      await ledger.reportProgress(KEY, RUNNING);
      await ledger.pause(PIPELINE, ACTION);
      // Names that begin alike, or differ in a sign that databases may treat as special.
      const others = ["order", "orders-2", "orders_", "ordersx"];
      for (const pipeline of others) {
        const theirs = await fence({ pipeline });
        await ledger.plan(theirs, FIRST);
        await ledger.recordTask({ ...KEY, pipeline }, TASK);
        await ledger.reportProgress({ ...KEY, pipeline }, RUNNING);
        await ledger.pause(pipeline, ACTION);
      }
      await ledger.forget(mine);
      expect(await ledger.pipelines()).toEqual([...others].sort());
      expect(await ledger.head(PIPELINE)).toBeUndefined();
      expect(await ledger.batches(PIPELINE, { limit: 10 })).toEqual([]);
      expect(await journal()).toEqual([]);
      expect(await ledger.tasks(KEY)).toEqual([]);
      expect(await ledger.progress(KEY)).toEqual([]);
      for (const pipeline of others) {
        expect(await ledger.head(pipeline)).toMatchObject({ openBatchId: 0, paused: ACTION });
        expect(await ledger.batches(pipeline, { limit: 10 })).toHaveLength(1);
        expect(await ledger.journal(pipeline, { limit: 10 })).toHaveLength(1);
        expect(await ledger.tasks({ ...KEY, pipeline })).toEqual([TASK]);
        expect(await ledger.progress({ ...KEY, pipeline })).toEqual([RUNNING]);
      }
    });

    it("A forgotten pipeline begins again in a new life at batch 0", async () => {
      await ledger.forget(await committed());
      const { head } = await acquire({ newIncarnation: "life-3" });
      expect(head).toMatchObject({ incarnation: "life-3", nextBatchId: 0 });
      expect(head).not.toHaveProperty("offset");
      const again = { ...FIRST, incarnation: "life-3" };
      const mine = { pipeline: PIPELINE, incarnation: "life-3", epoch: head.epoch };
      expect(await ledger.plan(mine, again)).toMatchObject({ batchId: 0, incarnation: "life-3" });
    });

    it("A run that lost the pipeline cannot forget it", async () => {
      const { fence: lost } = await planned();
      await fence({ owner: BOB, now: 1000 + LEASE });
      await expectRefused(() => ledger.forget(lost), "FENCED");
    });
  });

  describe("a fence of another life", () => {
    it.each<[string, (other: Fence, batch: Batch) => Promise<unknown>]>([
      ["initialize", (other) => ledger.initialize(other, { n: 7 })],
      ["plan", (other) => ledger.plan(other, { ...FIRST, batchId: 1, start: { n: 10 } })],
      ["replan", (other, batch) => ledger.replan(other, batch, 3000)],
      ["decide", (other, batch) => ledger.decide(other, batch, { to: "committing" })],
      ["recordError", (other, batch) => ledger.recordError(other, batch, ERROR)],
      [
        "finish",
        (other, batch) => ledger.finish(other, batch, { to: "aborted", progress: PROGRESS, now: 3000 }),
      ],
      ["acknowledge", (other) => ledger.acknowledge(other, 0)],
      ["rewind", (other) => ledger.rewind(other, { ...ACTION, from: { n: 0 }, to: { n: 4 } })],
      ["identify", (other) => ledger.identify(other, IDENTITY)],
      ["adopt", (other, batch) => ledger.adopt(other, ADOPTION, batch)],
      ["skip", (other, batch) => ledger.skip(other, batch, SKIP)],
      ["forget", (other) => ledger.forget(other)],
    ])("The step %s is refused to a run of another life with the same epoch", async (_name, step) => {
      const { fence: mine, batch } = await planned();
      await expectRefused(() => step({ ...mine, incarnation: "life-of-a-copy" }, batch), "FENCED");
    });

    it("An unlock by the fence of another life is refused", async () => {
      const { fence: mine } = await planned();
      const other = { ...mine, incarnation: "life-of-a-copy" };
      await expectRefused(() => ledger.unlock(other, ACTION), "LEDGER_CONFLICT");
    });

    it("A release by the fence of another life leaves the lease", async () => {
      const { fence: mine } = await planned();
      const before = await ledger.head(PIPELINE);
      await ledger.release({ ...mine, incarnation: "life-of-a-copy" });
      expect(await ledger.head(PIPELINE)).toEqual(before);
    });

    it("A lease is not taken over from a holder of another life", async () => {
      const { fence: mine } = await planned();
      const takeOver = { ...mine, incarnation: "life-of-a-copy" };
      expect(await acquire({ owner: BOB, takeOver })).toMatchObject({ acquired: false });
    });
  });
}
