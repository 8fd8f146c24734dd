import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Batch, Task } from "../../../shared/engine/ports/ledger.ts";
import { type Call, Control, type Deed } from "../control.ts";
import { type DeployedPipeline, deployed, transitions, until } from "../deployed.ts";

/** What the deployed state machine makes of faults: of its functions, of executions, and of the user's code. */

let control: Control;
let numbers: DeployedPipeline;
let hurried: DeployedPipeline;
let relayed: DeployedPipeline;

beforeAll(async () => {
  control = await Control.start();
  const stack = await deployed("MillraceTests");
  numbers = stack.pipeline("numbers");
  hurried = stack.pipeline("hurried");
  relayed = stack.pipeline("relayed");
});

afterAll(async () => {
  await control.close();
});

beforeEach(async () => {
  control.reset();
  for (const pipeline of [numbers, hurried, relayed]) await pipeline.forget();
});

const ONCE = { trigger: "once" };
const upTo = (end: number, from = 0) => Array.from({ length: end - from }, (_, i) => from + i);

/** The numbers in the table, in order; each as often as it is there. */
async function landed(pipeline: DeployedPipeline = numbers): Promise<number[]> {
  return (await pipeline.rows()).map((row) => Number(row["n"])).sort((a, b) => a - b);
}

async function batchOf(pipeline: DeployedPipeline, batchId = 0): Promise<Batch | undefined> {
  return await pipeline.ledger.batch(pipeline.target.pipeline, batchId);
}

async function tasksOf(pipeline: DeployedPipeline): Promise<readonly Task[]> {
  const batch = await batchOf(pipeline);
  return batch === undefined ? [] : await pipeline.ledger.tasks(batch);
}

async function seen(what: string, isSeen: (call: Call) => boolean): Promise<void> {
  await until(what, async () => control.calls.some(isSeen) || undefined);
}

/** Stops an execution. LocalStack ends it once the functions that it waits for have ended: those that are held die then. */
async function stopped(arn: string, gate?: { open(): void }): Promise<void> {
  await numbers.stop(arn);
  gate?.open();
  // It depends on the moment what LocalStack calls it; on AWS it is ABORTED.
  expect(["ABORTED", "FAILED"]).toContain((await numbers.ended(arn)).status);
}

/** A deed for the first call that is meant; all others go on. */
function once<T extends string>(deed: T, isMeant: (call: Call) => boolean): (call: Call) => T | "go on" {
  let isDone = false;
  return (call) => {
    if (isDone || !isMeant(call)) return "go on";
    isDone = true;
    return deed;
  };
}

const isRead = (partition: number) => (call: Call) => call.call === "read" && call.partition === partition;
const is = (name: Call["call"]) => (call: Call) => call.call === name;
const committed = (batchId = 0, rows = 8, attempt = 1) => ({
  status: "SUCCEEDED",
  output: { next: "Done", why: "committed", batch: { batchId, attempt, state: "committed", rows } },
});
const done = (why: string) => ({ status: "SUCCEEDED", output: { next: "Done", why } });

