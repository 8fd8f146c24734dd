import { beforeEach, describe, expect, it } from "vitest";
import type {
  AcquireRequest,
  Batch,
  Decision,
  Fence,
  Ledger,
  NewBatch,
  Outcome,
  RunningTask,
  Task,
  TaskKey,
} from "../../../../shared/engine/ports/ledger.ts";
import type { BatchState } from "../../../../shared/engine/ports/states.ts";

const ALICE = { id: "alice", description: "run alice" };
const BOB = { id: "bob", description: "run bob" };
const PIPELINE = "orders";
const LEASE = 60_000;
const FIRST: NewBatch = {
  incarnation: "life-1",
  batchId: 0,
  start: { n: 0 },
  end: { n: 10 },
  partitionsKey: "batches/0/partitions.json",
  tasks: 2,
  schema: "c2NoZW1h",
  now: 1000,
};
const PROGRESS = { rows: 10, bytes: 80 };
const MEASURED = {
  ...PROGRESS,
  trigger: {
    runId: "alice",
    startedAt: 900,
    sincePrevious: 60_000,
    durationMs: { latestOffset: 12, queryPlanning: 3, walCommit: 7, addBatch: 900, triggerExecution: 1100 },
    source: "rest-api",
    sink: "arrow-table",
  },
};

/**
 * What a ledger is: each adapter runs this suite. `open` gives a new, empty ledger; calls of one ledger may come from several runs.
 * `forgetsByItself`: tasks expire by their own time to live.
 */
