import { beforeEach, describe, expect, it } from "vitest";
import type { Fence, Ledger } from "../../../../shared/engine/ports/ledger.ts";
import { BOB, FIRST, LEASE, PIPELINE, PROGRESS, stepsOf } from "./steps.ts";

/** Tests of manual operations on a pipeline. */
export function byHand(open: () => Promise<Ledger>): void {
  let ledger: Ledger;
  beforeEach(async () => {
    ledger = await open();
  });
  const { decide, finish, acquire, fence, lostFence, planned, committed } = stepsOf(() => ledger);

  describe("by hand", () => {
    const ACTION = { by: "ann@desk", why: "the source is ill", at: 5000 };
    const NOBODY: Fence = { pipeline: "nobody", incarnation: "life-1", epoch: 0 };
    const REWIND = { ...ACTION, from: { n: 10 }, to: { n: 4 } };
    const journal = () => ledger.journal(PIPELINE, { limit: 10 });

    it.each<[string, () => Promise<void>]>([
      ["pause", () => ledger.pause("nobody", ACTION)],
      ["resume", () => ledger.resume("nobody", ACTION)],
      ["rewind", () => ledger.rewind(NOBODY, REWIND)],
      ["claim of a backfill", () => ledger.setBackfills("nobody", { ...ACTION, from: [], to: [] })],
      ["unlock", () => ledger.unlock(NOBODY, ACTION)],
    ])("A %s of a pipeline that never ran is refused and leaves no trace", async (_name, act) => {
      await expect(act()).rejects.toMatchObject({ code: "PIPELINE_NOT_FOUND" });
      expect(await ledger.head("nobody")).toBeUndefined();
      expect(await ledger.journal("nobody", { limit: 10 })).toEqual([]);
    });

    it("A pause keeps who, why and since when, beside a run and its open batch, until a resume", async () => {
      await planned();
      const before = await ledger.head(PIPELINE);
      await ledger.pause(PIPELINE, ACTION);
      expect(await ledger.head(PIPELINE)).toEqual({ ...before, paused: ACTION });
      await ledger.resume(PIPELINE, { by: "bob", at: 6000 });
      expect(await ledger.head(PIPELINE)).toEqual(before);
      expect(await journal()).toEqual([
        { action: "resume", by: "bob", at: 6000 },
        { action: "pause", ...ACTION },
      ]);
    });

    it("The claims of backfills change beside a run, only from those that were looked at, and are journaled", async () => {
      const one = { name: "p@1_2", id: "a", from: "1", to: "2", chunk: "1" };
      const two = { name: "p@2_3", id: "b", from: "2", to: "3", chunk: "1" };
      await planned();
      const before = await ledger.head(PIPELINE);
      await ledger.setBackfills(PIPELINE, { ...ACTION, from: [], to: [one] });
      expect(await ledger.head(PIPELINE)).toEqual({ ...before, backfills: [one] });
      const late = ledger.setBackfills(PIPELINE, { ...ACTION, from: [], to: [two] });
      await expect(late).rejects.toMatchObject({ code: "LEDGER_CONFLICT" });
      await ledger.setBackfills(PIPELINE, { ...ACTION, from: [one], to: [one, two] });
      expect((await ledger.head(PIPELINE))?.backfills).toEqual([one, two]);
      await ledger.setBackfills(PIPELINE, { ...ACTION, from: [one, two], to: [] });
      expect(await ledger.head(PIPELINE)).toEqual(before);
      expect(await journal()).toEqual(Array(3).fill({ action: "backfill", ...ACTION }));
    });

    it("A pause fences no run: the run ends its batch, and the pause stays", async () => {
      const { fence: mine } = await planned();
      await ledger.pause(PIPELINE, ACTION);
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
      await finish(mine, { batchId: 0, attempt: 1, to: "committed", progress: PROGRESS, now: 2000 });
      await ledger.release(mine);
      expect((await acquire({ owner: BOB })).head).toMatchObject({ paused: ACTION, offset: { n: 10 } });
    });

    it("A rewind moves the offset and drops a due acknowledgement: ids continue", async () => {
      const mine = await committed();
      const before = await ledger.head(PIPELINE);
      await ledger.rewind(mine, REWIND);
      const { unacknowledged: due, ...rest } = before ?? {};
      expect(await ledger.head(PIPELINE)).toEqual({ ...rest, offset: { n: 4 }, isSinkUnchecked: true });
      expect(due).toEqual({ batchId: 0, end: { n: 10 } });
      expect(await journal()).toEqual([{ action: "rewind", ...REWIND }]);
      const next = await ledger.plan(mine, { ...FIRST, batchId: 1, start: { n: 4 }, end: { n: 12 } });
      expect(next).toMatchObject({ batchId: 1, start: { n: 4 } });
    });

    it("A rewind takes its offset as the present one whatever the order of keys is", async () => {
      const mine = await fence();
      await ledger.initialize(mine, { a: 1, b: { c: 2, d: 3 } });
      await ledger.rewind(mine, { ...ACTION, from: { b: { d: 3, c: 2 }, a: 1 }, to: { a: 0 } });
      expect((await ledger.head(PIPELINE))?.offset).toEqual({ a: 0 });
    });

    async function expectRefusedRewind(
      by: Fence,
      rewind: typeof REWIND,
      error: { code: string; message?: unknown },
    ): Promise<void> {
      const before = await ledger.head(PIPELINE);
      await expect(ledger.rewind(by, rewind)).rejects.toMatchObject(error);
      expect(await ledger.head(PIPELINE)).toEqual(before);
      expect(await journal()).toEqual([]);
    }

    it("A rewind is refused to a lost epoch", async () => {
      const lost = await committed();
      await fence({ owner: BOB, now: 1000 + LEASE });
      await expectRefusedRewind(lost, REWIND, { code: "FENCED" });
    });

    it("A rewind is refused while a batch is open", async () => {
      const { fence: mine } = await planned();
      const message = expect.stringContaining("batch 0 is open");
      await expectRefusedRewind(mine, { ...REWIND, from: { n: 0 } }, { code: "BATCH_OPEN", message });
    });

    it("A rewind is refused from an offset that is not the present one, and if there is none", async () => {
      await expectRefusedRewind(await fence(), REWIND, { code: "LEDGER_CONFLICT" });
      const mine = await committed();
      await expectRefusedRewind(mine, { ...REWIND, from: { n: 9 } }, { code: "LEDGER_CONFLICT" });
    });

    it("An unlock takes the lease from its holder, who can change nothing afterwards", async () => {
      const { fence: lost } = await planned();
      await ledger.unlock(lost, ACTION);
      const head = await ledger.head(PIPELINE);
      expect(head).toMatchObject({ epoch: lost.epoch + 1, openBatchId: 0 });
      expect(head).not.toHaveProperty("lease");
      expect(await journal()).toEqual([{ action: "unlock", ...ACTION }]);
      await expect(
        decide(lost, { batchId: 0, attempt: 1, from: "planned", to: "committing" }),
      ).rejects.toMatchObject({ code: "FENCED" });
      expect((await acquire({ owner: BOB })).acquired).toBe(true);
    });

    it("An unlock spares a holder of another epoch", async () => {
      const lost = await lostFence();
      const before = await ledger.head(PIPELINE);
      await expect(ledger.unlock(lost, ACTION)).rejects.toMatchObject({ code: "LEDGER_CONFLICT" });
      expect(await ledger.head(PIPELINE)).toEqual(before);
      expect(await journal()).toEqual([]);
    });

    it("The journal returns the newest entries of its pipeline first, up to a limit", async () => {
      await acquire();
      await acquire({ pipeline: "clicks" });
      await ledger.pause("clicks", ACTION);
      for (let i = 0; i < 12; i++) await ledger.pause(PIPELINE, { by: `person ${i}`, at: 5000 + i });
      await ledger.pause("clicks", { ...ACTION, at: 9000 });
      const entries = await ledger.journal(PIPELINE, { limit: 3 });
      expect(entries.map(({ by }) => by)).toEqual(["person 11", "person 10", "person 9"]);
      expect(await ledger.batches(PIPELINE, { limit: 3 })).toEqual([]);
    });
  });
}
