import { beforeEach, describe, expect, it } from "vitest";
import { SPECULATION, slowAfter } from "../../local/speculation.ts";
import { TaskSlots } from "../../local/task-slots.ts";
import type { CommitClaim } from "../../shared/engine/ports/tasks.ts";
import { CLAIM, TASK } from "../engine/ports/ledger/steps.ts";
import { RUN, TasksByHand } from "./tasks-by-hand.ts";

const NEVER = "no time";

describe("slowAfter", () => {
  it("The defaults of a speculation are those of Spark 4", () => {
    expect(SPECULATION).toEqual({ intervalMs: 100, quantile: 0.9, multiplier: 3, minRuntimeMs: 100 });
  });

  it.each<[string, number[], number, Partial<typeof SPECULATION>]>([
    [NEVER, [], 1, {}],
    [NEVER, [], 10, { quantile: 0 }],
    [NEVER, Array<number>(8).fill(1000), 10, {}],
    ["3000 ms", Array<number>(9).fill(1000), 10, {}],
    ["3000 ms", [1000], 2, { quantile: 0.9 }],
    ["3000 ms", Array<number>(17).fill(1000), 19, {}],
    ["3000 ms", [5000, 1000, 10], 4, { quantile: 0.75 }],
    ["6000 ms", [2000, 1000], 2, {}],
    ["1500 ms", [1000], 2, { multiplier: 1.5 }],
    ["100 ms", [10], 2, {}],
    ["150 ms", [10], 2, { minRuntimeMs: 150 }],
  ])(
    "After %s a task is slow if tasks took %j of a batch with %i, under %j",
    (expected, took, tasks, policy) => {
      const slow = slowAfter({ ...SPECULATION, ...policy }, took, tasks);
      expect(slow === undefined ? NEVER : `${slow} ms`).toBe(expected);
    },
  );
});