describe("a run", () => {
  it("of one batch takes 6 state transitions and one for each partition", async () => {
    control.available = 8;
    const execution = await numbers.execute(ONCE);
    expect(execution).toMatchObject(committed());
    const entered = transitions(await numbers.history(execution.arn));
    console.log(`state transitions of a batch: ${entered - 4} + ${control.read.length} partitions`);
    expect(entered).toBe(6 + 4);
    expect(await landed()).toEqual(upTo(8));
    expect(control.calls.at(-1)).toMatchObject({ call: "commit offset", to: 8 });
  });

  it("ends at once where nothing is new, and records no batch", async () => {
    const execution = await numbers.execute(ONCE);
    expect(execution).toMatchObject(done("nothing new"));
    expect(transitions(await numbers.history(execution.arn))).toBe(3);
    const head = await numbers.ledger.head("numbers");
    expect(head).toMatchObject({ nextBatchId: 0, offset: { n: 0 } });
    expect(head).not.toHaveProperty("lease");
    expect(await batchOf(numbers)).toBeUndefined();
  });

  it("takes batches until it has all that was there at its start, though the source grows", async () => {
    control.available = 20;
    control.perBatch = 8;
    control.deed = ({ call }) => {
      if (call === "partitions") control.available += 8;
      return "go on";
    };
    expect(await numbers.execute()).toMatchObject(done("nothing new"));
    expect(control.of("available")).toHaveLength(1);
    expect(control.of("partitions").map(({ to }) => to)).toEqual([8, 16, 20]);
    expect(await landed()).toEqual(upTo(20));
  });

  it("of a pipeline that is paused does nothing, and asks the source nothing, which may be ill", async () => {
    control.available = 8;
    await numbers.execute(ONCE);
    await numbers.ledger.pause("numbers", { by: "ann", at: Date.now() });
    control.calls.length = 0;
    control.available = 16;
    control.deed = () => "fail";
    expect(await numbers.execute()).toMatchObject(done("paused"));
    expect(control.calls).toEqual([]);

    await numbers.ledger.resume("numbers", { by: "ann", at: Date.now() });
    control.deed = () => "go on";
    expect(await numbers.execute(ONCE)).toMatchObject(committed(1));
    expect(await landed()).toEqual(upTo(16));
  });
});

describe("a distributed run", () => {
  it("writes 200 partitions that its children read from the partitions file", async () => {
    control.available = 200;
    control.perPartition = 1;
    const execution = await numbers.execute(ONCE);
    expect(execution).toMatchObject(committed(0, 200));
    expect(control.read).toEqual(upTo(200));
    expect(await landed()).toEqual(upTo(200));
    const history = await numbers.history(execution.arn);
    expect(history.map(({ type }) => type)).toContain("MapRunSucceeded");
    expect(transitions(history)).toBe(6);
  });

  it("that was stopped is resumed at once, and writes what is missing by a list of its own", async () => {
    control.available = 16;
    control.perPartition = 1;
    const gate = control.gate();
    control.deed = async ({ call, partition = 0 }): Promise<Deed> => {
      if (call !== "read" || partition < 4) return "go on";
      await gate.opened;
      return "die";
    };
    const arn = await numbers.start(ONCE);
    await until("4 tasks are recorded", async () => (await tasksOf(numbers)).length === 4 || undefined);
    await stopped(arn, gate);

    control.calls.length = 0;
    control.deed = () => "go on";
    const execution = await numbers.execute(ONCE);
    expect(execution).toMatchObject(committed(0, 16));
    expect(control.read).toEqual(upTo(16, 4));
    expect(control.of("latestOffset")).toEqual([]);
    const [todo = ""] = (await numbers.keys("batches/")).filter((key) => key.includes("/todo-"));
    expect(JSON.parse(Buffer.from((await numbers.store.get(todo)) ?? []).toString())).toEqual(
      upTo(16, 4).map((task) => ({ task })),
    );
    expect(await landed()).toEqual(upTo(16));
  });
});

describe("a distributed batch", () => {
  it("is aborted with the error of the task that failed", async () => {
    control.available = 11;
    control.perPartition = 1;
    control.deed = (call) => (isRead(7)(call) ? "fail" : "go on");
    expect(await numbers.execute(ONCE)).toMatchObject({ status: "FAILED", error: "SOURCE_FAILED" });
    expect(await batchOf(numbers)).toMatchObject({
      state: "aborted",
      error: { code: "SOURCE_FAILED", where: { partition: 7, attemptNumber: 1 } },
    });
    expect(await numbers.staged()).toEqual([]);
    control.calls.length = 0;
    control.deed = () => "go on";
    expect(await numbers.execute(ONCE)).toMatchObject(committed(0, 11, 2));
    expect(control.read).toEqual(upTo(11));
    expect(await landed()).toEqual(upTo(11));
  });

  it("whose Map cannot begin, because the partitions file is gone, is aborted and says so, and is replayed once it is back", async () => {
    control.available = 11;
    control.perPartition = 1;
    control.deed = once("fail", is("before commit"));
    await numbers.execute(ONCE);
    const key = (await batchOf(numbers))?.partitionsKey ?? "";
    const file = (await numbers.store.get(key)) ?? new Uint8Array();
    await numbers.store.delete([key]);
    const failed = await numbers.execute(ONCE);
    expect(failed).toMatchObject({ status: "FAILED", error: "TASK_KILLED" });
    // States.ItemReaderFailed on AWS, States.Runtime on LocalStack.
    expect(failed.cause).toContain("a task was ended from outside: States.");
    expect(await batchOf(numbers)).toMatchObject({ state: "aborted", attempt: 2 });
    await numbers.store.put(key, file);
    expect(await numbers.execute(ONCE)).toMatchObject(committed(0, 11, 3));
    expect(await landed()).toEqual(upTo(11));
  });
});

