import { beforeEach, describe, expect, it } from "vitest";
import type { Fence, Ledger } from "../../../../shared/engine/ports/ledger.ts";
import { ALICE, BOB, FIRST, LEASE, PIPELINE, PROGRESS, stepsOf } from "./steps.ts";

/** Tests of the lease of a pipeline, and of a run that has lost it. */
export function lease(open: () => Promise<Ledger>): void {
  let ledger: Ledger;
  beforeEach(async () => {
    ledger = await open();
  });
  const { decide, finish, replan, acquire, fence, lostFence, planned } = stepsOf(() => ledger);

  describe("acquire", () => {
    it("The first acquisition creates the head, with its incarnation", async () => {
      expect(await ledger.head(PIPELINE)).toBeUndefined();
      expect(await acquire()).toEqual({
        acquired: true,
        head: {
          pipeline: PIPELINE,
          incarnation: "life-1",
          epoch: 1,
          lease: { owner: ALICE, expiresAt: 1000 + LEASE },
          nextBatchId: 0,
        },
      });
    });

    it("A later acquisition by the same owner keeps the incarnation and takes a new epoch", async () => {
      await acquire();
      const { acquired, head } = await acquire({ newIncarnation: "life-2" });
      expect({ acquired, incarnation: head.incarnation, epoch: head.epoch }).toEqual({
        acquired: true,
        incarnation: "life-1",
        epoch: 2,
      });
    });

    it("An acquisition by another owner is refused with the holder's name and changes nothing", async () => {
      await acquire();
      const { acquired, head } = await acquire({ owner: BOB });
      expect(acquired).toBe(false);
      expect(head).toMatchObject({ epoch: 1, lease: { owner: ALICE } });
      expect(await ledger.head(PIPELINE)).toEqual(head);
    });

    it("An acquisition by another owner succeeds when the lease expires, not before", async () => {
      await acquire();
      expect((await acquire({ owner: BOB, now: 1000 + LEASE - 1 })).acquired).toBe(false);
      expect(await acquire({ owner: BOB, now: 1000 + LEASE })).toMatchObject({
        acquired: true,
        head: { epoch: 2, lease: { owner: BOB } },
      });
    });

    it("An acquisition by another owner succeeds once the lease was released", async () => {
      await ledger.release(await fence());
      expect(await acquire({ owner: BOB })).toMatchObject({ acquired: true, head: { epoch: 2 } });
    });

    it("An acquisition takes over from the named epoch and from no other", async () => {
      await acquire();
      await acquire();
      const at = (epoch: number) => ({ pipeline: PIPELINE, incarnation: "life-1", epoch });
      expect((await acquire({ owner: BOB, takeOver: at(1) })).acquired).toBe(false);
      expect(await acquire({ owner: BOB, takeOver: at(2) })).toMatchObject({
        acquired: true,
        head: { epoch: 3 },
      });
      expect(
        (await acquire({ owner: { id: "carol", description: "run carol" }, takeOver: at(2) })).acquired,
      ).toBe(false);
    });

    it("An acquisition keeps pipelines apart", async () => {
      await acquire();
      expect(await acquire({ pipeline: "clicks", owner: BOB, newIncarnation: "life-9" })).toMatchObject({
        acquired: true,
        head: { epoch: 1, incarnation: "life-9" },
      });
      expect(await ledger.pipelines()).toEqual(["clicks", PIPELINE]);
    });

    it("An acquisition by many owners at once has one winner", async () => {
      const owners = Array.from({ length: 8 }, (_, i) => ({ id: `run-${i}`, description: `run ${i}` }));
      const results = await Promise.all(owners.map((owner) => acquire({ owner })));
      expect(results.filter((result) => result.acquired)).toHaveLength(1);
    });
  });

  describe("a run that plans no batch", () => {
    const error = { code: "HTTP_FAILED", message: "no answer", where: { pipeline: PIPELINE } };

    it("A run that found no new data leaves the time at which it looked", async () => {
      await ledger.release(await fence(), { idleAt: 2000 });
      const released = await ledger.head(PIPELINE);
      expect(released).toMatchObject({ lastIdleAt: 2000 });
      expect(released).not.toHaveProperty("lease");
      await ledger.recordIdle(await fence(), 3000);
      expect(await ledger.head(PIPELINE)).toMatchObject({ lastIdleAt: 3000, lease: { owner: ALICE } });
    });

    it("A run that could not plan leaves its error, until a later run finds no new data", async () => {
      await ledger.release(await fence(), { failure: { at: 2000, error } });
      expect((await ledger.head(PIPELINE))?.planFailure).toEqual({ at: 2000, error });
      await ledger.release(await fence(), { idleAt: 3000 });
      expect(await ledger.head(PIPELINE)).not.toHaveProperty("planFailure");
    });

    it("The error of a run that could not plan ends with the next batch that is planned", async () => {
      await ledger.release(await fence(), { failure: { at: 2000, error } });
      await ledger.plan(await fence(), FIRST);
      expect(await ledger.head(PIPELINE)).not.toHaveProperty("planFailure");
    });

    it("A run that has lost the pipeline can not say that it looked", async () => {
      const lost = await lostFence();
      await expect(ledger.recordIdle(lost, 3000)).rejects.toMatchObject({ code: "FENCED" });
      await ledger.release(lost, { failure: { at: 2000, error }, idleAt: 2000 });
      const head = await ledger.head(PIPELINE);
      expect(head).not.toHaveProperty("lastIdleAt");
      expect(head).not.toHaveProperty("planFailure");
    });
  });

  it("A release of a lost lease leaves the new holder's lease", async () => {
    await ledger.release(await lostFence());
    expect((await ledger.head(PIPELINE))?.lease?.owner).toEqual(BOB);
  });

  describe("a lost epoch", () => {
    const transitions: readonly [string, (lost: Fence) => Promise<unknown>][] = [
      ["initialize", (lost) => ledger.initialize(lost, { n: 0 })],
      ["plan", (lost) => ledger.plan(lost, FIRST)],
      ["replan", (lost) => replan(lost, 0, 1, 3000)],
      ["decide", (lost) => decide(lost, { batchId: 0, attempt: 1, from: "planned", to: "committing" })],
      [
        "finish",
        (lost) => finish(lost, { batchId: 0, attempt: 1, to: "committed", progress: PROGRESS, now: 3000 }),
      ],
      ["acknowledge", (lost) => ledger.acknowledge(lost, 0)],
    ];
    it.each(transitions)(
      "A lost epoch can no longer %s, and its error names the holder of the pipeline",
      async (_name, transition) => {
        const lost = await lostFence();
        const before = await ledger.head(PIPELINE);
        await expect(transition(lost)).rejects.toMatchObject({
          code: "FENCED",
          message: expect.stringContaining("run bob") as string,
        });
        expect(await ledger.head(PIPELINE)).toEqual(before);
      },
    );

    it("A lost epoch can neither decide nor finish nor acknowledge a batch that it planned itself", async () => {
      const { fence: lost } = await planned();
      const taker = await fence({ owner: BOB, now: 1000 + LEASE });
      await expect(
        decide(lost, { batchId: 0, attempt: 1, from: "planned", to: "aborting" }),
      ).rejects.toMatchObject({
        code: "FENCED",
      });
      await decide(taker, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
      await expect(
        finish(lost, { batchId: 0, attempt: 1, to: "committed", progress: PROGRESS, now: 1 }),
      ).rejects.toMatchObject({ code: "FENCED" });
      await finish(taker, { batchId: 0, attempt: 1, to: "committed", progress: PROGRESS, now: 2 });
      await expect(ledger.acknowledge(lost, 0)).rejects.toMatchObject({ code: "FENCED" });
      expect((await ledger.head(PIPELINE))?.unacknowledged).toEqual({ batchId: 0, end: { n: 10 } });
    });
  });
}
