import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import type { RunOptions } from "../../../local/run-options.ts";
import { LocalSteps } from "../../../local/steps.ts";
import type { Ledger } from "../../../shared/engine/ports/ledger.ts";
import { SqliteLedger } from "../../../shared/platform/embedded/sqlite-ledger.ts";
import { EngineWorld, scripted } from "../../support/engine.ts";
import { ALL, calls, names } from "./calls.ts";

/** Returns a copy of the world's ledger as it is now. */
function copyOf(world: EngineWorld): Ledger {
  const path = join(world.folder, "copy.sqlite");
  const database = new DatabaseSync(join(world.folder, "ledger.sqlite"));
  database.prepare("VACUUM INTO ?").run(path);
  database.close();
  return new SqliteLedger(path);
}

/**
 * Returns a run whose batch has one row in each partition, and another run that plans the batch of
 * the same id and attempt with two rows in each. In between, the ledger was put back to its copy.
 */
async function plannedTwice() {
  const { script, pipeline } = scripted({ available: 0 });
  const world = new EngineWorld();
  await (await world.run(pipeline, "a")).plan();
  const ledger = copyOf(world);
  script.available = 4;
  const old = await (await world.run(pipeline, "a")).plan();
  // The old run works on and finds the copy.
  const oldRun = await world.run(pipeline, "a", { ledger });
  script.available = 24;
  const run = await world.run(pipeline, "b", { ledger });
  const planned = await run.plan({ ended: true });
  if (planned.kind !== "batch") throw new Error("there is a batch");
  const writeOld = (partition: number) => oldRun.write(old, partition);
  return { script, pipeline, world, ledger, writeOld, run, planned };
}

describe("a ledger that is put back to an older copy while a run is at work", () => {
  it("A batch is not committed with the task of another plan of the same id and attempt", async () => {
    const { script, writeOld, run, planned } = await plannedTwice();
    await writeOld(1);
    for (const partition of [0, 2, 3]) await run.write(planned, partition);
    const { batch } = await run.finalize(planned);
    expect(batch).toMatchObject({ state: "aborted", attempt: 1, error: { code: "TASKS_MISSING" } });
    await run.batch();
    expect(calls(script, "commit")).toEqual([{ messages: ALL, batchId: 0, attempt: 2 }]);
  });

  it("A task fails as stale and drops its rows if a task of another plan is recorded in its place", async () => {
    const { script, writeOld, run, planned } = await plannedTwice();
    await writeOld(1);
    await expect(run.write(planned, 1)).rejects.toMatchObject({
      code: "RUN_IS_STALE",
      where: { pipeline: "numbers", batchId: 0, attempt: 1, partition: 1 },
    });
    expect(calls(script, "abortTask")).toEqual([1]);
  });

  it("A task of a run that works on with its old plan fails as stale if the new plan has recorded it", async () => {
    const { script, writeOld, run, planned } = await plannedTwice();
    for (const partition of [0, 1, 2, 3]) await run.write(planned, partition);
    await expect(writeOld(1)).rejects.toMatchObject({ code: "RUN_IS_STALE" });
    await run.finalize(planned);
    expect(calls(script, "commit")).toEqual([{ messages: ALL, batchId: 0, attempt: 1 }]);
  });

  it("A resumed run writes the partitions again that have the task of another plan", async () => {
    const { script, pipeline, world, ledger, writeOld, run, planned } = await plannedTwice();
    await writeOld(1);
    for (const partition of [0, 2]) await run.write(planned, partition);
    const next = await world.run(pipeline, "c", { ledger });
    const resumed = await next.plan({ ended: true });
    expect(resumed).toMatchObject({ resumed: true, todo: [1, 3], batch: { attempt: 1 } });
    for (const partition of [1, 3]) await next.write(resumed, partition);
    await next.finalize(resumed);
    expect(calls(script, "commit")).toEqual([{ messages: ALL, batchId: 0, attempt: 1 }]);
  });

  it("An interrupted run does not end its batch if one of the tasks is of another plan", async () => {
    const { writeOld, run, planned } = await plannedTwice();
    await writeOld(1);
    for (const partition of [0, 2, 3]) await run.write(planned, partition);
    const options = { signal: AbortSignal.abort(), maxConcurrency: 1 } as RunOptions;
    const steps = new LocalSteps({ options, ports: run.ports, pool: {} } as ConstructorParameters<
      typeof LocalSteps
    >[0]);
    expect(await steps.write({ ...planned, todo: [] })).toBe("interrupted");
  });
});

describe("a ledger that is older than the sink's commit", () => {
  it("A batch that the sink has is finished without another run of its tasks, although the ledger calls it planned", async () => {
    const { script, pipeline } = scripted();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const planned = await run.plan();
    if (planned.kind !== "batch") throw new Error("there is a batch");
    const ledger = copyOf(world);
    for (const partition of planned.todo) await run.write(planned, partition);
    await run.finalize(planned);
    script.landed = new Set([0]);
    script.calls.length = 0;
    script.fault = (call) => {
      if (call === "read") throw new Error("the rows are gone");
    };

    const next = await world.run(pipeline, "b", { ledger });
    const { incarnation, batchId, planId = "" } = planned.batch;
    Object.defineProperty(next.sessions.sink, "newestBatch", {
      value: async () => ({ newest: { incarnation, batchId, planId } }),
    });
    const resumed = await next.plan({ ended: true });
    expect(resumed).toMatchObject({ resumed: true, todo: [], batch: { state: "committing", attempt: 1 } });
    expect((await next.finalize(resumed)).batch).toMatchObject({ state: "committed", attempt: 1 });
    expect(names(script).filter((name) => ["read", "commit", "abort"].includes(name))).toEqual([]);
    expect(calls(script, "commit offset")).toEqual([{ n: 8 }]);
    expect(await ledger.head("numbers")).toMatchObject({ offset: { n: 8 }, nextBatchId: 1 });
  });
});