describe("a run that would become too long", () => {
  it("goes on in new executions, to what was there at its start", async () => {
    control.available = 20;
    control.perBatch = 8;
    control.deed = ({ call }) => {
      if (call === "partitions") control.available += 8;
      return "go on";
    };
    const first = await relayed.execute();
    expect(first).toMatchObject({
      status: "SUCCEEDED",
      output: {
        next: "Continue",
        input: { target: { n: 20 } },
        execution: expect.stringContaining(":execution:") as string,
      },
    });
    const executions = await until("the last execution ended", async () => {
      const all = await relayed.executions();
      return all.length === 4 && all.every(({ status }) => status !== "RUNNING") ? all : undefined;
    });
    const outputs = await Promise.all(executions.map(({ executionArn = "" }) => relayed.ended(executionArn)));
    expect(outputs.map(({ status }) => status)).toEqual(upTo(4).map(() => "SUCCEEDED"));
    expect(outputs.map(({ output }) => (output as { next: string }).next).sort()).toEqual([
      "Continue",
      "Continue",
      "Continue",
      "Done",
    ]);
    expect(control.of("available")).toHaveLength(1);
    expect(await landed(relayed)).toEqual(upTo(20));
  });
});

describe("a writer", () => {
  it("that fails once is tried again, and the batch commits", async () => {
    control.available = 8;
    control.deed = once("fail", isRead(1));
    expect(await numbers.execute(ONCE)).toMatchObject(committed());
    expect(
      control
        .of("read")
        .filter(isRead(1))
        .map(({ attemptNumber }) => attemptNumber),
    ).toEqual([0, 1]);
    expect((await tasksOf(numbers)).map(({ attemptNumber }) => attemptNumber)).toEqual([0, 1, 0, 0]);
    expect(await landed()).toEqual(upTo(8));
  });

  it("that is killed once is tried again, and the batch commits", async () => {
    control.available = 8;
    control.deed = once("die", isRead(2));
    expect(await numbers.execute(ONCE)).toMatchObject(committed());
    expect(
      control
        .of("read")
        .filter(isRead(2))
        .map(({ attemptNumber }) => attemptNumber),
    ).toEqual([0, 1]);
    expect(await landed()).toEqual(upTo(8));
  });

  it("that always fails aborts the batch, which the next execution replays as it was, whatever the source says by then", async () => {
    control.available = 8;
    control.deed = (call) => (isRead(1)(call) ? "fail" : "go on");
    const failed = await numbers.execute(ONCE);
    const where = { pipeline: "numbers", batchId: 0, partition: 1, attempt: 1, attemptNumber: 1 };
    expect(failed).toMatchObject({ status: "FAILED", error: "SOURCE_FAILED" });
    expect(failed.cause).toContain(
      "read() failed: Error (pipeline numbers, batchId 0, partition 1, attempt 1",
    );
    expect(await batchOf(numbers)).toMatchObject({
      state: "aborted",
      attempt: 1,
      error: { code: "SOURCE_FAILED", where },
    });
    expect(await numbers.staged()).toEqual([]);
    expect(await numbers.keys("table/_log/")).toEqual([]);
    expect(await numbers.ledger.head("numbers")).not.toHaveProperty("lease");

    const before = control.of("read").filter(({ attemptNumber }) => attemptNumber === 0);
    control.calls.length = 0;
    control.available = 100;
    control.perPartition = 50;
    control.deed = () => "go on";
    expect(await numbers.execute(ONCE)).toMatchObject(committed(0, 8, 2));
    const slices = (calls: readonly Call[]) =>
      calls.map(({ partition, from, to }) => ({ partition, from, to }));
    expect(slices(control.of("read"))).toEqual(expect.arrayContaining(slices(before)));
    expect(control.read).toEqual(upTo(4));
    expect(control.of("partitions")).toEqual([]);
    expect(await batchOf(numbers)).toMatchObject({
      state: "committed",
      attempt: 2,
      start: { n: 0 },
      end: { n: 8 },
    });
    expect(await landed()).toEqual(upTo(8));
    expect(await numbers.staged()).toHaveLength(4);
  });

  it("whose row does not fit is not tried again", async () => {
    control.available = 8;
    control.deed = (call) => (isRead(3)(call) ? "yield a bad row" : "go on");
    expect(await numbers.execute(ONCE)).toMatchObject({ status: "FAILED", error: "ROW_MISMATCH" });
    expect(control.read).toEqual(upTo(4));
    expect((await batchOf(numbers))?.error).toMatchObject({ where: { partition: 3, row: 3, field: "word" } });
  });

  it("that is always killed aborts the batch, which says so", async () => {
    control.available = 8;
    control.deed = (call) => (isRead(0)(call) ? "die" : "go on");
    const failed = await numbers.execute(ONCE);
    expect(failed).toMatchObject({ status: "FAILED", error: "TASK_KILLED" });
    expect(failed.cause).toContain("a task was ended from outside: out of memory, process.exit, or a crash");
    expect(control.of("read").filter(isRead(0))).toHaveLength(2);
    expect(await numbers.staged()).toEqual([]);
    control.deed = () => "go on";
    expect(await numbers.execute(ONCE)).toMatchObject(committed(0, 8, 2));
    expect(await landed()).toEqual(upTo(8));
  });

  it("whose source hangs fails by itself before its time is over, and leaves no file", async () => {
    control.available = 4;
    control.deed = (call) => (isRead(1)(call) ? "hang" : "go on");
    const failed = await hurried.execute(ONCE);
    expect(failed).toMatchObject({ status: "FAILED", error: "TASK_OUT_OF_TIME" });
    expect((await batchOf(hurried))?.error).toMatchObject({
      code: "TASK_OUT_OF_TIME",
      where: { partition: 1 },
    });
    expect(await hurried.staged()).toEqual([]);
    control.deed = () => "go on";
    expect(await hurried.execute(ONCE)).toMatchObject(committed(0, 4, 2));
    expect(await landed(hurried)).toEqual(upTo(4));
  });

  it("whose sink hangs fails as well, and vacuum removes the file that it left", async () => {
    control.available = 4;
    const gate = control.gate();
    control.deed = async ({ call, partition }): Promise<Deed> => {
      if (call === "staged" && partition === 1) await gate.opened;
      return "go on";
    };
    expect(await hurried.execute(ONCE)).toMatchObject({ status: "FAILED", error: "TASK_OUT_OF_TIME" });
    const left = await hurried.staged();
    expect(left).toEqual([expect.stringContaining("000000000000-000001-1-0-")]);
    const { bytes = 0 } = (await Array.fromAsync(hurried.store.list(left[0] ?? "")))[0] ?? {};
    expect(bytes).toBeGreaterThan(0);

    const young = { staged: { files: 0, bytes: 0 }, planned: { files: 0, bytes: 0 } };
    expect(await hurried.vacuum({})).toEqual(young);
    const counted = await hurried.vacuum({ olderThan: 0, dryRun: true });
    expect(counted).toMatchObject({ staged: { files: 1, bytes } });
    expect(await hurried.staged()).toEqual(left);
    expect(await hurried.vacuum({ olderThan: 0 })).toEqual(counted);
    expect(await hurried.staged()).toEqual([]);

    control.deed = () => "go on";
    expect(await hurried.execute(ONCE)).toMatchObject(committed(0, 4, 2));
    expect(await landed(hurried)).toEqual(upTo(4));
    await hurried.vacuum({ olderThan: 0 });
    expect(await hurried.keys("batches/")).toEqual([]);
    expect(await landed(hurried)).toEqual(upTo(4));
  });
});

