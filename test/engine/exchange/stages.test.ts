import { describe, expect, it } from "vitest";
import { storeScratch } from "../../../shared/arrow/sort/store-scratch.ts";
import type { MillraceError } from "../../../shared/contract/errors.ts";
import { Distributions, desc } from "../../../shared/contract/write/distribution.ts";
import type { PlannedBatch, PlanResult } from "../../../shared/engine/plan.ts";
import { vacuum } from "../../../shared/engine/vacuum.ts";
import { EngineWorld, type Run, scripted } from "../../support/engine.ts";
import { calls, names } from "../protocol/calls.ts";

/** Rows are split into three ranges, the greatest ids first, and sorted. */
const ARRANGED = {
  distribution: Distributions.ordered(desc("id")),
  numPartitions: 3,
  ordering: [desc("id")],
} as const;
const IDS = [7, 6, 5, 4, 3, 2, 1, 0];

const arranged = () => scripted({}, ARRANGED);

async function exchange(run: Run, planned: PlanResult): Promise<PlannedBatch> {
  const { todo } = planned as PlannedBatch;
  for (const partition of todo) await run.write(planned, partition);
  return await run.planStage(planned);
}

async function finish(run: Run, planned: PlannedBatch): Promise<void> {
  for (const partition of planned.todo) await run.write(planned, partition);
  await run.finalize(planned);
}

const exchangedFiles = async ({ ports }: Run) =>
  (await Array.fromAsync(ports.store.list("batches/")))
    .map(({ key }) => key)
    .filter((key) => key.includes("exchanged-"));

/** Returns the ids of the commits, task by task. */
const committed = (script: ReturnType<typeof scripted>["script"]) =>
  calls(script, "commit").map((args) => (args as { readonly messages: readonly number[][] }).messages.flat());

