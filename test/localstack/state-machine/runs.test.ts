import { describe, expect, it } from "vitest";
import type { Call, Deed } from "../control.ts";
import { transitions, until } from "../deployed.ts";
import {
  batchOf,
  committed,
  control,
  isRead,
  landed,
  numbers,
  ONCE,
  relayed,
  seen,
  stopped,
  tasksOf,
  upTo,
  usePipelines,
} from "./pipelines.ts";

const done = (why: string) => ({ status: "SUCCEEDED", output: { next: "Done", why } });

usePipelines();

describe("a run", () => {
  it("A run of one batch takes 6 state transitions and one for each partition", async () => {
    control.available = 8;
    const execution = await numbers.execute(ONCE);
    expect(execution).toMatchObject(committed());
    const entered = transitions(await numbers.history(execution.arn));
    console.log(`state transitions of a batch: ${entered - 4} + ${control.read.length} partitions`);
    expect(entered).toBe(6 + 4);
    expect(await landed()).toEqual(upTo(8));
    expect(control.calls.at(-1)).toMatchObject({ call: "commit offset", to: 8 });
  });

  it("A run ends at once without new data and records no batch", async () => {
    const execution = await numbers.execute(ONCE);
    expect(execution).toMatchObject(done("nothing new"));
    expect(transitions(await numbers.history(execution.arn))).toBe(3);
    const head = await numbers.ledger.head("numbers");
    expect(head).toMatchObject({ nextBatchId: 0, offset: { n: 0 } });
    expect(head).not.toHaveProperty("lease");
    expect(await batchOf(numbers)).toBeUndefined();
  });

  it("A run takes batches up to the source's end at its start, though the source grows", async () => {
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

  it("A run of a paused pipeline does nothing and does not ask its source, which may be broken", async () => {
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

describe("a run that would become too long", () => {
  it("A run that would become too long continues in new executions, up to the end at its start", async () => {
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

describe("two executions at once", () => {
  it("Two executions at once do not disturb each other: one works, the other ends well and says why", async () => {
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

  it("A second execution takes over at once from a stopped one and writes the missing partitions", async () => {
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
  ])("An execution that lost the pipeline while %s was running changes nothing", async (_who, isHeld) => {
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
    // The other tasks must be recorded first. Otherwise they would run twice, like the held task.
    await until("3 tasks are recorded", async () => (await tasksOf(numbers)).length >= 3 || undefined);
    const { epoch = 0, incarnation = "" } = (await numbers.ledger.head("numbers")) ?? {};
    await numbers.ledger.unlock({ pipeline: "numbers", incarnation, epoch }, { by: "ann", at: Date.now() });
    expect(await numbers.execute(ONCE)).toMatchObject(committed());
    const head = await numbers.ledger.head("numbers");

    gate.open();
    const lost = await numbers.ended(first);
    // The old execution fails because the new one has taken over the pipeline. If the old one
    // continues late, it finds that the batch is already committed, and it succeeds.
    expect(lost.cause ?? JSON.stringify(lost.output)).toMatch(/FENCED: this run|"state":"committed"/);
    expect(await numbers.ledger.head("numbers")).toEqual(head);
    expect(await numbers.staged()).toHaveLength(4);
    expect(await numbers.keys("table/_log/")).toHaveLength(1);
    expect(control.of("abort")).toEqual([]);
    expect(await landed()).toEqual(upTo(8));
  });
});