describe("a planner", () => {
  it("that is killed is called again by the state machine, and takes the pipeline again", async () => {
    control.available = 8;
    control.deed = once("die", is("partitions"));
    expect(await numbers.execute(ONCE)).toMatchObject(committed());
    expect(control.of("partitions")).toHaveLength(2);
    expect(await landed()).toEqual(upTo(8));
  });

  it("whose source fails is tried no more, tells the error, and leaves the pipeline free", async () => {
    control.available = 8;
    control.deed = (call) => (is("latestOffset")(call) ? "fail" : "go on");
    const failed = await numbers.execute(ONCE);
    expect(failed.status).toBe("FAILED");
    expect(failed.cause).toContain("SOURCE_FAILED: latestOffset() failed: Error (pipeline numbers)");
    expect(await numbers.ledger.head("numbers")).not.toHaveProperty("lease");
  });
});

describe("a finalizer that is killed", () => {
  it.each(["before commit", "after commit"] as const)(
    "at the sink's commit (%s) is called again by the state machine, and follows its own decision",
    async (moment) => {
      control.available = 8;
      control.deed = once("die", is(moment));
      expect(await numbers.execute(ONCE)).toMatchObject(committed());
      expect(control.of("before commit")).toHaveLength(2);
      expect(control.of("after commit")).toHaveLength(moment === "after commit" ? 2 : 1);
      expect(control.read).toEqual(upTo(4));
      expect(await numbers.keys("table/_log/")).toHaveLength(1);
      expect(await landed()).toEqual(upTo(8));
    },
  );

  it.each(["before commit", "after commit"] as const)(
    "at the sink's commit (%s) together with its execution is followed by the next one, which rolls forward",
    async (moment) => {
      control.available = 8;
      const dies = once("die", is(moment));
      control.deed = dies;
      const arn = await numbers.start(ONCE);
      await seen("the finalizer died", is(moment));
      await stopped(arn);
      expect(await batchOf(numbers)).toMatchObject({ state: "committing" });
      expect(await numbers.execute(ONCE)).toMatchObject(committed());
      expect(control.read).toEqual(upTo(4));
      expect(control.of("abort")).toEqual([]);
      expect(await numbers.keys("table/_log/")).toHaveLength(1);
      expect(await landed()).toEqual(upTo(8));
    },
  );
});

