import { describe, expect, it } from "vitest";
import { MillraceError } from "../../../shared/contract/errors.ts";
import type { Pipeline } from "../../../shared/contract/pipeline.ts";
import type { RunEvent } from "../../../shared/engine/ports/run-events.ts";
import { runBatches } from "../../../shared/engine/run/loop.ts";
import { policyOf } from "../../../shared/engine/run/policy.ts";
import { EngineWorld, type Run, scripted } from "../../support/engine.ts";

const MISMATCH = new MillraceError("TABLE_SCHEMA_MISMATCH", "the table has another schema");

/** A pipeline whose commits fail with `error`, until it is set to `undefined`. */
async function failing(error: Error, change: (pipeline: Pipeline) => Pipeline = (same) => same) {
  const { script, pipeline } = scripted();
  const sink: { error: Error | undefined } = { error };
  script.fault = (call) => {
    if (call === "commit" && sink.error !== undefined) throw sink.error;
  };
  const world = new EngineWorld();
  return { world, sink, script, run: await world.run(change(pipeline), "a") };
}

/** Runs so many batches. Returns the first pause that came with one. */
async function batches(run: Run, count: number) {
  for (let i = 1; i <= count; i++) {
    const ended = await run.batch();
    if (ended?.paused !== undefined) return { after: i, ...ended.paused };
  }
  return undefined;
}

describe("a batch that is aborted again and again", () => {
  it("A batch whose error will not pass pauses the pipeline with its tenth abort, and goes on after a fix and resume", async () => {
    const { world, sink, script, run } = await failing(MISMATCH);
    expect(await batches(run, 20)).toMatchObject({
      after: 10,
      by: "millrace",
      batchId: 0,
      code: "TABLE_SCHEMA_MISMATCH",
    });
    script.calls.length = 0;
    expect(await run.plan()).toMatchObject({ kind: "paused", paused: { by: "millrace", batchId: 0 } });
    expect(script.calls).toEqual([]);

    sink.error = undefined;
    await world.ledger.resume("numbers", { by: "ann", at: 1 });
    expect((await run.batch())?.batch).toMatchObject({ batchId: 0, attempt: 11, state: "committed" });
  });

  it("After resume without a fix the pipeline is tried as often as before", async () => {
    const { world, run } = await failing(MISMATCH, (pipeline) => pipeline.pauseAfterAborts(3));
    expect(await batches(run, 9)).toMatchObject({ after: 3 });
    await world.ledger.resume("numbers", { by: "ann", at: 1 });
    expect(await batches(run, 9)).toMatchObject({ after: 3 });
  });

  it.each([
    [
      "an error that says that it may pass",
      new MillraceError("POSTGRES_FAILED", "down", { retryable: true }),
    ],
    ["an error of the user's code, which says nothing", new Error("fetch failed")],
  ])("A batch that fails by %s never pauses the pipeline", async (_, error) => {
    const { run } = await failing(error);
    expect(await batches(run, 15)).toBeUndefined();
  });

  it("Aborts by errors that may pass do not count for a later error that will not", async () => {
    const { sink, run } = await failing(new Error("down"), (pipeline) => pipeline.pauseAfterAborts(2));
    expect(await batches(run, 5)).toBeUndefined();
    sink.error = MISMATCH;
    expect(await batches(run, 5)).toMatchObject({ after: 2 });
  });

  it("A pipeline that is never to be paused is not", async () => {
    const { run } = await failing(MISMATCH, (pipeline) => pipeline.pauseAfterAborts("never"));
    expect(await batches(run, 15)).toBeUndefined();
  });

  it("An abort that a killed run decided counts when the next run finishes it, and once", async () => {
    const { world, run } = await failing(MISMATCH, (pipeline) => pipeline.pauseAfterAborts(1));
    const planned = await run.plan();
    if (planned.kind !== "batch") throw new Error("there is no batch");
    const { fence, batch } = planned;
    const error = { ...MISMATCH.toRecord(), where: {} };
    await world.ledger.decide(fence, batch, { to: "aborting", error });
    expect((await world.ledger.head("numbers"))?.paused).toBeUndefined();
    expect(await run.finalize(planned)).toMatchObject({
      batch: { state: "aborted" },
      paused: { batchId: 0 },
    });
    expect(await run.finalize(planned)).not.toHaveProperty("paused");
    expect(await world.ledger.journal("numbers", { limit: 9 })).toHaveLength(1);
  });
});

describe("a run of a pipeline that a batch has paused", () => {
  /** Runs once, or until the first wait of a run with an interval. */
  async function runOnce(run: Run, { interval }: { interval?: number } = {}) {
    const events: RunEvent[] = [];
    const stop = new AbortController();
    const steps = {
      prepare: async () =>
        policyOf(interval === undefined ? "once" : "processingTime", { isBounded: false, interval }),
      plan: () => run.plan(),
      write: async (planned: Awaited<ReturnType<Run["plan"]>>) => {
        if (planned.kind === "batch")
          for (const partition of planned.todo) await run.write(planned, partition);
        return undefined;
      },
      planStage: async () => Promise.reject(new Error("there is no stage")),
      finalize: (planned: Awaited<ReturnType<Run["plan"]>>) => run.finalize(planned),
    };
    const ports = run.ports;
    const onEvent = (event: RunEvent) => {
      events.push(event);
      // The clock of this world moves only if the run waits.
      if (event.type === "paused") setImmediate(() => stop.abort());
    };
    const error: unknown = await runBatches(steps, {
      pipeline: "numbers",
      ports,
      signal: stop.signal,
      onEvent,
    }).catch((thrown: unknown) => thrown);
    return { events, error };
  }

  it("The run whose batch pauses the pipeline says so with the error, and gives up the lease", async () => {
    const { world, run } = await failing(MISMATCH, (pipeline) => pipeline.pauseAfterAborts(1));
    const { events, error } = await runOnce(run, { interval: 1000 });
    expect(events.find(({ type }) => type === "paused")).toMatchObject({
      by: "millrace",
      code: "TABLE_SCHEMA_MISMATCH",
      error: { code: "TABLE_SCHEMA_MISMATCH", message: "the table has another schema" },
    });
    expect(error).toMatchObject({ batches: 0 });
    expect(await world.ledger.head("numbers")).not.toHaveProperty("lease");
  });

  it("A run without an interval fails, so that a schedule sees that nothing is done, and names the commands", async () => {
    const { run } = await failing(MISMATCH, (pipeline) => pipeline.pauseAfterAborts(1));
    const first = await runOnce(run);
    expect(first.error).toMatchObject({
      code: "TABLE_SCHEMA_MISMATCH",
      hint: expect.stringContaining("`millrace resume numbers`") as string,
    });
    const second = await runOnce(run);
    expect(second.error).toMatchObject({
      code: "PIPELINE_PAUSED",
      where: { pipeline: "numbers", batchId: 0 },
      hint: expect.stringMatching(/`millrace batch 0 numbers`.*`millrace skip numbers`/) as string,
    });
  });

  it("A run of a pipeline that a person has paused ends without an error", async () => {
    const { world, sink, run } = await failing(MISMATCH);
    sink.error = undefined;
    await run.batch();
    await world.ledger.pause("numbers", { by: "ann", at: 1 });
    expect((await runOnce(run)).error).toMatchObject({ batches: 0 });
  });
});