describe("a slow task", () => {
  let tasks: TasksByHand;
  beforeEach(() => {
    tasks = new TasksByHand();
  });
  const speculation = { quantile: 0.5 };

  it("A slow task has one attempt if no speculation is asked for", async () => {
    void tasks.start(2);
    await tasks.succeedAfterOneSecond("0.0");
    await tasks.clock.pass(100_000);
    expect(tasks.begun).toEqual(["0.0", "1.0"]);
  });

  it("A task gets a second attempt when it has run for more than three times the median", async () => {
    void tasks.start(2, { speculation });
    await tasks.succeedAfterOneSecond("0.0");
    await tasks.clock.pass(2000);
    expect(tasks.begun).toEqual(["0.0", "1.0"]);
    await tasks.clock.pass(100);
    expect(tasks.begun).toEqual(["0.0", "1.0", "1.1"]);
    expect(tasks.eventsOf("speculation")).toEqual([
      {
        type: "speculation",
        batchId: 3,
        attempt: 1,
        partition: 1,
        attemptNumber: 1,
        milliseconds: 3100,
        slowAfter: 3000,
      },
    ]);
    await tasks.clock.pass(100_000);
    expect(tasks.begun).toHaveLength(3);
  });

  it("Running tasks are looked at in the interval of the policy", async () => {
    void tasks.start(2, { speculation: { ...speculation, intervalMs: 10_000 } });
    await tasks.succeedAfterOneSecond("0.0");
    await tasks.clock.pass(8999);
    expect(tasks.begun).toHaveLength(2);
    await tasks.clock.pass(1);
    expect(tasks.begun).toHaveLength(3);
  });

  it("The second attempt ends the task, the first is told to stop, and the batch does not wait for it", async () => {
    const slots = new TaskSlots(2);
    const done = tasks.start(2, { speculation, slots, maxConcurrency: 2 });
    await tasks.succeedAfterOneSecond("0.0");
    await tasks.clock.pass(2100);
    const [first, second] = [tasks.attempt("1.0"), tasks.attempt("1.1")];
    second.succeed();
    expect(await done).toEqual({ failure: undefined });
    expect([first, second].map(({ listener }) => listener.signal.aborted)).toEqual([true, false]);
    let haveEnded = false;
    const left = slots.untilLeftEnd().then(() => {
      haveEnded = true;
    });
    await tasks.clock.pass(1000);
    expect(haveEnded).toBe(false);
    first.fail("SOURCE_FAILED");
    await left;
    expect(tasks.eventsOf("retry")).toEqual([]);
    const written = tasks.eventsOf("partition").filter(({ partition }) => partition === 1);
    expect(written.map(({ attemptNumber, state }) => [attemptNumber, state])).toEqual([[1, "written"]]);
  });

  it("The first attempt ends the task if it is done before the second, whose result is ignored", async () => {
    const done = tasks.start(2, { speculation });
    await tasks.succeedAfterOneSecond("0.0");
    await tasks.clock.pass(2100);
    tasks.attempt("1.0").succeed();
    tasks.attempt("1.1").succeed();
    expect(await done).toEqual({ failure: undefined });
    expect(tasks.eventsOf("partition").map(({ attemptNumber }) => attemptNumber)).toEqual([0, 0]);
    expect(tasks.eventsOf("progress").at(-1)).toMatchObject({ partitionsDone: 2, rows: 20, bytes: 160 });
  });

  it("An attempt that is left keeps its slot, so that the next batch runs no more tasks at once", async () => {
    const slots = new TaskSlots(2);
    const done = tasks.start(2, { speculation, slots, maxConcurrency: 2 });
    await tasks.succeedAfterOneSecond("0.0");
    await tasks.clock.pass(2100);
    tasks.attempt("1.1").succeed();
    await done;
    const run = { ...RUN, batchId: 4 };
    void tasks.start(2, { run, todo: [5, 6], slots, maxConcurrency: 2 });
    await tasks.clock.pass(0);
    expect(tasks.begun.slice(3)).toEqual(["5.0"]);
    tasks.attempt("1.0").fail("SOURCE_FAILED");
    await tasks.clock.pass(0);
    expect(tasks.begun.slice(3)).toEqual(["5.0", "6.0"]);
  });

  it("No second attempt begins while all slots are used", async () => {
    void tasks.start(3, { speculation: { quantile: 0.3 }, maxConcurrency: 2 });
    await tasks.succeedAfterOneSecond("0.0");
    await tasks.clock.pass(100_000);
    expect(tasks.begun).toEqual(["0.0", "1.0", "2.0"]);
    tasks.attempt("1.0").succeed();
    await tasks.clock.pass(200_000);
    expect(tasks.begun).toEqual(["0.0", "1.0", "2.0"]);
    expect(tasks.eventsOf("speculation")).toEqual([]);
  });

  it("With one slot, of two slow tasks only the first gets a second attempt", async () => {
    void tasks.start(3, { speculation: { quantile: 0.3 }, maxConcurrency: 3 });
    await tasks.succeedAfterOneSecond("0.0");
    await tasks.clock.pass(2100);
    expect(tasks.begun).toEqual(["0.0", "1.0", "2.0", "1.1"]);
  });

  it("Tasks that an earlier run has finished count, with the time that they took", async () => {
    const recorded = { ...TASK, partition: 0, milliseconds: 2000 };
    await tasks.ledger.recordTask({ ...RUN, partition: 0 }, recorded);
    void tasks.start(2, { speculation, todo: [1] });
    await tasks.clock.pass(6000);
    expect(tasks.begun).toEqual(["1.0"]);
    await tasks.clock.pass(100);
    expect(tasks.begun).toEqual(["1.0", "1.1"]);
  });

  it("A partition with two attempts is counted once in the progress, with the one that has read most", async () => {
    void tasks.start(2, { speculation });
    await tasks.succeedAfterOneSecond("0.0");
    await tasks.clock.pass(2100);
    const [first, second] = [tasks.attempt("1.0").listener, tasks.attempt("1.1").listener];
    const rows = () => tasks.eventsOf("progress").at(-1)?.rows;
    first.onProgress({ rows: 5, bytes: 40 });
    second.onProgress({ rows: 3, bytes: 24 });
    expect(rows()).toBe(15);
    second.onProgress({ rows: 9, bytes: 72 });
    expect(rows()).toBe(19);
    tasks.attempt("1.1").fail("SOURCE_FAILED");
    await tasks.clock.pass(0);
    expect(rows()).toBe(15);
  });

  it("An interruption stops both attempts, and is no failure", async () => {
    const done = tasks.start(2, { speculation });
    await tasks.succeedAfterOneSecond("0.0");
    await tasks.clock.pass(2100);
    const both = [tasks.attempt("1.0"), tasks.attempt("1.1")];
    tasks.stopping.abort();
    expect(both.map(({ listener }) => listener.signal.aborted)).toEqual([true, true]);
    for (const attempt of both) attempt.fail("SOURCE_FAILED");
    expect(await done).toEqual({ failure: undefined });
    expect(tasks.eventsOf("retry")).toEqual([]);
    await tasks.clock.pass(100_000);
    expect(tasks.begun).toHaveLength(3);
  });
});

