import { describe, expect, it } from "vitest";
import type { Batch } from "../../shared/engine/ports/ledger.ts";
import { clipped, clippedText, progressOf } from "../../shared/engine/progress.ts";
import { EngineWorld, scripted } from "../support/engine.ts";

const SECOND = 1000;

/** Runs one batch. Each step of the run takes a different time. */
async function batchOf(world: EngineWorld, owner: string): Promise<Batch> {
  const { script, pipeline } = scripted();
  const takes: Readonly<Record<string, number>> = {
    latestOffset: 120,
    partitions: 30,
    write: 2 * SECOND,
    commit: 500,
  };
  script.fault = (call) => {
    world.now += takes[call] ?? 0;
  };
  const ended = await (await world.run(pipeline, owner)).batch();
  if (ended === undefined) throw new Error("there was no batch");
  return ended.batch;
}

describe("the progress record of a batch", () => {
  it("The progress record of a batch has the fields of Spark's StreamingQueryProgress that make sense", async () => {
    const world = new EngineWorld();
    const first = progressOf(await batchOf(world, "run-1"));
    const { incarnation } = (await world.ledger.head("numbers")) ?? {};
    const figures = { numInputRows: 8, processedRowsPerSecond: 0.925 };
    expect(first).toEqual({
      id: incarnation,
      runId: "run-1",
      name: "numbers",
      timestamp: "2026-11-21T00:00:00.000Z",
      batchId: 0,
      batchDuration: 8650,
      ...figures,
      durationMs: {
        latestOffset: 120,
        queryPlanning: 30,
        walCommit: 0,
        addBatch: 8500,
        triggerExecution: 8650,
      },
      sources: [
        {
          description: "Numbers",
          startOffset: { n: 0 },
          endOffset: { n: 8 },
          latestOffset: null,
          ...figures,
        },
      ],
      sink: { description: "Sink", numOutputRows: 8 },
    });
  });

  it("The progress record counts the input since the last plan, whichever run made that plan", async () => {
    const world = new EngineWorld();
    const first = await batchOf(world, "run-1");
    world.now = first.plannedAt + 80 * SECOND - 150;
    const second = progressOf(await batchOf(world, "run-2"));
    expect(second).toMatchObject({ runId: "run-2", batchId: 1, inputRowsPerSecond: 0.1 });
    expect(second?.sources).toMatchObject([{ inputRowsPerSecond: 0.1, startOffset: { n: 8 } }]);
  });

  it("The progress record is the same for each reader of the ledger", async () => {
    const world = new EngineWorld();
    const batch = await batchOf(world, "run-1");
    const there = await world.ledger.batch("numbers", 0);
    expect(there && progressOf(there)).toEqual(progressOf(batch));
    expect(JSON.stringify(batch.progress).length).toBeLessThan(400);
  });

  it("The progress record has the latest offset of the source if the reader reports it", async () => {
    const world = new EngineWorld();
    const { pipeline } = scripted();
    const run = await world.run(pipeline, "run-1");
    Object.defineProperty(await run.sessions.source.planner(), "reportLatestOffset", {
      value: async () => ({ n: 24 }),
    });
    const ended = await run.batch();
    expect(ended && progressOf(ended.batch)?.sources).toMatchObject([{ latestOffset: { n: 24 } }]);
  });

  it("The progress record of a batch that an earlier run planned has only this run's measurements", async () => {
    const world = new EngineWorld();
    const { pipeline } = scripted();
    const killed = await world.run(pipeline, "run-1");
    await killed.plan();
    world.now += 3600 * SECOND;
    const next = await world.run(pipeline, "run-2");
    const resumed = await next.plan({ ended: true });
    const timestamp = new Date(world.now).toISOString();
    world.now += 2 * SECOND;
    for (const partition of [0, 1, 2, 3]) await next.write(resumed, partition);
    const { batch } = await next.finalize(resumed);
    const record = progressOf(batch);
    expect(record).toMatchObject({
      runId: "run-2",
      timestamp,
      batchDuration: 2000,
      processedRowsPerSecond: 4,
      durationMs: { addBatch: 2000, triggerExecution: 2000 },
    });
    expect(Object.keys(record?.durationMs ?? {})).toEqual(["addBatch", "triggerExecution"]);
    expect(record).not.toHaveProperty("inputRowsPerSecond");
  });

  it("The progress record exists only for a committed batch", async () => {
    const world = new EngineWorld();
    const { script, pipeline } = scripted();
    script.fault = (call) => {
      if (call === "write") throw new Error("disk full");
    };
    const run = await world.run(pipeline, "run-1");
    const aborted = await run.batch();
    expect(aborted?.batch.state).toBe("aborted");
    expect(aborted && progressOf(aborted.batch)).toBeUndefined();
    script.fault = () => undefined;
    const replayed = await run.batch();
    expect(replayed && progressOf(replayed.batch)).toMatchObject({ batchId: 0, numInputRows: 8 });
  });

  it("The progress record is absent for a batch of a version that measured nothing", async () => {
    const world = new EngineWorld();
    const batch = await batchOf(world, "run-1");
    expect(progressOf({ ...batch, progress: { rows: 8, bytes: 64 } })).toBeUndefined();
  });
});

describe("a partition in a log", () => {
  it("A partition in a log is itself if it is short, and the beginning of its JSON if it is long", () => {
    expect(clipped({ from: 1, to: 2 })).toEqual({ from: 1, to: 2 });
    expect(clippedText({ from: 1, to: 2 })).toBe('{"from":1,"to":2}');
    const long = { keys: "x".repeat(2000) };
    expect(clipped(long)).toBe(`{"keys":"${"x".repeat(1014)}…`);
    expect(clippedText(long)).toBe(clipped(long));
  });
});