export function ledgerSuite(
  name: string,
  open: () => Promise<Ledger>,
  options: { readonly forgetsByItself?: boolean } = {},
): void {
  describe(`${name} as a ledger`, () => {
    let ledger: Ledger;
    beforeEach(async () => {
      ledger = await open();
    });

    /** The batch as it is, or as a run would have it that saw another state or attempt. */
    async function seen(batchId: number, attempt: number, state?: BatchState): Promise<Batch> {
      const { now, ...first } = FIRST;
      const stub = { ...first, pipeline: PIPELINE, lastTriedAttempt: 0, plannedAt: now, firstPlannedAt: now };
      const batch = (await ledger.batch(PIPELINE, batchId)) ?? {
        ...stub,
        batchId,
        attempt,
        state: "planned",
      };
      return { ...batch, attempt, ...(state === undefined ? {} : { state }) };
    }
    const decide = async (by: Fence, d: Decision & { batchId: number; attempt: number; from: BatchState }) =>
      ledger.decide(by, await seen(d.batchId, d.attempt, d.from), d);
    const finish = async (by: Fence, o: Outcome & { batchId: number; attempt: number }) =>
      ledger.finish(by, await seen(o.batchId, o.attempt), o);
    const replan = async (by: Fence, batchId: number, attempt: number, now: number) =>
      ledger.replan(by, await seen(batchId, attempt), now);

    const acquire = (overrides: Partial<AcquireRequest> = {}) =>
      ledger.acquire({
        pipeline: PIPELINE,
        owner: ALICE,
        now: 1000,
        leaseMilliseconds: LEASE,
        newIncarnation: "life-1",
        ...overrides,
      });

    async function fence(overrides: Partial<AcquireRequest> = {}): Promise<Fence> {
      const { acquired, head } = await acquire(overrides);
      expect(acquired).toBe(true);
      return { pipeline: PIPELINE, epoch: head.epoch };
    }

    /** A fence that another run has taken over from. */
    async function lostFence(): Promise<Fence> {
      const lost = await fence();
      await fence({ owner: BOB, now: 1000 + LEASE });
      return lost;
    }

    async function planned(): Promise<{ fence: Fence; batch: Batch }> {
      const mine = await fence();
      return { fence: mine, batch: await ledger.plan(mine, FIRST) };
    }

    async function committed(): Promise<Fence> {
      const { fence: mine } = await planned();
      await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
      await finish(mine, { batchId: 0, attempt: 1, to: "committed", progress: PROGRESS, now: 2000 });
      return mine;
    }

    const KEY: TaskKey = { pipeline: PIPELINE, incarnation: "life-1", batchId: 0, attempt: 1, partition: 0 };
    const TASK: Task = {
      partition: 0,
      message: { path: "a.arrow" },
      rows: 5,
      bytes: 40,
      milliseconds: 12,
      attemptNumber: 0,
      writerId: "writer-1",
      recordedAt: 1500,
    };
    const RUNNING: RunningTask = {
      partition: 0,
      attemptNumber: 0,
      startedAt: 1000,
      rows: 33,
      bytes: 0,
      waitsFor: "source",
      progressedAt: 4000,
      reportedAt: 11_000,
    };

    describe("acquire", () => {
      it("makes the head, with its incarnation, at the first call", async () => {
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

      it("keeps the incarnation and takes a new epoch at each later call of the same owner", async () => {
        await acquire();
        const { acquired, head } = await acquire({ newIncarnation: "life-2" });
        expect({ acquired, incarnation: head.incarnation, epoch: head.epoch }).toEqual({
          acquired: true,
          incarnation: "life-1",
          epoch: 2,
        });
      });

      it("is refused to another owner, told who holds the lease, and changes nothing", async () => {
        await acquire();
        const { acquired, head } = await acquire({ owner: BOB });
        expect(acquired).toBe(false);
        expect(head).toMatchObject({ epoch: 1, lease: { owner: ALICE } });
        expect(await ledger.head(PIPELINE)).toEqual(head);
      });

      it("is given to another owner at the moment when the lease is over, not before", async () => {
        await acquire();
        expect((await acquire({ owner: BOB, now: 1000 + LEASE - 1 })).acquired).toBe(false);
        expect(await acquire({ owner: BOB, now: 1000 + LEASE })).toMatchObject({
          acquired: true,
          head: { epoch: 2, lease: { owner: BOB } },
        });
      });

      it("is given to another owner once the lease was released", async () => {
        await ledger.release(await fence());
        expect(await acquire({ owner: BOB })).toMatchObject({ acquired: true, head: { epoch: 2 } });
      });

      it("takes over from the epoch that was named, and from no other", async () => {
        await acquire();
        await acquire();
        expect((await acquire({ owner: BOB, takeOverEpoch: 1 })).acquired).toBe(false);
        expect(await acquire({ owner: BOB, takeOverEpoch: 2 })).toMatchObject({
          acquired: true,
          head: { epoch: 3 },
        });
        expect(
          (await acquire({ owner: { id: "carol", description: "run carol" }, takeOverEpoch: 2 })).acquired,
        ).toBe(false);
      });

      it("keeps pipelines apart", async () => {
        await acquire();
        expect(await acquire({ pipeline: "clicks", owner: BOB, newIncarnation: "life-9" })).toMatchObject({
          acquired: true,
          head: { epoch: 1, incarnation: "life-9" },
        });
        expect(await ledger.pipelines()).toEqual(["clicks", PIPELINE]);
      });

      it("gives one winner to many that ask at once", async () => {
        const owners = Array.from({ length: 8 }, (_, i) => ({ id: `run-${i}`, description: `run ${i}` }));
        const results = await Promise.all(owners.map((owner) => acquire({ owner })));
        expect(results.filter((result) => result.acquired)).toHaveLength(1);
      });
    });

    it("release of a lost lease leaves the new holder's", async () => {
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
        "can no longer %s, and is told who holds the pipeline",
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

      it("can neither decide nor finish nor acknowledge a batch that it planned itself", async () => {
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

    describe("initialize", () => {
      it("keeps the first offset, and no later one", async () => {
        const mine = await fence();
        await ledger.initialize(mine, { n: 5 });
        await ledger.initialize(mine, { n: 6 });
        expect((await ledger.head(PIPELINE))?.offset).toEqual({ n: 5 });
      });
    });

    describe("plan", () => {
      it("records the batch, opens it, and counts on", async () => {
        const { batch } = await planned();
        expect(batch).toEqual({
          pipeline: PIPELINE,
          incarnation: "life-1",
          batchId: 0,
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
      ])("is refused %s, and changes nothing", async (_what, overrides) => {
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
      ])("after a commit is refused %s", async (_what, overrides) => {
        const mine = await committed();
        await expect(ledger.plan(mine, { ...FIRST, end: { n: 20 }, ...overrides })).rejects.toMatchObject({
          code: "LEDGER_CONFLICT",
        });
        expect(await ledger.head(PIPELINE)).toMatchObject({ nextBatchId: 1, offset: { n: 10 } });
        expect((await ledger.head(PIPELINE))?.openBatchId).toBeUndefined();
      });

      it("keeps the end of all that was there, through the attempts of the batch", async () => {
        const mine = await fence();
        const latest = { n: 25, shard: { a: [1, 2] } };
        const batch = await ledger.plan(mine, { ...FIRST, latest });
        expect(batch).toMatchObject({ end: { n: 10 }, latest });
        expect(await ledger.batch(PIPELINE, 0)).toEqual(batch);
        await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" });
        await finish(mine, { batchId: 0, attempt: 1, to: "aborted", progress: PROGRESS, now: 2000 });
        expect(await replan(mine, 0, 1, 3000)).toMatchObject({ attempt: 2, latest });
      });

      it("tells the next run when it was, whatever becomes of the batch", async () => {
        await planned();
        expect(await ledger.head(PIPELINE)).toMatchObject({ lastPlannedAt: 1000 });
        const mine = await fence();
        await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
        await finish(mine, { batchId: 0, attempt: 1, to: "committed", progress: PROGRESS, now: 2000 });
        const { head } = await acquire();
        expect(head).toMatchObject({ lastPlannedAt: 1000 });
        const next: Fence = { pipeline: PIPELINE, epoch: head.epoch };
        await ledger.plan(next, { ...FIRST, batchId: 1, start: { n: 10 }, end: { n: 20 }, now: 61_000 });
        expect(await ledger.head(PIPELINE)).toMatchObject({ lastPlannedAt: 61_000 });
      });

      it("takes offsets as equal whatever the order of their keys", async () => {
        const mine = await fence();
        await ledger.initialize(mine, { a: 1, b: { c: 2, d: 3 } });
        const batch = await ledger.plan(mine, { ...FIRST, start: { b: { d: 3, c: 2 }, a: 1 } });
        expect(batch.state).toBe("planned");
      });
    });

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
        await ledger.reportProgress(
          { ...KEY, partition: 1 },
          { ...RUNNING, partition: 1, reportedAt: 11_001 },
        );
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

    describe("decide", () => {
      it("moves a planned batch to committing, and notes that the commit may be tried", async () => {
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

      it("moves a planned batch to aborting with the error, and notes that no commit was tried", async () => {
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

      it("moves a committing batch to aborting, still noting that the commit was tried", async () => {
        const { fence: mine } = await planned();
        await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
        expect(
          await decide(mine, { batchId: 0, attempt: 1, from: "committing", to: "aborting" }),
        ).toMatchObject({
          state: "aborting",
          lastTriedAttempt: 1,
        });
      });

      it("does not turn a commit that was decided into an abort for one who saw the batch before it was", async () => {
        const { fence: mine } = await planned();
        await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
        expect(await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" })).toMatchObject(
          {
            state: "committing",
          },
        );
      });

      it("is made once: whoever decides otherwise later is given the decision that is there", async () => {
        const { fence: mine } = await planned();
        await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" });
        expect(
          await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" }),
        ).toMatchObject({
          state: "aborting",
          lastTriedAttempt: 0,
        });
      });

      it("a decision that cannot follow the state is refused, also if the caller saw that state", async () => {
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

      it("changes nothing of a batch that has ended", async () => {
        const mine = await committed();
        const before = await ledger.batch(PIPELINE, 0);
        expect(await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" })).toEqual(
          before,
        );
      });

      it("changes nothing of another attempt", async () => {
        const { fence: mine } = await planned();
        expect(await decide(mine, { batchId: 0, attempt: 2, from: "planned", to: "aborting" })).toMatchObject(
          {
            state: "planned",
            attempt: 1,
          },
        );
      });
    });

    describe("finish", () => {
      it("committed moves the offset, closes the batch and leaves its acknowledgement to do, all at once", async () => {
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

      it("keeps what was measured", async () => {
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

      it("committed keeps what the sink gave, until the next commit gives something else or nothing", async () => {
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

      it("committed is refused from planned and from aborting: the offset stays", async () => {
        const { fence: mine } = await planned();
        const outcome = { batchId: 0, attempt: 1, to: "committed", progress: PROGRESS, now: 2000 } as const;
        expect(await finish(mine, outcome)).toMatchObject({ state: "planned" });
        await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" });
        expect(await finish(mine, outcome)).toMatchObject({ state: "aborting" });
        expect(await ledger.head(PIPELINE)).toMatchObject({ offset: { n: 0 }, openBatchId: 0 });
      });

      it("committed twice is as once", async () => {
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

      it("of another attempt changes nothing", async () => {
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

      it("a commit with more items of a sink than the ledger takes, or items that are not for it, writes nothing", async () => {
        const { fence: mine } = await planned();
        const batch = await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
        const before = await ledger.head(PIPELINE);
        const foreign = { kind: "another store" };
        const tooMany = Array.from({ length: ledger.limits.joinedItems + 1 }, () => foreign);
        for (const join of [tooMany, [foreign]]) {
          const outcome = { to: "committed", progress: PROGRESS, now: 2000, join } as const;
          await expect(ledger.finish(mine, batch, outcome)).rejects.toMatchObject({
            code: "TRANSACTION_REFUSED",
          });
        }
        expect(await ledger.head(PIPELINE)).toEqual(before);
        expect(await ledger.batch(PIPELINE, 0)).toEqual(batch);
      });

      it("aborted leaves the batch open at its offsets", async () => {
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

    describe("replan", () => {
      it("begins the next attempt of an aborted batch with the same offsets and partitions, and nothing of the last one", async () => {
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

      it("may give the next attempt another plan, which is read back", async () => {
        const { fence: mine, batch } = await planned();
        const aborted = { ...batch, state: "aborted" as const };
        await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" });
        await finish(mine, { batchId: 0, attempt: 1, to: "aborted", progress: PROGRESS, now: 2000 });
        const plan = { partitionsKey: "batches/another.json", schema: "another" };
        const next = await ledger.replan(mine, aborted, 3000, plan);
        expect(next).toMatchObject({ ...plan, attempt: 2, start: batch.start, end: batch.end });
        expect(await ledger.batch(PIPELINE, 0)).toMatchObject(plan);
      });

      it("still knows which attempts had their commit tried", async () => {
        const { fence: mine } = await planned();
        await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
        await decide(mine, { batchId: 0, attempt: 1, from: "committing", to: "aborting" });
        await finish(mine, { batchId: 0, attempt: 1, to: "aborted", progress: PROGRESS, now: 2000 });
        expect(await replan(mine, 0, 1, 3000)).toMatchObject({ attempt: 2, lastTriedAttempt: 1 });
      });

      it("begins one attempt, however often it is asked to", async () => {
        const { fence: mine } = await planned();
        await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "aborting" });
        await finish(mine, { batchId: 0, attempt: 1, to: "aborted", progress: PROGRESS, now: 2000 });
        await replan(mine, 0, 1, 3000);
        await expect(replan(mine, 0, 1, 3000)).rejects.toMatchObject({ code: "LEDGER_CONFLICT" });
        expect((await ledger.batch(PIPELINE, 0))?.attempt).toBe(2);
      });

      it.each(["committing", "aborting"] as const)("is refused while the batch is %s", async (to) => {
        const { fence: mine } = await planned();
        await decide(mine, { batchId: 0, attempt: 1, from: "planned", to });
        await expect(replan(mine, 0, 1, 3000)).rejects.toMatchObject({ code: "LEDGER_CONFLICT" });
      });

      it("is refused for a committed batch", async () => {
        const mine = await committed();
        await expect(replan(mine, 0, 1, 3000)).rejects.toMatchObject({ code: "LEDGER_CONFLICT" });
      });
    });

    describe("acknowledge", () => {
      it("clears what is to be acknowledged, once", async () => {
        const mine = await committed();
        await ledger.acknowledge(mine, 0);
        await ledger.acknowledge(mine, 0);
        expect((await ledger.head(PIPELINE))?.unacknowledged).toBeUndefined();
      });

      it("of another batch changes nothing", async () => {
        const mine = await committed();
        await ledger.acknowledge(mine, 1);
        expect((await ledger.head(PIPELINE))?.unacknowledged).toEqual({ batchId: 0, end: { n: 10 } });
      });
    });

    it("gives the newest batches first, as many as asked, before the one asked", async () => {
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

    describe("by hand", () => {
      const ACTION = { by: "ann@desk", why: "the source is ill", at: 5000 };
      const REWIND = { ...ACTION, from: { n: 10 }, to: { n: 4 } };
      const journal = () => ledger.journal(PIPELINE, { limit: 10 });

      it.each<[string, () => Promise<void>]>([
        ["pause", () => ledger.pause("nobody", ACTION)],
        ["resume", () => ledger.resume("nobody", ACTION)],
        ["rewind", () => ledger.rewind({ pipeline: "nobody", epoch: 0 }, REWIND)],
        ["unlock", () => ledger.unlock({ pipeline: "nobody", epoch: 0 }, ACTION)],
      ])("%s of a pipeline that never ran is refused, and leaves no trace", async (_name, act) => {
        await expect(act()).rejects.toMatchObject({ code: "PIPELINE_NOT_FOUND" });
        expect(await ledger.head("nobody")).toBeUndefined();
        expect(await ledger.journal("nobody", { limit: 10 })).toEqual([]);
      });

      it("pause says who, why and since when, beside a run and its open batch, until resume", async () => {
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

      it("pause fences nobody: the run ends its batch, and the pause stays", async () => {
        const { fence: mine } = await planned();
        await ledger.pause(PIPELINE, ACTION);
        await decide(mine, { batchId: 0, attempt: 1, from: "planned", to: "committing" });
        await finish(mine, { batchId: 0, attempt: 1, to: "committed", progress: PROGRESS, now: 2000 });
        await ledger.release(mine);
        expect((await acquire({ owner: BOB })).head).toMatchObject({ paused: ACTION, offset: { n: 10 } });
      });

      it("rewind moves the offset, and nothing else: ids go on, an acknowledgement stays due", async () => {
        const mine = await committed();
        const before = await ledger.head(PIPELINE);
        await ledger.rewind(mine, REWIND);
        expect(await ledger.head(PIPELINE)).toEqual({ ...before, offset: { n: 4 } });
        expect(before?.unacknowledged).toEqual({ batchId: 0, end: { n: 10 } });
        expect(await journal()).toEqual([{ action: "rewind", ...REWIND }]);
        const next = await ledger.plan(mine, { ...FIRST, batchId: 1, start: { n: 4 }, end: { n: 12 } });
        expect(next).toMatchObject({ batchId: 1, start: { n: 4 } });
      });

      it("rewind takes its offset as the present one whatever the order of keys", async () => {
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

      it("rewind is refused to a lost epoch", async () => {
        const lost = await committed();
        await fence({ owner: BOB, now: 1000 + LEASE });
        await expectRefusedRewind(lost, REWIND, { code: "FENCED" });
      });

      it("rewind is refused while a batch is open", async () => {
        const { fence: mine } = await planned();
        const message = expect.stringContaining("batch 0 is open");
        await expectRefusedRewind(mine, { ...REWIND, from: { n: 0 } }, { code: "BATCH_OPEN", message });
      });

      it("rewind is refused from an offset that is not the present one, and where there is none", async () => {
        await expectRefusedRewind(await fence(), REWIND, { code: "LEDGER_CONFLICT" });
        const mine = await committed();
        await expectRefusedRewind(mine, { ...REWIND, from: { n: 9 } }, { code: "LEDGER_CONFLICT" });
      });

      it("unlock takes the lease from its holder, who can change nothing more", async () => {
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

      it("unlock spares a holder that is not the one of the epoch", async () => {
        const lost = await lostFence();
        const before = await ledger.head(PIPELINE);
        await expect(ledger.unlock(lost, ACTION)).rejects.toMatchObject({ code: "LEDGER_CONFLICT" });
        expect(await ledger.head(PIPELINE)).toEqual(before);
        expect(await journal()).toEqual([]);
      });

      it("the journal has the newest first, as many as asked, of its pipeline", async () => {
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
  });
}
