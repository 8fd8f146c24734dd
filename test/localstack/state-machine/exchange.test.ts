import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Call, Control, type Deed } from "../control.ts";
import { type DeployedPipeline, deployed, transitions, until } from "../deployed.ts";
import { committed, is, ONCE, once, upTo } from "./pipelines.ts";

/**
 * A table whose write requires a distribution and an ordering, deployed. Four tasks exchange their
 * rows, and three write them, whatever is killed on the way.
 */

let control: Control;
let exchange: DeployedPipeline;

beforeAll(async () => {
  control = await Control.start();
  exchange = (await deployed("MillraceTests")).pipeline("exchange");
});

afterAll(async () => {
  await control.close();
});

beforeEach(async () => {
  control.reset();
  await exchange.forget();
  control.available = 24;
  control.perPartition = 6;
});

interface Row {
  readonly n: number;
  readonly kind: string;
}

async function json<T>(key: string): Promise<T> {
  return JSON.parse(Buffer.from((await exchange.store.get(key)) ?? []).toString()) as T;
}

/** Returns the rows of each task that the table's commits name, in their order. */
async function tasks(): Promise<readonly (readonly Row[])[]> {
  const found: Row[][] = [];
  for (const key of await exchange.keys("table/commits/"))
    for (const file of (await json<{ keys: string[] }>(key)).keys) found.push(await json<Row[]>(file));
  return found;
}

/** Checks that each row is there once, its kind in one task, and the rows of a task in order. */
async function expectLanded(): Promise<void> {
  const landed = await tasks();
  expect(landed).toHaveLength(control.tasks);
  expect(
    landed
      .flat()
      .map(({ n }) => n)
      .sort((a, b) => a - b),
  ).toEqual(upTo(24));
  const kinds = landed.flatMap((task) => [...new Set(task.map(({ kind }) => kind))]);
  expect(kinds.toSorted()).toEqual(upTo(5).map((kind) => `kind ${kind}`));
  for (const task of landed)
    expect(task).toEqual(task.toSorted((a, b) => a.kind.localeCompare(b.kind) || b.n - a.n));
  expect((await exchange.keys("batches/")).filter((key) => key.includes("/exchanged-"))).toEqual([]);
}

/** Kills each attempt of one task at this call, in the first execution. */
function always(call: Call["call"], partition: number): (call: Call) => Deed {
  return (each) => (each.call === call && each.partition === partition ? "die" : "go on");
}

describe("a deployed table that requires a distribution", () => {
  it("Equal values are in one task, each task is in order, and no exchanged file is left", async () => {
    const execution = await exchange.execute(ONCE);
    expect(execution).toMatchObject(committed(0, 24));
    await expectLanded();
    expect(control.read).toEqual(upTo(4));
    expect(control.of("staged")).toHaveLength(3);
    // By the planner of the second stage, and again by three writers and the commit.
    expect(control.of("factory")).toHaveLength(5);
    const history = await exchange.history(execution.arn);
    expect(transitions(history)).toBe(9 + 4 + 3);
    console.log(`events of a batch with an exchange of 4 tasks and 3 that write: ${history.length}`);
    // What functions/history.ts counts for such a batch.
    expect(history.length).toBeLessThanOrEqual(40 + 20 + 8 * (4 + 3));
  });

  it.each(["read", "read all"] as const)(
    "A task that is killed at %s while it exchanges rows runs again, and each row lands once",
    async (call) => {
      control.deed = once("die", (each) => each.call === call && each.partition === 2);
      expect(await exchange.execute(ONCE)).toMatchObject(committed(0, 24));
      expect(control.read).toEqual([0, 1, 2, 2, 3]);
      await expectLanded();
    },
  );

  it("A task that never exchanges its rows aborts the attempt, the sink hears nothing, and the next run lands each row once", async () => {
    control.deed = always("read all", 1);
    expect(await exchange.execute(ONCE)).toMatchObject({ status: "FAILED", error: "TASK_KILLED" });
    expect(control.of("factory")).toEqual([]);
    expect(control.of("abort")).toEqual([]);
    expect(await tasks()).toEqual([]);

    control.deed = () => "go on";
    expect(await exchange.execute(ONCE)).toMatchObject(committed(0, 24, 2));
    await expectLanded();
  });

  it("A writer that is killed after an exchange runs again, reads no source, and each row lands once", async () => {
    control.deed = once("die", (each) => each.call === "staged" && each.partition === 1);
    expect(await exchange.execute(ONCE)).toMatchObject(committed(0, 24));
    expect(control.of("staged").filter(({ partition }) => partition === 1)).toHaveLength(2);
    expect(control.read).toEqual(upTo(4));
    await expectLanded();
  });

  it("A writer that never commits after an exchange aborts the batch, and the next run lands each row once", async () => {
    control.deed = always("staged", 0);
    expect(await exchange.execute(ONCE)).toMatchObject({ status: "FAILED", error: "TASK_KILLED" });
    expect(control.of("abort")).toHaveLength(1);
    expect(await tasks()).toEqual([]);

    control.deed = () => "go on";
    expect(await exchange.execute(ONCE)).toMatchObject(committed(0, 24, 2));
    await expectLanded();
  });

  it("A planner that is killed while it plans the second stage runs again, and no task does", async () => {
    control.deed = once("die", is("factory"));
    expect(await exchange.execute(ONCE)).toMatchObject(committed(0, 24));
    expect(control.of("factory")).toHaveLength(6);
    expect(control.read).toEqual(upTo(4));
    expect(control.of("staged")).toHaveLength(3);
    await expectLanded();
  });

  it("A planner that never plans the second stage fails the execution, and the next one plans it and reads no source", async () => {
    control.deed = (call) => (call.call === "factory" ? "die" : "go on");
    expect(await exchange.execute(ONCE)).toMatchObject({ status: "FAILED" });
    expect(control.read).toEqual(upTo(4));
    expect(control.of("staged")).toEqual([]);

    control.calls.length = 0;
    control.deed = () => "go on";
    expect(await exchange.execute(ONCE)).toMatchObject(committed(0, 24));
    expect(control.read).toEqual([]);
    await expectLanded();
  });

  it.each(["before commit", "after commit"] as const)(
    "A finalizer that is killed %s after an exchange goes on, and each row lands once",
    async (call) => {
      control.deed = once("die", is(call));
      const first = await exchange.execute(ONCE);
      if (first.status !== "SUCCEEDED")
        expect(await exchange.execute(ONCE)).toMatchObject({ status: "SUCCEEDED" });
      expect(control.of("before commit").length).toBeGreaterThan(1);
      await expectLanded();
    },
  );
});