describe("A batch whose tasks exchange rows", () => {
  it("The tasks of the second stage get the rows of all tasks of the first", async () => {
    const { script, pipeline } = arranged();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");

    const planned = (await run.plan()) as PlannedBatch;
    expect(planned).toMatchObject({ run: { stage: 0 }, todo: [0, 1, 2, 3] });
    const stage = await exchange(run, planned);
    expect(stage).toMatchObject({ todo: [0, 1, 2], batch: { tasks: 3, exchanges: { count: 1, done: 1 } } });
    expect(stage.run.stage).toBeUndefined();
    await finish(run, stage);

    expect(committed(script)).toEqual([IDS]);
    expect(await exchangedFiles(run)).toEqual([]);
  });

  it("A run that was killed while rows were exchanged goes on with the tasks that are missing", async () => {
    const { script, pipeline } = arranged();
    const world = new EngineWorld();
    const killed = await world.run(pipeline, "a");
    const planned = await killed.plan();
    for (const partition of [0, 2]) await killed.write(planned, partition);

    script.calls.length = 0;
    const next = await world.run(pipeline, "b");
    const resumed = (await next.plan({ ended: true })) as PlannedBatch;
    expect(resumed).toMatchObject({ resumed: true, run: { stage: 0 }, todo: [1, 3] });
    await finish(next, await exchange(next, resumed));

    expect(calls(script, "read")).toEqual([
      { from: 2, to: 4 },
      { from: 6, to: 8 },
    ]);
    expect(committed(script)).toEqual([IDS]);
  });

  it("A run that was killed before the second stage was planned plans it, and reads nothing again", async () => {
    const { script, pipeline } = arranged();
    const world = new EngineWorld();
    const killed = await world.run(pipeline, "a");
    const planned = await killed.plan();
    for (const partition of [0, 1, 2, 3]) await killed.write(planned, partition);

    script.calls.length = 0;
    const next = await world.run(pipeline, "b");
    const resumed = (await next.plan({ ended: true })) as PlannedBatch;
    expect(resumed).toMatchObject({ run: { stage: 0 }, todo: [] });
    await finish(next, await next.planStage(resumed));

    expect(names(script)).not.toContain("read");
    expect(committed(script)).toEqual([IDS]);
  });

  it("A run that was killed within the second stage keeps its finished tasks", async () => {
    const { script, pipeline } = arranged();
    const world = new EngineWorld();
    const killed = await world.run(pipeline, "a");
    const stage = await exchange(killed, await killed.plan());
    await killed.write(stage, 1);

    script.calls.length = 0;
    const next = await world.run(pipeline, "b");
    const resumed = (await next.plan({ ended: true })) as PlannedBatch;
    expect(resumed.todo).toEqual([0, 2]);
    expect(resumed.run.stage).toBeUndefined();
    await finish(next, resumed);

    expect(names(script)).not.toContain("read");
    expect(committed(script)).toEqual([IDS]);
  });

  it("A step that plans the second stage again, because its answer was lost, finds it planned", async () => {
    const { pipeline } = arranged();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const planned = await run.plan();
    const first = await exchange(run, planned);

    await run.write(first, 2);
    const again = await run.planStage(planned);
    expect(again).toMatchObject({ run: first.run, todo: [0, 1] });
    await (await world.run(pipeline, "b")).plan({ ended: true });
    await expect(run.planStage(planned)).rejects.toMatchObject({ code: "FENCED" });
  });

  it("A run that lost the pipeline cannot plan a stage", async () => {
    const { pipeline } = arranged();
    const world = new EngineWorld();
    const late = await world.run(pipeline, "a");
    const planned = await late.plan();
    for (const partition of [0, 1, 2, 3]) await late.write(planned, partition);
    await (await world.run(pipeline, "b")).plan({ ended: true });

    await expect(late.planStage(planned)).rejects.toMatchObject({ code: "FENCED" });
  });

  it("A batch whose write requires more tasks than a batch may have is refused before it is recorded", async () => {
    const { script, pipeline } = scripted({}, { ...ARRANGED, numPartitions: 5 });
    const run = await new EngineWorld().run(pipeline, "a");

    await expect(run.plan({ maxTasks: 4 })).rejects.toMatchObject({
      code: "TOO_MANY_PARTITIONS",
      message: expect.stringContaining("5 tasks") as string,
      where: { pipeline: "numbers" },
    });
    expect(names(script)).not.toContain("read");
    expect(await run.ports.ledger.batch("numbers", 0)).toBeUndefined();
    expect(await run.plan({ maxTasks: 5 })).toMatchObject({ kind: "batch", todo: [0, 1, 2, 3] });
  });

  it("An attempt whose write requires more tasks than a batch may have is refused, too", async () => {
    const world = new EngineWorld();
    const run = await world.run(arranged().pipeline, "a");
    await run.finalize((await run.plan()) as PlannedBatch);
    const next = await world.run(scripted({}, { ...ARRANGED, numPartitions: 5 }).pipeline, "b");

    await expect(next.plan({ ended: true, maxTasks: 4 })).rejects.toMatchObject({
      code: "TOO_MANY_PARTITIONS",
      message: expect.stringContaining("5 tasks") as string,
      where: { pipeline: "numbers", batchId: 0, attempt: 1 },
    });
    expect(await next.ports.ledger.batch("numbers", 0)).toMatchObject({ state: "aborted", attempt: 1 });
    expect(await next.plan({ ended: true, maxTasks: 5 })).toMatchObject({ run: { attempt: 2 } });
  });

  it("A stage is not planned while a task is missing", async () => {
    const { pipeline } = arranged();
    const run = await new EngineWorld().run(pipeline, "a");
    const planned = await run.plan();
    for (const partition of [0, 1, 3]) await run.write(planned, partition);

    await expect(run.planStage(planned)).rejects.toMatchObject({ code: "TASKS_MISSING" });
  });

  it("A task that cannot be exchanged aborts the attempt, and the sink hears nothing of it", async () => {
    const { script, pipeline } = arranged();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const planned = await run.plan();
    for (const partition of [0, 1]) await run.write(planned, partition);

    expect((await run.finalize(planned)).batch).toMatchObject({
      state: "aborted",
      error: { code: "TASKS_MISSING" },
    });
    expect(names(script)).not.toContain("abort");
    expect(await exchangedFiles(run)).toEqual([]);

    const again = (await run.plan()) as PlannedBatch;
    expect(again).toMatchObject({ run: { stage: 0, attempt: 2 }, todo: [0, 1, 2, 3] });
    await finish(run, await exchange(run, again));
    expect(committed(script)).toEqual([IDS]);
  });

  it("An abort that was decided while rows were exchanged is carried out by the next run", async () => {
    const { script, pipeline } = arranged();
    const world = new EngineWorld();
    const killed = await world.run(pipeline, "a");
    const planned = (await killed.plan()) as PlannedBatch;
    await killed.write(planned, 0);
    await world.ledger.decide(planned.fence, planned.batch, { to: "aborting" });

    const next = await world.run(pipeline, "b");
    const resumed = (await next.plan({ ended: true })) as PlannedBatch;
    expect(resumed).toMatchObject({ batch: { state: "aborting" }, todo: [] });
    expect(resumed.run.stage).toBeUndefined();
    expect((await next.finalize(resumed)).batch.state).toBe("aborted");
    await finish(next, await exchange(next, await next.plan()));
    expect(committed(script)).toEqual([IDS]);
  });

  it("A commit of an earlier attempt that lands late ends the batch, whatever stage the next one is in", async () => {
    const { script, pipeline } = scripted({ landed: new Set() }, ARRANGED);
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const stage = await exchange(run, await run.plan());
    for (const partition of stage.todo) await run.write(stage, partition);
    script.fault = (call) => {
      if (call === "commit") throw new Error("the commit failed");
    };
    expect((await run.finalize(stage)).batch.state).toBe("aborted");
    script.fault = () => undefined;

    const again = (await run.plan()) as PlannedBatch;
    expect(again.run).toMatchObject({ attempt: 2, stage: 0 });
    script.landed?.add(0);
    expect((await run.finalize(again)).batch.state).toBe("committed");
  });

  it("An attempt that failed while writing is followed by one that exchanges the rows again", async () => {
    const { script, pipeline } = arranged();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const stage = await exchange(run, await run.plan());
    await run.write(stage, 0);
    await run.finalize(stage);
    expect(names(script)).toContain("abort");

    const again = (await run.plan()) as PlannedBatch;
    expect(again).toMatchObject({ run: { stage: 0, attempt: 2 }, batch: { tasks: 4 }, todo: [0, 1, 2, 3] });
    await finish(run, await exchange(run, again));
    expect(committed(script)).toEqual([IDS]);
  });

  it("A file that is lost before it is read costs its task another run", async () => {
    const { script, pipeline } = arranged();
    const world = new EngineWorld();
    const killed = await world.run(pipeline, "a");
    const planned = await killed.plan();
    for (const partition of [0, 1, 2, 3]) await killed.write(planned, partition);
    const [lost = ""] = await exchangedFiles(killed);
    await killed.ports.store.delete([lost]);

    const next = await world.run(pipeline, "b");
    const resumed = (await next.plan({ ended: true })) as PlannedBatch;
    expect(resumed.loss).toMatchObject({ code: "SHUFFLE_FILE_MISSING" });
    expect(resumed.todo).toHaveLength(1);
    await finish(next, await exchange(next, resumed));
    expect(committed(script)).toEqual([IDS]);
  });

  it("A file that is lost while tasks read it fails them, and the next attempt loses no row", async () => {
    const { script, pipeline } = arranged();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const stage = await exchange(run, await run.plan());
    await run.ports.store.delete(await exchangedFiles(run));

    const failed = await run.write(stage, 0).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: "SHUFFLE_FILE_MISSING" });
    expect((failed as MillraceError).retryable).toBe(false);
    await run.finalize(stage);
    await finish(run, await exchange(run, await run.plan()));
    expect(committed(script)).toEqual([IDS]);
  });

  it("A file of an attempt that lost to another one is deleted, and never read", async () => {
    const { script, pipeline } = arranged();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const planned = await run.plan();
    const [first, second] = await Promise.all([run.write(planned, 0, 0), run.write(planned, 0, 1)]);
    expect([first.won, second.won].filter((won) => won)).toHaveLength(1);
    expect(await exchangedFiles(run)).toHaveLength(1);

    for (const partition of [1, 2, 3]) await run.write(planned, partition);
    await finish(run, await run.planStage(planned));
    expect(committed(script)).toEqual([IDS]);
  });

  it("Vacuum keeps the partitions of the source and the exchanged files of an open batch", async () => {
    const { script, pipeline } = arranged();
    const world = new EngineWorld();
    const killed = await world.run(pipeline, "a");
    await exchange(killed, await killed.plan());
    // The next run has another epoch, so that the files of the first one are old.
    const next = await world.run(pipeline, "b");
    const resumed = (await next.plan({ ended: true })) as PlannedBatch;
    world.now += 400 * 86_400_000;
    await vacuum(next.sessions, next.ports, { olderThan: 86_400_000, dryRun: false });

    expect(await exchangedFiles(next)).toHaveLength(4);
    await next.finalize(resumed);
    await finish(next, await exchange(next, await next.plan()));
    expect(committed(script)).toEqual([IDS]);
  });

  it("Vacuum deletes what a killed task left, once its batch has ended: sorted runs, and files that are not recorded", async () => {
    const { pipeline } = arranged();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const { store } = run.ports;
    const planned = await run.plan();
    const folder = "batches/000000000000/";
    async function* rows() {
      yield new Uint8Array(3);
    }
    await storeScratch(store, `${folder}sorted-killed/`).write(0, rows());
    await storeScratch(store, `${folder}sorted-killed/changes/`).write(0, rows());
    await store.put(`${folder}exchanged-killed.arrows`, rows());
    const left = async () =>
      (await Array.fromAsync(store.list(folder)))
        .map(({ key }) => key.slice(folder.length))
        .filter((key) => key.includes("killed"));
    const all = ["exchanged-killed.arrows", "sorted-killed/changes/run-0", "sorted-killed/run-0"];

    world.now += 400 * 86_400_000;
    const request = { olderThan: 86_400_000, dryRun: false };
    await vacuum(run.sessions, run.ports, request);
    expect((await left()).toSorted()).toEqual(all);

    await finish(run, await exchange(run, planned));
    expect((await left()).toSorted()).toEqual(all);
    await vacuum(run.sessions, run.ports, request);
    expect(await left()).toEqual([]);
  });
});
