import { describe, expect, it } from "vitest";
import type { Call, Deed } from "../control.ts";
import {
  batchOf,
  committed,
  control,
  hurried,
  is,
  isRead,
  landed,
  numbers,
  ONCE,
  once,
  seen,
  stopped,
  tasksOf,
  upTo,
  usePipelines,
} from "./pipelines.ts";

usePipelines();

describe("a writer", () => {
  it("A writer that fails once is tried again, and the batch commits", async () => {
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

  it("A writer that is killed once is tried again, and the batch commits", async () => {
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

  it("A writer that always fails aborts the batch, which the next execution replays as it was", async () => {
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

  it("A writer whose row does not fit is not tried again", async () => {
    control.available = 8;
    control.deed = (call) => (isRead(3)(call) ? "yield a bad row" : "go on");
    expect(await numbers.execute(ONCE)).toMatchObject({ status: "FAILED", error: "ROW_MISMATCH" });
    expect(control.read).toEqual(upTo(4));
    expect((await batchOf(numbers))?.error).toMatchObject({ where: { partition: 3, row: 3, field: "word" } });
  });

  it("A writer that is always killed aborts the batch, which says so", async () => {
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

  it("A writer whose source hangs fails by itself before its time is over and leaves no file", async () => {
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

  it("A writer whose sink hangs fails as well, and vacuum removes the file that it left", async () => {
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

    const young = { staged: { files: 0, bytes: 0 }, planned: { files: 0, bytes: 0 }, more: false };
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
  it("A planner that is killed is called again by the state machine and takes the pipeline again", async () => {
    control.available = 8;
    control.deed = once("die", is("partitions"));
    expect(await numbers.execute(ONCE)).toMatchObject(committed());
    expect(control.of("partitions")).toHaveLength(2);
    expect(await landed()).toEqual(upTo(8));
  });

  it("A planner whose source fails is not tried again, reports the error and leaves the pipeline free", async () => {
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
    "A finalizer killed at the sink's commit (%s) is called again and follows its own decision",
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
    "A finalizer killed at the commit (%s) with its execution is followed by the next, which rolls forward",
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
