import { describe, expect, it } from "vitest";
import { EngineWorld, scripted } from "../../support/engine.ts";
import { calls } from "./calls.ts";
import { losingAnswers } from "./faulty-ledgers.ts";

describe("a lost answer of the ledger", () => {
  it.each(["plan", "decide", "finish"] as const)(
    "A lost answer of the ledger to %s is read back, and the batch continues",
    async (method) => {
      const { script, pipeline } = scripted();
      const world = new EngineWorld();
      const run = await world.run(pipeline, "a", { ledger: losingAnswers(world.ledger, method) });
      expect((await run.batch())?.batch.state).toBe("committed");
      expect(calls(script, "commit")).toHaveLength(1);
    },
  );

  it("A lost answer of the ledger to a new attempt is read back", async () => {
    const { script, pipeline } = scripted();
    script.fault = (call) => {
      if (call === "write") throw new Error("disk full");
    };
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a", { ledger: losingAnswers(world.ledger, "replan") });
    await run.batch();
    script.fault = () => undefined;
    expect((await run.batch())?.batch).toMatchObject({ state: "committed", attempt: 2 });
  });

  it("A lost answer of the ledger to an acknowledgement repeats the acknowledgement", async () => {
    const { script, pipeline } = scripted();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a", { ledger: losingAnswers(world.ledger, "acknowledge") });
    expect((await run.batch())?.unacknowledged?.cause).toEqual(
      new Error("the answer of acknowledge was lost"),
    );
    expect((await run.batch())?.batch).toMatchObject({ state: "committed", batchId: 1 });
    expect(calls(script, "commit offset")).toEqual([{ n: 8 }, { n: 16 }]);
  });
});