describe("an execution that is stopped", () => {
  it("An execution that is stopped while rows are exchanged is followed by one that runs the other tasks", async () => {
    const gate = control.gate();
    control.deed = async ({ call, partition }): Promise<Deed> => {
      if (call !== "read all" || partition !== 3) return "go on";
      await gate.opened;
      return "die";
    };
    await stopAfter(3, 0, gate);
    control.calls.length = 0;
    control.deed = () => "go on";
    expect(await exchange.execute(ONCE)).toMatchObject(committed(0, 24));
    expect(control.read).toEqual([3]);
    await expectLanded();
  });

  it("An execution that is stopped after an exchange is followed by one that reads no source", async () => {
    const gate = control.gate();
    control.deed = async ({ call, partition }): Promise<Deed> => {
      if (call !== "staged" || partition !== 2) return "go on";
      await gate.opened;
      return "die";
    };
    await stopAfter(2, undefined, gate);
    control.calls.length = 0;
    control.deed = () => "go on";
    expect(await exchange.execute(ONCE)).toMatchObject(committed(0, 24));
    expect(control.read).toEqual([]);
    // By the writer and by the commit: the stage is not planned again.
    expect(control.of("factory")).toHaveLength(2);
    expect(control.of("staged")).toMatchObject([{ partition: 2 }]);
    await expectLanded();
  });
});

/** Starts an execution, and stops it when so many tasks of the stage are recorded. */
async function stopAfter(count: number, stage: number | undefined, gate: { open(): void }): Promise<void> {
  const arn = await exchange.start(ONCE);
  await until(`${count} tasks are recorded`, async () => {
    const batch = await exchange.ledger.batch(exchange.target.pipeline, 0);
    if (batch === undefined) return undefined;
    const recorded = await exchange.ledger.tasks(stage === undefined ? batch : { ...batch, stage });
    return recorded.length === count || undefined;
  });
  await exchange.stop(arn);
  // LocalStack ends the execution only after its running functions have ended.
  gate.open();
  expect(["ABORTED", "FAILED"]).toContain((await exchange.ended(arn)).status);
}

describe("a distributed exchange", () => {
  beforeEach(() => {
    control.perPartition = 2;
    control.tasks = 12;
  });

  it("An exchange and a write of many tasks run in child executions, whose history the execution has not", async () => {
    const execution = await exchange.execute(ONCE);
    expect(execution).toMatchObject(committed(0, 24));
    const history = await exchange.history(execution.arn);
    expect(history.filter(({ type }) => type === "MapRunSucceeded")).toHaveLength(2);
    expect(transitions(history)).toBe(9);
    expect(control.read).toEqual(upTo(12));
    await expectLanded();
  });

  it("Tasks of a distributed exchange and of its writers are killed, and each row lands once", async () => {
    const dead = new Set<string>();
    control.deed = ({ call, partition = -1 }) => {
      const isMeant = (call === "read all" && partition === 5) || (call === "staged" && partition === 11);
      if (!isMeant || dead.has(call)) return "go on";
      dead.add(call);
      return "die";
    };
    expect(await exchange.execute(ONCE)).toMatchObject(committed(0, 24));
    expect(dead.size).toBe(2);
    await expectLanded();
  });
});