describe("a sink's commit", () => {
  it("that fails after it has landed counts as done", async () => {
    control.available = 8;
    control.deed = once("fail", is("after commit"));
    expect(await numbers.execute(ONCE)).toMatchObject(committed());
    expect(await landed()).toEqual(upTo(8));
  });

  it("that fails before aborts the batch, which is replayed", async () => {
    control.available = 8;
    control.deed = once("fail", is("before commit"));
    const failed = await numbers.execute(ONCE);
    expect(failed).toMatchObject({ status: "FAILED", error: "SINK_FAILED" });
    expect(failed.cause).toContain("commit() failed: Error (pipeline numbers, batchId 0, attempt 1)");
    expect(control.of("abort")).toHaveLength(1);
    expect(await numbers.execute(ONCE)).toMatchObject(committed(0, 8, 2));
    expect(await landed()).toEqual(upTo(8));
  });
});

describe("a source's commit(end) that fails", () => {
  it("fails the execution after the batch has committed, and the next one makes up for it before anything else", async () => {
    control.available = 8;
    control.deed = once("fail", is("commit offset"));
    const failed = await numbers.execute(ONCE);
    expect(failed).toMatchObject({ status: "FAILED", error: "SOURCE_FAILED" });
    expect(failed.cause).toContain("commit() failed: Error");
    expect(await batchOf(numbers)).toMatchObject({ state: "committed" });
    expect(await landed()).toEqual(upTo(8));

    control.calls.length = 0;
    control.available = 16;
    expect(await numbers.execute(ONCE)).toMatchObject(committed(1));
    expect(control.calls[0]).toMatchObject({ call: "commit offset", to: 8 });
    expect(control.of("commit offset").map(({ to }) => to)).toEqual([8, 16]);
    expect(await landed()).toEqual(upTo(16));
  });
});

