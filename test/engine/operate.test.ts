import { describe, expect, it, vi } from "vitest";
import type { Rewind } from "../../shared/engine/ports/manual-operations.ts";
import { rewind } from "../../shared/engine/rewind.ts";
import { vacuum } from "../../shared/engine/vacuum.ts";
import { EngineWorld, scripted } from "../support/engine.ts";

const ANN = { id: "ann", description: "millrace rewind by ann" };
const REWIND: Rewind = { by: "ann", at: 5000, from: { n: 8 }, to: { n: 0 } };

describe("a paused pipeline", () => {
  it("A paused pipeline plans nothing, acknowledges nothing, and leaves its open batch as it is", async () => {
    const { script, pipeline } = scripted();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    script.fault = (call) => {
      if (call === "commit offset") throw new Error("cannot forget");
    };
    await run.batch();
    script.fault = () => undefined;
    const action = { by: "ann", why: "the source is ill", at: 5000 };
    await world.ledger.pause("numbers", action);
    const before = script.calls.length;
    expect(await run.plan()).toMatchObject({ kind: "paused", fence: { epoch: 2 }, paused: action });
    expect(script.calls).toHaveLength(before);
    expect((await world.ledger.head("numbers"))?.unacknowledged).toEqual({ batchId: 0, end: { n: 8 } });

    await world.ledger.resume("numbers", action);
    const planned = await run.plan();
    await world.ledger.pause("numbers", action);
    expect((await run.plan()).kind).toBe("paused");
    await world.ledger.resume("numbers", action);
    expect(await run.plan()).toMatchObject({
      resumed: true,
      batch: planned.kind === "batch" ? planned.batch : undefined,
    });
  });

  it("A paused pipeline lets a run end its present batch", async () => {
    const { pipeline } = scripted();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const planned = await run.plan();
    await world.ledger.pause("numbers", { by: "ann", at: 5000 });
    for (const partition of [0, 1, 2, 3]) await run.write(planned, partition);
    expect((await run.finalize(planned)).batch.state).toBe("committed");
  });
});

describe("the end of a batch and a vacuum", () => {
  it("The end of a batch and a vacuum use the batch's schema, because on AWS they may not ask the source", async () => {
    const { pipeline } = scripted();
    const asked = vi.spyOn(pipeline.source.dataSource.prototype as { schema(): string }, "schema");
    const world = new EngineWorld();
    const planner = await world.run(pipeline, "a");
    const planned = await planner.plan();
    for (const partition of [0, 1, 2, 3]) await (await world.run(pipeline, "a")).write(planned, partition);
    await (await world.run(pipeline, "a")).finalize(planned);
    const { sessions, ports } = await world.run(pipeline, "a");
    await vacuum(sessions, ports, { olderThan: 0, dryRun: false });
    expect(asked).toHaveBeenCalledTimes(1);
  });
});

describe("rewind", () => {
  async function afterOneBatch() {
    const world = new EngineWorld();
    const run = await world.run(scripted().pipeline, "a");
    await run.batch();
    const rewindBy = (hasEnded: boolean) =>
      rewind(world.ports(), {
        pipeline: "numbers",
        rewind: REWIND,
        owner: ANN,
        hasEnded: async () => hasEnded,
      });
    return { world, run, rewindBy };
  }

  it("A rewind is refused while a run has the lease, and done if that run has provably ended", async () => {
    const { world, rewindBy } = await afterOneBatch();
    await expect(rewindBy(false)).rejects.toMatchObject({ code: "LEASE_HELD" });
    expect((await world.ledger.head("numbers"))?.offset).toEqual({ n: 8 });
    await rewindBy(true);
    expect((await world.ledger.head("numbers"))?.offset).toEqual({ n: 0 });
  });

  it("A rewind makes the next run read the same rows again, under the next batch id", async () => {
    const { run, rewindBy } = await afterOneBatch();
    await rewindBy(true);
    expect((await run.batch())?.batch).toMatchObject({ batchId: 1, start: { n: 0 }, end: { n: 8 } });
  });

  it("A rewind releases the lease, also if it was refused", async () => {
    const { world, run, rewindBy } = await afterOneBatch();
    await run.plan();
    await expect(rewindBy(true)).rejects.toMatchObject({ code: "BATCH_OPEN" });
    expect(await world.ledger.head("numbers")).not.toHaveProperty("lease");
  });

  it("A rewind whose answer was lost is found in the journal", async () => {
    const { world, rewindBy } = await afterOneBatch();
    const moving = world.ledger.rewind.bind(world.ledger);
    world.ledger.rewind = async (...args) => {
      await moving(...args);
      throw new Error("the answer was lost");
    };
    await rewindBy(true);
    expect((await world.ledger.head("numbers"))?.offset).toEqual({ n: 0 });
  });

  it("A rewind that never arrived is an error", async () => {
    const { world, rewindBy } = await afterOneBatch();
    world.ledger.rewind = async () => {
      throw new Error("the request was lost");
    };
    await expect(rewindBy(true)).rejects.toThrow("the request was lost");
  });
});
