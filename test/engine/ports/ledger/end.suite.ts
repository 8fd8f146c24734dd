import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "../../../../shared/engine/ports/ledger.ts";
import { FIRST, MEASURED, PIPELINE, PROGRESS, stepsOf } from "./steps.ts";

/** Tests of the end of a batch: decision, end and acknowledgement. */
export function ends(open: () => Promise<Ledger>): void {
  let ledger: Ledger;
  beforeEach(async () => {
    ledger = await open();
  });
  const { decide, finish, replan, planned, committed } = stepsOf(() => ledger);

  describe("decide", () => {
    it("A decision moves a planned batch to committing and notes that its commit may be tried", async () => {
      const { fence: mine } = await planned();
      const batch = await decide(mine, {
        batchId: 0,
        attempt: 1,
        from: "planned",
        to: "committing",
      });
      expect(batch).toMatchObject({ state: "committing", lastTriedAttempt: 1 });
      expect(await ledger.batch(PIPELINE, 0)).toEqual(batch);
    });

    it("A decision moves a planned batch to aborting with the error and notes that no commit was tried", async () => {
      const { fence: mine } = await planned();
      const error = { code: "HTTP_STATUS", message: "GET … answered 500", where: { partition: 2 } };
      expect(
        await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting", error }),
      ).toMatchObject({
        state: "aborting",
        lastTriedAttempt: 0,
        error,
      });
    });

    it("A decision moves a committing batch to aborting and keeps the note that its commit was tried", async () => {
      const { fence: mine } = await planned();
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
      expect(
        await decide(mine, { batchId: 0, attempt: 1, from: "committing", to: "aborting" }),
      ).toMatchObject({
        state: "aborting",
        lastTriedAttempt: 1,
      });
    });

    it("A decision to abort cannot replace a commit that was decided since its caller read the batch", async () => {
      const { fence: mine } = await planned();
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
      expect(await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" })).toMatchObject({
        state: "committing",
      });
    });

    it("An error is recorded for the attempt without a change of its state, and not for a later state", async () => {
      const { fence: mine, batch } = await planned();
      const error = { code: "SINK_FAILED", message: "commit() failed", where: {}, also: [] };
      await ledger.recordError(mine, batch, error);
      expect(await ledger.batch(PIPELINE, 0)).toEqual({ ...batch, error });
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
      await ledger.recordError(mine, batch, { ...error, message: "too late" });
      expect(await ledger.batch(PIPELINE, 0)).toMatchObject({ state: "committing", error });
    });

    it("A decision is made once: a later caller gets the recorded decision", async () => {
      const { fence: mine } = await planned();
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" });
      expect(await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" })).toMatchObject(
        {
          state: "aborting",
          lastTriedAttempt: 0,
        },
      );
    });

    it("A decision that cannot follow the state is refused, also if the caller saw that state", async () => {
      const mine = await committed();
      const before = await ledger.batch(PIPELINE, 0);
      const decisions = [
        { from: "committed", to: "aborting" },
        { from: "committed", to: "committing" },
        { from: "committing", to: "committing" },
      ] as const;
      for (const decision of decisions)
        await expect(decide(mine, { batchId: 0, attempt: 1, ...decision })).rejects.toMatchObject({
          code: "LEDGER_CONFLICT",
        });
      expect(await ledger.batch(PIPELINE, 0)).toEqual(before);
    });

    it("A decision changes nothing in a batch that has ended", async () => {
      const mine = await committed();
      const before = await ledger.batch(PIPELINE, 0);
      expect(await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" })).toEqual(before);
    });

    it("A decision changes nothing in another attempt", async () => {
      const { fence: mine } = await planned();
      expect(await decide(mine, { batchId: 0, attempt: 2, from: "planned", to: "aborting" })).toMatchObject({
        state: "planned",
        attempt: 1,
      });
    });
  });

  describe("finish", () => {
    it("A commit moves the offset, closes the batch and makes its acknowledgement due, all at once", async () => {
      await committed();
      expect(await ledger.batch(PIPELINE, 0)).toMatchObject({
        state: "committed",
        finishedAt: 2000,
        progress: PROGRESS,
      });
      const head = await ledger.head(PIPELINE);
      expect(head).toMatchObject({
        offset: { n: 10 },
        lastCommittedBatchId: 0,
        nextBatchId: 1,
        unacknowledged: { batchId: 0, end: { n: 10 } },
      });
      expect(head?.openBatchId).toBeUndefined();
    });

    it("A commit keeps the batch's measurements", async () => {
      const { fence: mine } = await planned();
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
      const ended = await finish(mine, {
        batchId: 0,
        attempt: 1,
        to: "committed",
        progress: MEASURED,
        now: 2000,
      });
      expect(ended.progress).toEqual(MEASURED);
      expect(await ledger.batch(PIPELINE, 0)).toEqual(ended);
      expect(await ledger.batches(PIPELINE, { limit: 1 })).toEqual([ended]);
    });

    it("A commit keeps the sink's hint until the next commit replaces or removes it", async () => {
      const { fence: mine } = await planned();
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
      const lastCommit = { version: 12, table: "s3://lake/orders" };
      await finish(mine, {
        batchId: 0,
        attempt: 1,
        to: "committed",
        progress: PROGRESS,
        now: 2000,
        lastCommit,
      });
      expect((await ledger.head(PIPELINE))?.lastCommit).toEqual(lastCommit);
      await ledger.plan(mine, { ...FIRST, batchId: 1, start: { n: 10 }, end: { n: 20 } });
      expect((await ledger.head(PIPELINE))?.lastCommit).toEqual(lastCommit);
      await decide(mine, { batchId: 1, attempt: 1, from: "planned", to: "committing" });
      await finish(mine, { batchId: 1, attempt: 1, to: "committed", progress: PROGRESS, now: 2000 });
      expect((await ledger.head(PIPELINE))?.lastCommit).toBeUndefined();
    });

    it("A commit is refused from planned and from aborting, and the offset stays", async () => {
      const { fence: mine } = await planned();
      const outcome = { batchId: 0, attempt: 1, to: "committed", progress: PROGRESS, now: 2000 } as const;
      expect(await finish(mine, outcome)).toMatchObject({ state: "planned" });
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" });
      expect(await finish(mine, outcome)).toMatchObject({ state: "aborting" });
      expect(await ledger.head(PIPELINE)).toMatchObject({ offset: { n: 0 }, openBatchId: 0 });
    });

    it("A commit that is recorded twice has the effect of one", async () => {
      const mine = await committed();
      await ledger.acknowledge(mine, 0);
      const before = await ledger.head(PIPELINE);
      const again = await finish(mine, {
        batchId: 0,
        attempt: 1,
        to: "committed",
        progress: { rows: 0, bytes: 0 },
        now: 9,
      });
      expect(again).toMatchObject({ state: "committed", finishedAt: 2000, progress: PROGRESS });
      expect(await ledger.head(PIPELINE)).toEqual(before);
    });

    it("An end of another attempt changes nothing", async () => {
      const { fence: mine } = await planned();
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
      const batch = await finish(mine, {
        batchId: 0,
        attempt: 2,
        to: "committed",
        progress: PROGRESS,
        now: 1,
      });
      expect(batch).toMatchObject({ state: "committing", attempt: 1 });
      expect(await ledger.head(PIPELINE)).toMatchObject({ offset: { n: 0 }, openBatchId: 0 });
    });

    it("A commit with too many sink items, or items of a wrong kind, writes nothing", async () => {
      const { fence: mine } = await planned();
      const batch = await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
      const before = await ledger.head(PIPELINE);
      const foreign = { kind: "another store" };
      const tooMany = Array.from({ length: ledger.limits.maxSinkItems + 1 }, () => foreign);
      for (const sinkItems of [tooMany, [foreign]]) {
        const outcome = { to: "committed", progress: PROGRESS, now: 2000, sinkItems } as const;
        await expect(ledger.finish(mine, batch, outcome)).rejects.toMatchObject({
          code: "TRANSACTION_REFUSED",
        });
      }
      expect(await ledger.head(PIPELINE)).toEqual(before);
      expect(await ledger.batch(PIPELINE, 0)).toEqual(batch);
    });

    it("An abort leaves the batch open at its offsets", async () => {
      const { fence: mine } = await planned();
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" });
      const batch = await finish(mine, {
        batchId: 0,
        attempt: 1,
        to: "aborted",
        progress: PROGRESS,
        now: 2000,
      });
      expect(batch).toMatchObject({ state: "aborted", finishedAt: 2000 });
      expect(await ledger.head(PIPELINE)).toMatchObject({
        offset: { n: 0 },
        openBatchId: 0,
        nextBatchId: 1,
      });
    });
  });

  describe("finish of an abort by an error that will not pass", () => {
    const lasting = { code: "ROW_MISMATCH", pausesAfter: 2 };
    const outcome = { to: "aborted", progress: PROGRESS, now: 2000, lasting } as const;

    it("Aborts by errors that will not pass are counted from attempt to attempt, and pause the pipeline", async () => {
      const { fence: mine } = await planned();
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" });
      const first = await finish(mine, { batchId: 0, attempt: 1, ...outcome });
      expect(first).toMatchObject({ state: "aborted", lastingFailures: 1 });
      expect(await ledger.batch(PIPELINE, 0)).toEqual(first);
      expect((await ledger.head(PIPELINE))?.paused).toBeUndefined();

      await replan(mine, 0, 1, 2500);
      await decide(mine, { batchId: 0, attempt: 2, from: "planned", to: "aborting" });
      const second = await finish(mine, { batchId: 0, attempt: 2, ...outcome, now: 3000 });
      expect(second).toMatchObject({ state: "aborted", attempt: 2 });
      expect(second).not.toHaveProperty("lastingFailures");
      expect(await ledger.batch(PIPELINE, 0)).toEqual(second);
      const paused = { by: "millrace", at: 3000, batchId: 0 };
      const head = await ledger.head(PIPELINE);
      expect(head).toMatchObject({ paused: { ...paused, code: "ROW_MISMATCH" }, openBatchId: 0 });
      const [entry] = await ledger.journal(PIPELINE, { limit: 9 });
      expect(entry).toEqual({ action: "pause", ...paused, why: head?.paused?.why });

      // A finalizer that comes late neither counts nor pauses again.
      await ledger.resume(PIPELINE, { by: "ann", at: 4000 });
      expect(await finish(mine, { batchId: 0, attempt: 2, ...outcome, now: 5000 })).toEqual(second);
      expect((await ledger.head(PIPELINE))?.paused).toBeUndefined();
      expect(await ledger.journal(PIPELINE, { limit: 9 })).toHaveLength(2);
    });

    it("An abort that pauses leaves the pause of a person as it is", async () => {
      const { fence: mine } = await planned();
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" });
      const byAnn = { by: "ann", at: 1500, why: "a deployment" };
      await ledger.pause(PIPELINE, byAnn);
      const ended = { batchId: 0, attempt: 1, ...outcome, lasting: { ...lasting, pausesAfter: 1 } };
      expect(await finish(mine, ended)).toMatchObject({ state: "aborted" });
      expect((await ledger.head(PIPELINE))?.paused).toEqual(byAnn);
    });

    it("A run that lost the pipeline pauses nothing", async () => {
      const { fence: mine } = await planned();
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" });
      await ledger.unlock(mine, { by: "ann", at: 1500 });
      const ended = { batchId: 0, attempt: 1, ...outcome, lasting: { ...lasting, pausesAfter: 1 } };
      await expect(finish(mine, ended)).rejects.toMatchObject({ code: "FENCED" });
      expect((await ledger.head(PIPELINE))?.paused).toBeUndefined();
    });
  });

  describe("acknowledge", () => {
    it("An acknowledgement removes its batch from the head, once", async () => {
      const mine = await committed();
      await ledger.acknowledge(mine, 0);
      await ledger.acknowledge(mine, 0);
      expect((await ledger.head(PIPELINE))?.unacknowledged).toBeUndefined();
    });

    it("An acknowledgement of another batch changes nothing", async () => {
      const mine = await committed();
      await ledger.acknowledge(mine, 1);
      expect((await ledger.head(PIPELINE))?.unacknowledged).toEqual({ batchId: 0, end: { n: 10 } });
    });
  });
}
