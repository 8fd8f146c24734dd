import { describe, expect, it } from "vitest";
import { EngineWorld, scripted } from "../../support/engine.ts";
import { calls } from "./calls.ts";
import { losingAnswers } from "./faulty-ledgers.ts";

describe("a task", () => {
  it("A task that is delivered twice is recorded once, and the loser drops its rows and returns the winner", async () => {
    const { script, pipeline } = scripted();
    const run = await new EngineWorld().run(pipeline, "a");
    const planned = await run.plan();
    const results = await Promise.all([run.write(planned, 2, 0), run.write(planned, 2, 1)]);
    expect(results.map((result) => result.won).sort()).toEqual([false, true]);
    expect(results[0]).toMatchObject({ partition: 2, rows: 2 });
    expect(calls(script, "abortTask")).toEqual([2]);
    expect(await run.write(planned, 2, 2)).toMatchObject({ won: false, rows: 2 });
    expect(calls(script, "read")).toHaveLength(2);
  });

  it("A task keeps its staged rows if it was recorded but the answer was lost", async () => {
    const { script, pipeline } = scripted();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a", { ledger: losingAnswers(world.ledger, "recordTask") });
    const planned = await run.plan();
    expect(await run.write(planned, 0)).toMatchObject({ won: true });
    expect(calls(script, "abortTask")).toEqual([]);
  });

  it("A task passes a message of more than 100 KiB through the store", async () => {
    const { script, pipeline } = scripted({ available: 400_000 });
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    Object.defineProperty(await run.sessions.source.planner(), "partitions", {
      value: async () => [
        { from: 0, to: 30_000 },
        { from: 30_000, to: 30_001 },
      ],
    });
    await run.batch();
    const [commit] = calls(script, "commit") as { messages: number[][] }[];
    expect(commit?.messages.map((ids) => ids.length)).toEqual([30_000, 1]);
    const batch = await world.ledger.batch("numbers", 0);
    const tasks = batch === undefined ? [] : await world.ledger.tasks(batch);
    expect(tasks.map((task) => task.messageKey !== undefined)).toEqual([true, false]);
  });

  it("A task refuses a partition that JSON would change and names the place", async () => {
    const { pipeline } = scripted();
    const run = await new EngineWorld().run(pipeline, "a");
    Object.defineProperty(await run.sessions.source.planner(), "partitions", {
      value: async () => [{ range: { from: new Date() } }],
    });
    await expect(run.plan()).rejects.toMatchObject({
      code: "PARTITION_NOT_JSON",
      message: expect.stringContaining("partitions[0].range.from: an instance of Date") as string,
    });
  });
});

async function swallow(batches: AsyncIterable<unknown>): Promise<string> {
  await Array.fromAsync(batches).catch(() => undefined);
  return "fine";
}

describe("a sink that swallows the source's error", () => {
  it("A task is not recorded if its sink swallows the source's error", async () => {
    const { script, pipeline } = scripted();
    script.fault = (call, args) => {
      if (call === "read" && (args as { from: number }).from === 2) throw new Error("the source broke");
    };
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const { sink } = run.sessions;
    const makeWrite = sink.write.bind(sink);
    Object.defineProperty(sink, "write", {
      value: async (...given: Parameters<typeof makeWrite>) => {
        const write = await makeWrite(...given);
        Object.assign(write.asked, { write: swallow });
        return write;
      },
    });
    const planned = await run.plan();
    await expect(run.write(planned, 1)).rejects.toMatchObject({
      code: "SOURCE_FAILED",
      where: { partition: 1 },
    });
    expect(await world.ledger.tasks(planned.kind === "batch" ? planned.batch : ({} as never))).toEqual([]);
  });
});