describe("the attempts of a task", () => {
  let tasks: TasksByHand;
  beforeEach(() => {
    tasks = new TasksByHand();
  });
  const speculation = { quantile: 0.5 };
  const slow = async () => {
    await tasks.succeedAfterOneSecond("0.0");
    await tasks.clock.pass(2100);
  };

  it.each([
    ["1.0", "1.1"],
    ["1.1", "1.0"],
  ])(
    "A failure of attempt %s does not fail the task, even for good, if %s succeeds",
    async (fails, succeeds) => {
      let failure: unknown = "none yet";
      const done = tasks.start(2, { speculation, maxAttempts: 1 }).then((result) => {
        failure = result.failure;
      });
      await slow();
      tasks.attempt(fails).fail("SOURCE_FAILED", false);
      await tasks.clock.pass(100_000);
      expect(failure).toBe("none yet");
      expect(tasks.eventsOf("retry")).toMatchObject([
        { delay: 0, goesOn: Number(succeeds.at(-1)), error: { message: `attempt ${fails} failed` } },
      ]);
      tasks.attempt(succeeds).succeed();
      await done;
      expect(failure).toBeUndefined();
      expect(tasks.begun).toHaveLength(3);
    },
  );

  it("Each failure counts, also one beside another attempt, and numbers go on", async () => {
    const done = tasks.start(2, { speculation, maxAttempts: 3 });
    await slow();
    tasks.attempt("1.1").fail("SOURCE_FAILED");
    await tasks.clock.pass(0);
    tasks.attempt("1.0").fail("SOURCE_FAILED");
    await tasks.clock.pass(1000);
    expect(tasks.begun.slice(1)).toEqual(["1.0", "1.1", "1.2"]);
    tasks.attempt("1.2").fail("SOURCE_FAILED");
    expect((await done).failure).toMatchObject({ code: "SOURCE_FAILED", message: "attempt 1.2 failed" });
  });

  it("A task fails with the error that no retry can cure, although another attempt failed after it", async () => {
    const done = tasks.start(2, { speculation });
    await slow();
    tasks.attempt("1.1").fail("SOURCE_FAILED", false);
    await tasks.clock.pass(0);
    tasks.attempt("1.0").fail("SOURCE_FAILED");
    expect((await done).failure).toMatchObject({ message: "attempt 1.1 failed" });
    expect(tasks.begun).toHaveLength(3);
  });

  it("A task that has failed as often as it may gets no further attempt beside its last one", async () => {
    void tasks.start(2, { speculation, maxAttempts: 1 });
    await slow();
    tasks.attempt("1.0").fail("SOURCE_FAILED");
    await tasks.clock.pass(100_000);
    expect(tasks.begun).toEqual(["0.0", "1.0", "1.1"]);
  });

  it("The last attempt of a task that has failed may be slow again, and gets another one", async () => {
    void tasks.start(2, { speculation });
    await slow();
    tasks.attempt("1.0").fail("SOURCE_FAILED");
    await tasks.clock.pass(3100);
    expect(tasks.begun).toEqual(["0.0", "1.0", "1.1", "1.2"]);
  });

  it("A denial of the commit never counts, and the task is tried again", async () => {
    const done = tasks.start(1, { maxAttempts: 1 });
    for (let attempt = 0; attempt < 5; attempt++) {
      await tasks.clock.pass(0);
      tasks.attempt(`0.${attempt}`).fail("COMMIT_DENIED");
      await tasks.clock.pass(10_000);
    }
    tasks.attempt("0.5").succeed();
    expect(await done).toEqual({ failure: undefined });
    expect(tasks.eventsOf("retry")).toHaveLength(5);
  });

  it("A task fails with the error of the attempt that failed, not with the denial of the one after it", async () => {
    const done = tasks.start(2, { speculation, maxAttempts: 1 });
    await slow();
    tasks.attempt("1.0").fail("SOURCE_FAILED");
    await tasks.clock.pass(0);
    tasks.attempt("1.1").fail("COMMIT_DENIED");
    expect((await done).failure).toMatchObject({ message: "attempt 1.0 failed" });
  });

  it("A failure after a denial is the one that the task fails with", async () => {
    const done = tasks.start(2, { speculation, maxAttempts: 1 });
    await slow();
    tasks.attempt("1.1").fail("COMMIT_DENIED");
    await tasks.clock.pass(0);
    tasks.attempt("1.0").fail("SOURCE_FAILED");
    expect((await done).failure).toMatchObject({ message: "attempt 1.0 failed" });
  });
});

