import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Finalized, Work } from "../../shared/aws/state.ts";
import { Control } from "./control.ts";
import { EXECUTION, type Handlers, LAMBDA, loadHandlers } from "./handlers.ts";
import { WatchedRequests } from "./rights.ts";

/**
 * Tests that the roles of the construct allow each request of a batch whose tasks exchange rows, as
 * rights.test.ts does for other batches.
 */

let control: Control;
let handlers: Handlers;
let watched: WatchedRequests;

beforeAll(async () => {
  control = await Control.start();
  handlers = (await loadHandlers("exchange.ts")).handlers;
  watched = new WatchedRequests(handlers);
});

beforeEach(() => {
  watched.forget();
  control.perPartition = 2;
  control.tasks = 3;
  control.deed = () => "go on";
});

afterAll(async () => {
  await control.close();
});

async function plan(): Promise<Work> {
  const planned = await watched.as("Plan", () =>
    handlers.plan({ input: { trigger: "once" }, execution: EXECUTION }, LAMBDA),
  );
  if (planned.next === "Done") throw new Error("there is nothing to do");
  return planned;
}

/** Runs the tasks of a stage. Returns how many failed. */
async function tasks({ run, todo }: Work): Promise<number> {
  let failed = 0;
  for (const partition of todo)
    await watched.as("Write", () =>
      handlers.write({ run, partition, attemptNumber: 2 }, LAMBDA).catch(() => failed++),
    );
  return failed;
}

async function planStage(work: Work, failed = 0): Promise<Work> {
  const exchanged = { ...work, failed, killed: null };
  return (await watched.as("Plan", () => handlers.plan({ exchanged }, LAMBDA))) as Work;
}

async function finalize(work: Work, failed = 0): Promise<Finalized> {
  return await watched.as("Finalize", () => handlers.finalize({ ...work, failed, killed: null }, LAMBDA));
}

async function batch(): Promise<Finalized> {
  const planned = await plan();
  const stage = await planStage(planned, await tasks(planned));
  return await finalize(stage, await tasks(stage));
}

const exchanged = (keys: readonly string[]) => keys.filter((key) => key.includes("/exchanged-"));

describe("the roles of the construct", () => {
  it("The roles allow each request of a batch whose tasks exchange rows", async () => {
    control.available += 8;
    const planned = await plan();
    expect(planned).toMatchObject({ next: "ExchangeInline", todo: [0, 1, 2, 3], run: { stage: 0 } });
    const stage = await planStage(planned, await tasks(planned));
    expect(stage).toMatchObject({ next: "WriteInline", todo: [0, 1, 2] });
    // The state has 256 KiB, and what a stage adds to it does not grow.
    expect(JSON.stringify(stage).length).toBeLessThan(JSON.stringify(planned).length + 300);
    expect(await finalize(stage, await tasks(stage))).toMatchObject({ next: "Done" });
    expect(exchanged(watched.keysOf("Write", "s3:PutObject"))).toHaveLength(4);
    expect(exchanged(watched.keysOf("Finalize", "s3:DeleteObject"))).toHaveLength(4);
    expect(await watched.refused()).toEqual([]);
  });

  it("The roles allow each request of tasks that exchange more rows than fit into memory, and sort them in the store", async () => {
    control.available += 1500;
    control.perPartition = 1500;
    control.tasks = 1;
    expect(await batch()).toMatchObject({ next: "Done", batch: { rows: 1500 } });
    expect(watched.keysOf("Write", "s3:PutObject").some((key) => key.includes("/sorted-"))).toBe(true);
    expect(watched.keysOf("Write", "s3:DeleteObject").some((key) => key.includes("/sorted-"))).toBe(true);
    expect(await watched.refused()).toEqual([]);
  });

  it("The roles allow each request of an exchange that fails, and of its replay", async () => {
    control.available += 8;
    control.deed = ({ call, partition }) => (call === "read all" && partition === 1 ? "fail" : "go on");
    const planned = await plan();
    const stage = await planStage(planned, await tasks(planned));
    expect(stage).toMatchObject({ next: "Finalize", todo: [], input: { events: 20 + 4 * 8 } });
    expect(await finalize(stage, 1)).toMatchObject({ next: "Failed" });
    control.deed = () => "go on";
    expect(await batch()).toMatchObject({ next: "Done" });
    expect(await watched.refused()).toEqual([]);
  });

  it("The roles allow each request of a batch that is resumed while its tasks exchange rows", async () => {
    control.available += 500;
    const planned = await plan();
    expect(planned.next).toBe("ExchangeDistributed");
    await tasks({ ...planned, todo: [3] });
    const resumed = await plan();
    expect(resumed.items?.key).toContain("/todo-");
    const stage = await planStage(
      resumed,
      await tasks({ ...resumed, todo: upTo(250).filter((n) => n !== 3) }),
    );
    expect(stage).toMatchObject({ next: "WriteInline", todo: [0, 1, 2] });
    expect(await finalize(stage, await tasks(stage))).toMatchObject({ next: "Done" });
    expect(await watched.refused()).toEqual([]);
  });

  it("The roles allow each request of a vacuum, which deletes the plans of all stages", async () => {
    await watched.as("Vacuum", () => handlers.vacuum({ olderThan: 0 }, LAMBDA));
    const plans = watched.keysOf("Vacuum", "s3:DeleteObject").filter((key) => key.includes("/partitions-"));
    expect(plans.length).toBeGreaterThanOrEqual(8);
    expect(await watched.refused()).toEqual([]);
  });
});

const upTo = (end: number) => Array.from({ length: end }, (_, n) => n);
