import { describe, expect, it } from "vitest";
import type { JsonValue } from "../../shared/contract/json.ts";
import { conformRecording } from "./conformance.ts";
import { Script } from "./script.ts";

/**
 * Scenarios that no recording contains, run by the engine. Each begins with a committed batch 0,
 * except a scenario that is about batch 0.
 */

const fault = (...points: readonly JsonValue[]) => ({ fault: JSON.stringify(points) });
const resultOf = async (script: Script) => {
  const { verdict, exceptions, detail } = await conformRecording(script.recording);
  return { verdict, exceptions, detail };
};
const same = (...exceptions: string[]) => ({
  verdict: "same",
  exceptions: expect.arrayContaining(exceptions),
  detail: undefined,
});

/** Adds batch 0 of a source that ends at 16, with two partitions per batch. */
function begun(script: Script, n = 4): Script {
  return script.initialOffset().latestOffset(0, n).initialOffset().partitions(0, n).batch(0, 0);
}

/** Adds the replay of batch 1 up to its commit. No batch is open afterwards. */
function replayed(script: Script, n = 4): Script {
  return script
    .partitions(n, 2 * n)
    .batch(1, n)
    .idle(2 * n)
    .ended()
    .checkpoint([n, 2 * n]);
}

describe("the engine beyond Spark's recordings", () => {
  it("The engine asks for the end of a batch again if its partitions were not planned", async () => {
    const max = { max: 8 };
    const script = new Script(2).start({ ropts: { ...max, ...fault({ point: "partitions", start: 4 }) } });
    begun(script)
      .latestOffset(4, 8)
      .acknowledge(4)
      .call("!! raise in partitions", { start: 4 })
      .call("reader.stop")
      .ended("partitions")
      .checkpoint([4, 8], 1)
      .start({ ropts: max });
    expect(await resultOf(replayed(script))).toEqual(same("plan-in-one-step"));
  });

  it("The engine asks for everything again if the first batch could not be planned", async () => {
    const max = { max: 4 };
    const script = new Script(2)
      .start({ ropts: { ...max, ...fault({ point: "partitions", start: 0 }) } })
      .initialOffset()
      .latestOffset(0, 4)
      .initialOffset()
      .call("!! raise in partitions", { start: 0 })
      .ended("partitions")
      .checkpoint([4], 0)
      .start({ ropts: max })
      .initialOffset()
      .partitions(0, 4)
      .batch(0, 0)
      .idle(4)
      .ended()
      .checkpoint([4]);
    expect(await resultOf(script)).toEqual(same("plan-in-one-step"));
  });

  it("The engine replays the first batch without asking for the initial offset", async () => {
    const max = { max: 4 };
    const script = new Script(2)
      .start({ ropts: max, wopts: fault({ point: "commit", batch: 0 }) })
      .initialOffset()
      .latestOffset(0, 4)
      .initialOffset()
      .partitions(0, 4)
      .planWriter()
      .tasks(0, 0)
      .end("commit", 0, 0)
      .call("!! raise in commit", { batch: 0 })
      .end("abort", 0, 0)
      .ended("commit")
      .checkpoint([4], 0)
      .start({ ropts: max })
      .initialOffset()
      .partitions(0, 4)
      .batch(0, 0)
      .idle(4)
      .ended()
      .checkpoint([4]);
    expect(await resultOf(script)).toEqual(same("initial-offset-once", "recorded-partitions"));
  });

  it("The engine aborts again before the replay, because an abort that threw may have left rows", async () => {
    const max = { max: 8 };
    const wopts = fault({ point: "commit", batch: 1 }, { point: "abort", batch: 1 });
    const script = new Script(2).start({ ropts: max, wopts });
    begun(script)
      .latestOffset(4, 8)
      .acknowledge(4)
      .partitions(4, 8)
      .planWriter()
      .tasks(1, 4)
      .end("commit", 1, 4)
      .call("!! raise in commit", { batch: 1 })
      .end("abort", 1, 4)
      .call("!! raise in abort", { batch: 1 })
      .ended("commit", "abort")
      .checkpoint([4, 8], 1)
      .start({ ropts: max });
    expect(await resultOf(replayed(script))).toEqual(same("abort-again"));
  });

  it("The engine calls the source's commit again after a kill in it", async () => {
    const max = { max: 8 };
    const script = new Script(2).start({
      ropts: { ...max, ...fault({ point: "reader.commit", end: 4, kill_jvm: true }) },
    });
    begun(script)
      .latestOffset(4, 8)
      .acknowledge(4)
      .call("!! kill -9 JVM from reader.commit", { end: 4 })
      .call("== checkpoint after kill -9", {
        offsets: { "0": '{"n": 4}', "1": '{"n": 8}' },
        commits: { "0": "present" },
      })
      .start({ ropts: max });
    expect(await resultOf(replayed(script))).toEqual(same("acknowledge-after-commit", "plan-in-one-step"));
  });

  it("The engine runs only unfinished tasks after a kill in a task", async () => {
    const max = { max: 16 };
    const late = { point: "write", partition: 3, batch: 1, sleep: 1, kill_jvm: true };
    const script = new Script(4).start({ ropts: max, wopts: fault(late) });
    begun(script, 8)
      .latestOffset(8, 16)
      .acknowledge(8)
      .partitions(8, 16)
      .planWriter()
      .task(1, 0, 8)
      .task(1, 1, 8)
      .task(1, 2, 8)
      .task(1, 3, 8, { ends: "kill -9 JVM from write" })
      .start({ ropts: max });
    expect(await resultOf(replayed(script, 8))).toEqual(same("resume-missing-only"));
  });

  it("The engine aborts with the messages of finished tasks, however far Spark's other tasks came", async () => {
    const max = { max: 16 };
    const early = { point: "write:enter", partition: 1, batch: 1, sleep: 0.5 };
    const script = new Script(4).start({ ropts: max, wopts: fault(early) });
    begun(script, 8)
      .latestOffset(8, 16)
      .acknowledge(8)
      .partitions(8, 16)
      .planWriter()
      .task(1, 0, 8)
      .task(1, 1, 8, { ends: "raise in write:enter" })
      .task(1, 2, 8, { ends: "running" })
      .end("abort", 1, 8, [0])
      .ended("write:enter")
      .checkpoint([8, 16], 1)
      .start({ ropts: max });
    expect(await resultOf(replayed(script, 8))).toEqual(same("cut-short", "recorded-partitions"));
  });

  it("The engine counts ids from the first batch with new data", async () => {
    const script = new Script(2)
      .start({ ropts: { max: 0 }, trigger: { once: true } })
      .initialOffset()
      .latestOffset(0, 0)
      .initialOffset()
      .partitions(0, 0)
      .planWriter();
    const empty = { partition: 0, attempt: 0, rows: 0, lo: null, hi: null };
    script
      .call("writer.__init__", { schema: "struct<id:bigint,part:int>", overwrite: false })
      .call("writer.commit", { messages: [empty], batchId: 0 })
      .call("writer.commit:return", { batchId: 0 })
      .ended()
      .checkpoint([0])
      .start({ ropts: { max: 4 }, trigger: { once: true } })
      .latestOffset(0, 4)
      .acknowledge(0)
      .partitions(0, 4)
      .batch(1, 0)
      .ended()
      .checkpoint([0, 4]);
    expect(await resultOf(script)).toEqual(same("no-empty-first-batch"));
  });

  it("The engine runs availableNow under the reader's own limit if the reader fixes what is available", async () => {
    const script = new Script(4, "AdmAN").start({ ropts: { max: 16 }, trigger: { availableNow: true } });
    const limit = "ReadMaxRows(max_rows=8)";
    const ask = (start: number, end: number) =>
      script
        .call("reader.latestOffset", { start: { n: start }, limit, returns: { n: end } })
        .call("reader.reportLatestOffset", { returns: { n: 16 } });
    script
      .call("reader.prepareForTriggerAvailableNow", { target: 16 })
      .call("reader.getDefaultReadLimit", { returns: "ReadMaxRows(8)" })
      .initialOffset();
    ask(0, 8).initialOffset().partitions(0, 8).batch(0, 0);
    ask(8, 16).acknowledge(8).partitions(8, 16).batch(1, 8);
    ask(16, 16).ended().checkpoint([8, 16]);
    expect(await resultOf(script)).toEqual(same("initial-offset-once"));
  });

  it("The engine refuses an offset that goes backwards in each run, while Spark follows it", async () => {
    const range = (start: number, end: number) => ({ start: { n: start }, end: { n: end } });
    const script = new Script(4, "Back").start({ ropts: { step: 8 }, trigger: { once: true } });
    script.initialOffset().latestOffset(0, 8).initialOffset().call("reader.partitions", range(0, 8));
    const read = (batch: number, from: number, to: number) => {
      const task = { partitionId: 0, attemptNumber: 0, batchIdProp: String(batch) };
      const rows = { rows: to - from, lo: from, hi: to - 1 };
      const partition = `Part(idx=0,start=${from},end=${to})`;
      script
        .inTask(task, "writer.write:enter", { iterator: "map" })
        .inTask(task, "reader.read:enter", { partition })
        .inTask(task, "reader.read:exit", { partition })
        .inTask(task, "writer.write:exit", { items: 1, kinds: ["RecordBatch"], ...rows })
        .call("writer.__init__", { schema: "struct<id:bigint,part:int>", overwrite: false })
        .call("writer.commit", { messages: [{ partition: 0, attempt: 0, ...rows }], batchId: batch })
        .call("writer.commit:return", { batchId: batch });
    };
    read(0, 0, 8);
    script.ended().checkpoint([8]);
    script.start({ ropts: { step: 8 }, trigger: { once: true } });
    script.latestOffset(8, 4).acknowledge(8).call("reader.partitions", range(8, 4));
    read(1, 4, 8);
    script.ended().checkpoint([8, 4]);
    script
      .start({ ropts: { step: 8 }, trigger: { once: true } })
      .latestOffset(4, 4)
      .ended();
    expect(await resultOf(script)).toEqual(same("no-offset-backwards", "acknowledge-after-commit"));
  });
});
