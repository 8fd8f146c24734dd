import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "../../../../shared/engine/ports/ledger.ts";
import type { CommitClaim, TaskKey } from "../../../../shared/engine/ports/tasks.ts";
import { BOB, CLAIM, KEY, LEASE, type LedgerOptions, RUNNING, stepsOf, TASK } from "./steps.ts";

/** Another attempt of the same task, which runs beside the first one. */
const OTHER: CommitClaim = { ...CLAIM, writerId: "writer-2", attemptNumber: 1, expiresAt: 9500 };
const GRANTED = { granted: true };
const BEFORE = CLAIM.expiresAt - 1;

/** Tests of the claims of task attempts that ask whether they may commit. */
export function claims(open: () => Promise<Ledger>, options: LedgerOptions): void {
  let ledger: Ledger;
  beforeEach(async () => {
    ledger = await open();
  });
  const { fence, planned } = stepsOf(() => ledger);

  describe("authorizeCommit", () => {
    it("The first attempt that asks may commit, and the ledger keeps its claim", async () => {
      expect(await ledger.commitClaim(KEY)).toBeUndefined();
      expect(await ledger.authorizeCommit(KEY, CLAIM, 1000)).toEqual(GRANTED);
      expect(await ledger.commitClaim(KEY)).toEqual(CLAIM);
    });

    it("A second attempt of the same run learns who may commit, and changes nothing", async () => {
      await ledger.authorizeCommit(KEY, CLAIM, 1000);
      expect(await ledger.authorizeCommit(KEY, OTHER, BEFORE)).toEqual({ granted: false, holder: CLAIM });
      expect(await ledger.commitClaim(KEY)).toEqual(CLAIM);
    });

    it("Of many attempts that ask at once, one may commit, and the others learn which one", async () => {
      const asked = Array.from({ length: 8 }, (_, i) => ({ ...CLAIM, writerId: `writer-${i}` }));
      const answers = await Promise.all(asked.map((claim) => ledger.authorizeCommit(KEY, claim, 1000)));
      const holder = await ledger.commitClaim(KEY);
      const expected = asked.map((claim) =>
        claim.writerId === holder?.writerId ? GRANTED : { granted: false, holder },
      );
      expect(answers).toEqual(expected);
    });

    it("An attempt that asks again may commit, and its claim is the one that it asked with last", async () => {
      await ledger.authorizeCommit(KEY, CLAIM, 1000);
      const again = { ...CLAIM, expiresAt: 9900 };
      expect(await ledger.authorizeCommit(KEY, again, 1001)).toEqual(GRANTED);
      expect(await ledger.commitClaim(KEY)).toEqual(again);
    });

    it("A claim gives way in the millisecond in which it expires, and then its attempt is refused", async () => {
      await ledger.authorizeCommit(KEY, CLAIM, 1000);
      expect(await ledger.authorizeCommit(KEY, OTHER, CLAIM.expiresAt)).toEqual(GRANTED);
      expect(await ledger.commitClaim(KEY)).toEqual(OTHER);
      expect(await ledger.authorizeCommit(KEY, CLAIM, CLAIM.expiresAt)).toEqual({
        granted: false,
        holder: OTHER,
      });
    });

    it("A claim gives way to an attempt of a later run, and not to one of an earlier run", async () => {
      await ledger.authorizeCommit(KEY, CLAIM, 1000);
      const later = { ...OTHER, epoch: CLAIM.epoch + 1 };
      const earlier = { ...OTHER, epoch: CLAIM.epoch - 1 };
      expect(await ledger.authorizeCommit(KEY, earlier, 1001)).toEqual({ granted: false, holder: CLAIM });
      expect(await ledger.authorizeCommit(KEY, later, 1001)).toEqual(GRANTED);
      expect(await ledger.authorizeCommit(KEY, CLAIM, 1002)).toEqual({ granted: false, holder: later });
    });

    it("An attempt of a recorded task learns the record, even the attempt that wrote it", async () => {
      await ledger.authorizeCommit(KEY, CLAIM, 1000);
      await ledger.recordTask(KEY, TASK);
      for (const claim of [OTHER, CLAIM, { ...OTHER, epoch: 99 }])
        expect(await ledger.authorizeCommit(KEY, claim, 99_999)).toEqual({ granted: false, task: TASK });
      expect(await ledger.commitClaim(KEY)).toBeUndefined();
      expect(await ledger.task(KEY)).toEqual(TASK);
    });

    it.each<[string, Partial<TaskKey>]>([
      ["pipelines", { pipeline: "clicks" }],
      ["incarnations", { incarnation: "life-2" }],
      ["batches", { batchId: 1 }],
      ["attempts of the batch", { attempt: 2 }],
      ["partitions", { partition: 1 }],
    ])("The ledger keeps the claims of %s apart", async (_what, other) => {
      await ledger.authorizeCommit(KEY, CLAIM, 1000);
      expect(await ledger.authorizeCommit({ ...KEY, ...other }, OTHER, 1000)).toEqual(GRANTED);
      expect(await ledger.commitClaim(KEY)).toEqual(CLAIM);
    });

    it("A claim is not fenced: a task of a run that lost the pipeline may still commit", async () => {
      await planned();
      await fence({ owner: BOB, now: 1000 + LEASE });
      expect(await ledger.authorizeCommit(KEY, CLAIM, 1000)).toEqual(GRANTED);
    });

    it("A claim is neither a task nor a progress report", async () => {
      await ledger.reportProgress({ ...KEY, partition: 1 }, { ...RUNNING, partition: 1 });
      await ledger.authorizeCommit(KEY, CLAIM, 1000);
      expect(await ledger.task(KEY)).toBeUndefined();
      expect(await ledger.tasks(KEY)).toEqual([]);
      expect(await ledger.progress(KEY)).toEqual([{ ...RUNNING, partition: 1 }]);
    });
  });

  describe("releaseCommit", () => {
    it("A released claim lets the next attempt commit", async () => {
      await ledger.authorizeCommit(KEY, CLAIM, 1000);
      await ledger.releaseCommit(KEY, CLAIM.writerId);
      expect(await ledger.commitClaim(KEY)).toBeUndefined();
      expect(await ledger.task(KEY)).toBeUndefined();
      expect(await ledger.tasks(KEY)).toEqual([]);
      expect(await ledger.authorizeCommit(KEY, OTHER, 1001)).toEqual(GRANTED);
    });

    it("An attempt cannot release the claim of another one, nor one that was never made", async () => {
      await ledger.releaseCommit(KEY, CLAIM.writerId);
      expect(await ledger.commitClaim(KEY)).toBeUndefined();
      await ledger.authorizeCommit(KEY, CLAIM, 1000);
      await ledger.releaseCommit(KEY, OTHER.writerId);
      await ledger.releaseCommit({ ...KEY, partition: 1 }, CLAIM.writerId);
      expect(await ledger.commitClaim(KEY)).toEqual(CLAIM);
    });

    it("A release after the record changes nothing", async () => {
      await ledger.authorizeCommit(KEY, CLAIM, 1000);
      await ledger.recordTask(KEY, TASK);
      await ledger.releaseCommit(KEY, CLAIM.writerId);
      expect(await ledger.task(KEY)).toEqual(TASK);
    });
  });

  describe("claims and records", () => {
    it("The first record wins, whichever attempt may commit, and the claim is gone with it", async () => {
      await ledger.authorizeCommit(KEY, CLAIM, 1000);
      const late = { ...TASK, writerId: "writer-2", attemptNumber: 1 };
      expect(await ledger.recordTask(KEY, late)).toEqual(late);
      expect(await ledger.recordTask(KEY, TASK)).toEqual(late);
      expect(await ledger.commitClaim(KEY)).toBeUndefined();
      expect(await ledger.tasks(KEY)).toEqual([late]);
    });

    it("A task that was dropped can be committed anew by any attempt", async () => {
      const { fence: held, batch } = await planned();
      await ledger.authorizeCommit(KEY, CLAIM, 1000);
      await ledger.recordTask(KEY, TASK);
      await ledger.dropTasks(held, batch, [TASK]);
      expect(await ledger.commitClaim(KEY)).toBeUndefined();
      expect(await ledger.authorizeCommit(KEY, OTHER, 1001)).toEqual(GRANTED);
      expect(await ledger.recordTask(KEY, { ...TASK, writerId: "writer-2" })).toMatchObject({
        writerId: "writer-2",
      });
    });

    it("A drop of a task that runs again leaves the claim of the new attempt", async () => {
      const { fence: held, batch } = await planned();
      await ledger.recordTask(KEY, TASK);
      await ledger.dropTasks(held, batch, [TASK]);
      await ledger.authorizeCommit(KEY, OTHER, 1001);
      await ledger.dropTasks(held, batch, [TASK]);
      expect(await ledger.commitClaim(KEY)).toEqual(OTHER);
    });

    it("A pipeline that is forgotten leaves no claim, and other pipelines keep theirs", async () => {
      const { fence: held } = await planned();
      const other = { ...KEY, pipeline: "clicks" };
      await ledger.authorizeCommit(KEY, CLAIM, 1000);
      await ledger.authorizeCommit(other, CLAIM, 1000);
      await ledger.forget(held);
      expect(await ledger.commitClaim(KEY)).toBeUndefined();
      expect(await ledger.commitClaim(other)).toEqual(CLAIM);
    });

    if (options.forgetsByItself !== true) {
      it("The ledger forgets claims that expired before a given time, and no later ones", async () => {
        await ledger.authorizeCommit(KEY, CLAIM, 1000);
        await ledger.authorizeCommit({ ...KEY, partition: 1 }, OTHER, 1000);
        await ledger.expireTasks(OTHER.expiresAt);
        expect(await ledger.commitClaim(KEY)).toBeUndefined();
        expect(await ledger.commitClaim({ ...KEY, partition: 1 })).toEqual(OTHER);
      });
    }
  });
}