describe("the claim of an attempt that has ended", () => {
  const KEY = { ...RUN, partition: 0 };
  const HELD: CommitClaim = { ...CLAIM, epoch: RUN.epoch, attemptNumber: 0 };
  const write = { factory: {}, isCoordinated: true, inputPartitions: 1, plannedAt: 0 };

  it.each<[string, Partial<CommitClaim>, boolean, boolean]>([
    ["it is released, so that the next one may commit", {}, true, true],
    ["it stays if it is another attempt's", { attemptNumber: 1 }, true, false],
    ["it stays if it is of a later run, although the number is the same", { epoch: 8 }, true, false],
    ["it is not looked for if the write is not coordinated", {}, false, false],
  ])(
    "Of the claim, after the thread of an attempt has died: %s",
    async (_what, held, isCoordinated, isReleased) => {
      const tasks = new TasksByHand();
      const claim = { ...HELD, ...held };
      await tasks.ledger.authorizeCommit(KEY, claim, 0);
      void tasks.start(1, { run: { ...RUN, write: { ...write, isCoordinated } } });
      await tasks.clock.pass(0);
      tasks.attempt("0.0").fail("WORKER_DIED");
      await tasks.clock.pass(1000);
      expect(tasks.begun).toEqual(["0.0", "0.1"]);
      expect(await tasks.ledger.commitClaim(KEY)).toEqual(isReleased ? undefined : claim);
    },
  );

  it("The claim is released at once, because another attempt may wait for it", async () => {
    const tasks = new TasksByHand();
    void tasks.start(2, { run: { ...RUN, write }, speculation: { quantile: 0.5 } });
    await tasks.ledger.authorizeCommit({ ...KEY, partition: 1 }, HELD, 0);
    await tasks.succeedAfterOneSecond("0.0");
    await tasks.clock.pass(2100);
    expect(await tasks.ledger.commitClaim({ ...KEY, partition: 1 })).toEqual(HELD);
    tasks.attempt("1.0").fail("WORKER_DIED");
    await tasks.clock.pass(0);
    expect(await tasks.ledger.commitClaim({ ...KEY, partition: 1 })).toBeUndefined();
  });

  it("A claim that could not be released is released before the next attempt begins", async () => {
    const tasks = new TasksByHand();
    await tasks.ledger.authorizeCommit(KEY, HELD, 0);
    const release = tasks.ledger.releaseCommit.bind(tasks.ledger);
    tasks.ledger.releaseCommit = () => Promise.reject(new Error("no ledger"));
    void tasks.start(1, { run: { ...RUN, write } });
    await tasks.clock.pass(0);
    tasks.attempt("0.0").fail("WORKER_DIED");
    await tasks.clock.pass(0);
    tasks.ledger.releaseCommit = release;
    await tasks.clock.pass(60_000);
    expect(tasks.begun).toEqual(["0.0", "0.1"]);
    expect(await tasks.ledger.commitClaim(KEY)).toBeUndefined();
  });
});