describe("two executions at once", () => {
  it("do not disturb each other: one works, the other ends well and says why", async () => {
    control.available = 8;
    const gate = control.gate();
    control.deed = async (call): Promise<Deed> => {
      if (isRead(0)(call)) await gate.opened;
      return "go on";
    };
    const arns = await Promise.all([numbers.start(ONCE), numbers.start(ONCE)]);
    const executions = arns.map((arn) => numbers.ended(arn));
    expect(await Promise.race(executions)).toMatchObject(done("another run has the pipeline"));
    gate.open();
    const whys = (await Promise.all(executions)).map(({ output }) => (output as { why: string }).why);
    expect(whys.sort()).toEqual(["another run has the pipeline", "committed"]);
    expect(control.read).toEqual(upTo(4));
    expect(await landed()).toEqual(upTo(8));
  });

  it("where the first was stopped in mid-batch: the next one takes over at once and writes what is missing", async () => {
    control.available = 8;
    const gate = control.gate();
    control.deed = async (call): Promise<Deed> => {
      if (!isRead(3)(call)) return "go on";
      await gate.opened;
      return "die";
    };
    const arn = await numbers.start(ONCE);
    await until("3 tasks are recorded", async () => (await tasksOf(numbers)).length === 3 || undefined);
    const lease = (await numbers.ledger.head("numbers"))?.lease;
    expect(lease).toMatchObject({ owner: { id: arn } });
    expect(lease?.expiresAt).toBeGreaterThan(Date.now() + 3_600_000);
    await stopped(arn, gate);

    control.calls.length = 0;
    control.deed = () => "go on";
    expect(await numbers.execute(ONCE)).toMatchObject(committed());
    expect(control.read).toEqual([3]);
    expect(await landed()).toEqual(upTo(8));
  });

  it.each([
    ["a writer", (call: Call) => isRead(3)(call)],
    ["the finalizer", (call: Call) => call.call === "before commit"],
  ])(
    "where the pipeline was taken from the first while %s was at work: it does no harm",
    async (_who, isHeld) => {
      control.available = 8;
      const gate = control.gate();
      let isFirst = true;
      control.deed = async (call): Promise<Deed> => {
        if (!isHeld(call) || !isFirst) return "go on";
        isFirst = false;
        await gate.opened;
        return "go on";
      };
      const first = await numbers.start(ONCE);
      await seen("it is at work", isHeld);
      // All other tasks too, so that only the one that is held is done twice.
      await until("3 tasks are recorded", async () => (await tasksOf(numbers)).length >= 3 || undefined);
      const { epoch = 0 } = (await numbers.ledger.head("numbers")) ?? {};
      await numbers.ledger.unlock({ pipeline: "numbers", epoch }, { by: "ann", at: Date.now() });
      expect(await numbers.execute(ONCE)).toMatchObject(committed());
      const head = await numbers.ledger.head("numbers");

      gate.open();
      const lost = await numbers.ended(first);
      // It was told that it had lost the pipeline, unless it came so late that it found the batch committed.
      expect(lost.cause ?? JSON.stringify(lost.output)).toMatch(/FENCED: this run|"state":"committed"/);
      expect(await numbers.ledger.head("numbers")).toEqual(head);
      expect(await numbers.staged()).toHaveLength(4);
      expect(await numbers.keys("table/_log/")).toHaveLength(1);
      expect(control.of("abort")).toEqual([]);
      expect(await landed()).toEqual(upTo(8));
    },
  );
});
