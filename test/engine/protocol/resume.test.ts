import { describe, expect, it } from "vitest";
import type { PlanResult } from "../../../shared/engine/plan.ts";
import { EngineWorld, scripted } from "../../support/engine.ts";
import { ALL, calls, names } from "./calls.ts";

/**
 * Records a decision and does nothing more, like a finalizer that is killed right after its
 * decision.
 */
async function decide(world: EngineWorld, planned: PlanResult, to: "committing" | "aborting"): Promise<void> {
  if (planned.kind === "batch") await world.ledger.decide(planned.fence, planned.batch, { to });
}

describe("a run that is resumed", () => {
  it("A resumed run writes only the partitions without a finished task", async () => {
    const { script, pipeline } = scripted();
    const world = new EngineWorld();
    const killed = await world.run(pipeline, "a");
    const planned = await killed.plan();
    await killed.write(planned, 1);
    await killed.write(planned, 3);

    script.calls.length = 0;
    const next = await world.run(pipeline, "b");
    const resumed = await next.plan({ ended: true });
    expect(resumed).toMatchObject({ kind: "batch", resumed: true, todo: [0, 2] });
    for (const partition of [0, 2]) await next.write(resumed, partition);
    await next.finalize(resumed);
    expect(calls(script, "read")).toEqual([
      { from: 0, to: 2 },
      { from: 4, to: 6 },
    ]);
    expect(calls(script, "commit")).toEqual([{ messages: ALL, batchId: 0, attempt: 1 }]);
  });

  it("A resumed run commits a decided batch again with equal messages and never decides anew", async () => {
    const { script, pipeline } = scripted();
    const world = new EngineWorld();
    const killed = await world.run(pipeline, "a");
    const planned = await killed.plan();
    for (const partition of [0, 1, 2, 3]) await killed.write(planned, partition);
    await decide(world, planned, "committing");

    const next = await world.run(pipeline, "b");
    const resumed = await next.plan({ ended: true });
    expect(resumed).toMatchObject({ kind: "batch", todo: [] });
    expect((await next.finalize(resumed)).batch.state).toBe("committed");
    expect(calls(script, "commit")).toEqual([{ messages: ALL, batchId: 0, attempt: 1 }]);
    expect(calls(script, "abort")).toEqual([]);
  });

  it("A resumed run carries out a decided abort, even if all tasks are recorded", async () => {
    const { script, pipeline } = scripted();
    const world = new EngineWorld();
    const killed = await world.run(pipeline, "a");
    const planned = await killed.plan();
    for (const partition of [0, 1, 2]) await killed.write(planned, partition);
    await decide(world, planned, "aborting");
    await killed.write(planned, 3);

    const next = await world.run(pipeline, "b");
    const resumed = await next.plan({ ended: true });
    expect(resumed).toMatchObject({ kind: "batch", todo: [] });
    expect((await next.finalize(resumed)).batch).toMatchObject({ state: "aborted", attempt: 1 });
    expect(calls(script, "abort")).toEqual([{ messages: ALL, batchId: 0, attempt: 1, commitTried: false }]);
    expect(calls(script, "commit")).toEqual([]);
    expect((await next.batch())?.batch).toMatchObject({ state: "committed", batchId: 0, attempt: 2 });
  });

  it("A late second finalizer does not acknowledge an old end again", async () => {
    const { script, pipeline } = scripted();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const planned = await run.plan();
    for (const partition of [0, 1, 2, 3]) await run.write(planned, partition);
    await run.finalize(planned);
    await run.batch();
    expect(calls(script, "commit offset")).toEqual([{ n: 8 }, { n: 16 }]);
    await run.finalize(planned).catch(() => undefined);
    expect(calls(script, "commit offset")).toEqual([{ n: 8 }, { n: 16 }]);
  });

  it("A resumed run acknowledges a committed batch before anything else, until it succeeds", async () => {
    const { script, pipeline } = scripted();
    script.fault = (call) => {
      if (call === "commit offset") throw new Error("cannot forget");
    };
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    expect(await run.batch()).toMatchObject({
      batch: { state: "committed" },
      unacknowledged: { code: "SOURCE_FAILED", cause: new Error("cannot forget") },
    });
    await expect(run.plan()).rejects.toMatchObject({ code: "SOURCE_FAILED" });
    expect(await world.ledger.head("numbers")).toMatchObject({
      offset: { n: 8 },
      unacknowledged: { batchId: 0, end: { n: 8 } },
    });
    script.fault = () => undefined;
    script.calls.length = 0;
    await run.plan();
    expect(names(script)).toEqual(["commit offset", "latestOffset", "partitions"]);
  });

  it("A resumed run begins a new attempt if the tasks of a planned batch may be forgotten", async () => {
    const { pipeline } = scripted();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    await run.write(await run.plan(), 0);
    world.now += 91 * 86_400_000;
    expect(await run.plan()).toMatchObject({ kind: "batch", todo: [0, 1, 2, 3], batch: { attempt: 2 } });
  });

  it("A resumed run asks a person about a batch that was decided as long ago", async () => {
    const { pipeline } = scripted();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const planned = await run.plan();
    await decide(world, planned, "committing");
    world.now += 91 * 86_400_000;
    await expect(run.plan()).rejects.toMatchObject({ code: "BATCH_TOO_OLD" });
  });
});

describe("a lease", () => {
  it("A lease is refused to a second run, with the name of its holder", async () => {
    const { pipeline } = scripted();
    const world = new EngineWorld();
    await (await world.run(pipeline, "a")).plan();
    const second = await world.run(pipeline, "b");
    await expect(second.plan()).rejects.toMatchObject({
      code: "LEASE_HELD",
      message: expect.stringContaining("run a") as string,
    });
  });

  it("A lease that was lost ends a run without harm: it can decide nothing, and its staged rows count", async () => {
    const { script, pipeline } = scripted();
    const world = new EngineWorld();
    const zombie = await world.run(pipeline, "a");
    const old = await zombie.plan();
    await zombie.write(old, 0);
    world.now += 60_000;
    const next = await world.run(pipeline, "b");
    const taken = await next.plan();
    await zombie.write(old, 1);
    await expect(zombie.finalize(old)).rejects.toMatchObject({ code: "FENCED" });
    for (const partition of [2, 3]) await next.write(taken, partition);
    expect((await next.finalize(taken)).batch.state).toBe("committed");
    await expect(zombie.finalize(old)).rejects.toMatchObject({ code: "FENCED" });
    expect(calls(script, "commit")).toEqual([{ messages: ALL, batchId: 0, attempt: 1 }]);
  });

  it("A lease is taken anew by each call of Plan, also of the same run, which fences the earlier call", async () => {
    const { pipeline } = scripted();
    const run = await new EngineWorld().run(pipeline, "a");
    const first = await run.plan();
    await run.plan();
    await expect(run.finalize(first)).rejects.toMatchObject({ code: "FENCED" });
  });
});
