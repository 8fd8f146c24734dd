import { describe, expect, it } from "vitest";
import { ArrowTable } from "../../../shared/connectors/arrow-table/index.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { DataSourceStreamReader } from "../../../shared/contract/stream-reader.ts";
import type { PlanResult } from "../../../shared/engine/plan.ts";
import type { Ledger } from "../../../shared/engine/ports/ledger.ts";
import { EngineWorld, type Script, scripted } from "../../support/engine.ts";

const names = (script: Script) => script.calls.map(({ call }) => call);
const calls = (script: Script, call: string) =>
  script.calls.filter((c) => c.call === call).map((c) => c.args);
const ALL = [
  [0, 1],
  [2, 3],
  [4, 5],
  [6, 7],
];

/** A ledger whose `method` takes effect and then answers with an error, `times` times. */
function losingAnswers(ledger: Ledger, method: keyof Ledger, times = 1): Ledger {
  let left = times;
  return new Proxy(ledger, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property);
      if (typeof value !== "function") return value;
      return async (...args: unknown[]): Promise<unknown> => {
        const result: unknown = await (value as (...a: unknown[]) => unknown).apply(target, args);
        if (property === method && left-- > 0) throw new Error(`the answer of ${method} was lost`);
        return result;
      };
    },
  });
}

/** A ledger before whose first `method` something else happens. */
function before(ledger: Ledger, method: keyof Ledger, happens: () => Promise<void>): Ledger {
  let isFirst = true;
  return new Proxy(ledger, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property);
      if (typeof value !== "function") return value;
      return async (...args: unknown[]): Promise<unknown> => {
        if (property === method && isFirst) {
          isFirst = false;
          await happens();
        }
        return (value as (...a: unknown[]) => unknown).apply(target, args);
      };
    },
  });
}

/** Records a decision, and does no more: as a finalizer that is killed right after it. */
async function decide(world: EngineWorld, planned: PlanResult, to: "committing" | "aborting"): Promise<void> {
  if (planned.kind === "batch") await world.ledger.decide(planned.fence, planned.batch, { to });
}

describe("a batch", () => {
  it("makes the contract's calls in Spark's order", async () => {
    const { script, pipeline } = scripted();
    const run = await new EngineWorld().run(pipeline, "a");
    await run.batch();
    await run.batch();
    expect(names(script).filter((call) => call !== "stop")).toEqual([
      ...["initialOffset", "latestOffset", "partitions"],
      ...Array.from({ length: 4 }, () => ["streamWriter", "read", "write"]).flat(),
      ...["streamWriter", "commit", "commit offset"],
      ...["latestOffset", "partitions"],
      ...Array.from({ length: 4 }, () => ["streamWriter", "read", "write"]).flat(),
      ...["streamWriter", "commit", "commit offset"],
    ]);
    expect(calls(script, "commit")).toEqual([
      { messages: ALL, batchId: 0, attempt: 1 },
      { messages: ALL.map((ids) => ids.map((id) => id + 8)), batchId: 1, attempt: 1 },
    ]);
    expect(calls(script, "commit offset")).toEqual([{ n: 8 }, { n: 16 }]);
  });

  it("gets its messages in partition order, whatever order its tasks ended in", async () => {
    const { script, pipeline } = scripted();
    const run = await new EngineWorld().run(pipeline, "a");
    const planned = await run.plan();
    for (const partition of [2, 0, 3, 1]) await run.write(planned, partition);
    await run.finalize(planned);
    expect(calls(script, "commit")).toEqual([{ messages: ALL, batchId: 0, attempt: 1 }]);
  });

  it("does not run where nothing is new, and the first offset is asked for once", async () => {
    const { script, pipeline } = scripted({ available: 0 });
    const run = await new EngineWorld().run(pipeline, "a");
    expect((await run.plan()).kind).toBe("idle");
    expect((await run.plan()).kind).toBe("idle");
    expect(names(script)).toEqual(["initialOffset", "latestOffset", "latestOffset"]);
  });

  it("leaves the pipeline free when planning it failed", async () => {
    const { script, pipeline } = scripted();
    script.fault = (call) => {
      if (call === "latestOffset") throw new Error("no answer");
    };
    const world = new EngineWorld();
    await expect((await world.run(pipeline, "a")).plan()).rejects.toMatchObject({ code: "SOURCE_FAILED" });
    expect(await world.ledger.head("numbers")).not.toHaveProperty("lease");
    script.fault = () => undefined;
    expect((await (await world.run(pipeline, "b")).plan()).kind).toBe("batch");
  });

  it("without partitions runs as one task without rows", async () => {
    const { script, pipeline } = scripted();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    Object.defineProperty(await run.sessions.source.planner(), "partitions", { value: async () => [] });
    await run.batch();
    expect(calls(script, "commit")).toEqual([{ messages: [[]], batchId: 0, attempt: 1 }]);
    expect(names(script)).not.toContain("read");
    expect(await world.ledger.head("numbers")).toMatchObject({ offset: { n: 8 } });
  });

  it("with a failed task is aborted with null in its place, and replayed with the recorded partitions", async () => {
    const { script, pipeline } = scripted();
    script.fault = (call, args) => {
      if (call === "write" && (args as { partition: number }).partition === 3) throw new Error("disk full");
    };
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const ended = await run.batch();
    expect(ended?.batch).toMatchObject({ state: "aborted", batchId: 0, attempt: 1 });
    expect(calls(script, "abort")).toEqual([
      { messages: [[0, 1], [2, 3], [4, 5], null], batchId: 0, attempt: 1, commitTried: false },
    ]);
    expect(await world.ledger.head("numbers")).toMatchObject({ offset: { n: 0 }, openBatchId: 0 });

    script.fault = () => undefined;
    script.available = 5;
    script.calls.length = 0;
    const replayed = await run.batch();
    expect(replayed?.batch).toMatchObject({ state: "committed", batchId: 0, attempt: 2, end: { n: 8 } });
    expect(names(script)).not.toContain("latestOffset");
    expect(names(script)).not.toContain("partitions");
    expect(calls(script, "commit")).toEqual([{ messages: ALL, batchId: 0, attempt: 2 }]);
  });
});

describe("a run that is resumed", () => {
  it("writes only the partitions that have no finished task", async () => {
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

  it("rolls a decided batch forward: it commits again with equal messages, and never decides anew", async () => {
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

  it("carries an abort out that was decided, though all tasks are there", async () => {
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

  it("does not tell the source of an old end again when its finalizer is called late a second time", async () => {
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

  it("acknowledges a committed batch before anything else, until it succeeds", async () => {
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

  it("begins a new attempt where the tasks of a planned batch may be forgotten", async () => {
    const { pipeline } = scripted();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    await run.write(await run.plan(), 0);
    world.now += 91 * 86_400_000;
    expect(await run.plan()).toMatchObject({ kind: "batch", todo: [0, 1, 2, 3], batch: { attempt: 2 } });
  });

  it("asks a person about a batch that was decided as long ago", async () => {
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
  it("is refused to a second run, which is told who holds it", async () => {
    const { pipeline } = scripted();
    const world = new EngineWorld();
    await (await world.run(pipeline, "a")).plan();
    const second = await world.run(pipeline, "b");
    await expect(second.plan()).rejects.toMatchObject({
      code: "LEASE_HELD",
      message: expect.stringContaining("run a") as string,
    });
  });

  it("that was lost ends a run without harm: it can decide nothing, and its staged rows still count", async () => {
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

  it("is taken anew by each call of Plan, also of the same run: the earlier one is fenced off", async () => {
    const { pipeline } = scripted();
    const run = await new EngineWorld().run(pipeline, "a");
    const first = await run.plan();
    await run.plan();
    await expect(run.finalize(first)).rejects.toMatchObject({ code: "FENCED" });
  });
});

describe("a task", () => {
  it("that is delivered twice is recorded once; the loser drops what it staged and answers as the winner", async () => {
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

  it("whose record was made but not answered keeps what it staged", async () => {
    const { script, pipeline } = scripted();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a", { ledger: losingAnswers(world.ledger, "recordTask") });
    const planned = await run.plan();
    expect(await run.write(planned, 0)).toMatchObject({ won: true });
    expect(calls(script, "abortTask")).toEqual([]);
  });

  it("passes a message of more than 100 KiB through the store", async () => {
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

  it("refuses a partition that JSON would change, and names the place", async () => {
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

describe("a commit that fails", () => {
  it("is followed by abort with all messages by a new writer, and by a replay", async () => {
    const { script, pipeline } = scripted();
    script.fault = (call) => {
      if (call === "commit") throw new Error("no rights");
    };
    const run = await new EngineWorld().run(pipeline, "a");
    const ended = await run.batch();
    expect(ended?.failure).toMatchObject({ code: "SINK_FAILED", cause: new Error("no rights") });
    expect(ended?.batch).toMatchObject({ state: "aborted", error: { code: "SINK_FAILED" } });
    expect(names(script).slice(-4)).toEqual(["streamWriter", "commit", "streamWriter", "abort"]);
    expect(calls(script, "abort")).toEqual([{ messages: ALL, batchId: 0, attempt: 1, commitTried: true }]);
    script.fault = () => undefined;
    expect((await run.batch())?.batch).toMatchObject({ state: "committed", batchId: 0, attempt: 2 });
  });

  it("with an error that says it is retryable is tried again with growing delays before that", async () => {
    const { script, pipeline } = scripted();
    let failures = 3;
    script.fault = (call) => {
      if (call === "commit" && failures-- > 0)
        throw new MillraceError("TABLE_BUSY", "busy", { retryable: true });
    };
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    expect((await run.batch())?.batch.state).toBe("committed");
    expect(calls(script, "commit")).toHaveLength(4);
    expect(world.slept).toEqual([150, 300, 600]);
  });

  it("but landed, as the sink knows, is rolled forward", async () => {
    const { script, pipeline } = scripted({ landed: new Set([0]) });
    script.fault = (call) => {
      if (call === "commit") throw new Error("the answer was lost");
    };
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    expect((await run.batch())?.batch.state).toBe("committed");
    expect(calls(script, "abort")).toEqual([]);
    expect(await world.ledger.head("numbers")).toMatchObject({ offset: { n: 8 } });
  });
});

describe("a finalizer that is delivered twice", () => {
  it("and saw fewer tasks than the one that decided, follows its decision with all messages", async () => {
    const { script, pipeline } = scripted();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const planned = await run.plan();
    for (const partition of [0, 1, 2]) await run.write(planned, partition);
    // The late one reads the tasks, then sleeps; meanwhile the last task ends and the other one decides.
    const late = await world.run(pipeline, "a", {
      ledger: before(world.ledger, "decide", async () => {
        await run.write(planned, 3);
        await run.finalize(planned);
      }),
    });
    expect((await late.finalize(planned)).batch).toMatchObject({ state: "committed" });
    expect(calls(script, "abort")).toEqual([]);
    expect(calls(script, "commit")).toEqual([{ messages: ALL, batchId: 0, attempt: 1 }]);
  });
});

describe("an error of the user's code", () => {
  it("leaves only its class in the ledger: its message may quote rows", async () => {
    const { script, pipeline } = scripted();
    script.fault = (call) => {
      if (call === "commit") JSON.parse("alice,4111-1111");
    };
    const run = await new EngineWorld().run(pipeline, "a");
    const ended = await run.batch();
    expect(ended?.batch.error?.message).toBe("commit() failed: SyntaxError");
    expect(JSON.stringify(ended?.batch)).not.toContain("alice");
    expect(String(ended?.failure?.cause)).toContain("alice");
  });
});

describe("a sink that swallows the source's error", () => {
  it("does not get its task recorded", async () => {
    const { script, pipeline } = scripted();
    script.fault = (call, args) => {
      if (call === "read" && (args as { from: number }).from === 2) throw new Error("the source broke");
    };
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const { source, sink } = run.sessions;
    const writer = await sink.writer(await source.schema());
    Object.defineProperty(sink, "writer", {
      value: async () =>
        Object.assign(writer, {
          write: async (batches: AsyncIterable<unknown>) => {
            await Array.fromAsync(batches).catch(() => undefined);
            return "fine";
          },
        }),
    });
    const planned = await run.plan();
    await expect(run.write(planned, 1)).rejects.toMatchObject({
      code: "SOURCE_FAILED",
      where: { partition: 1 },
    });
    expect(await world.ledger.tasks(planned.kind === "batch" ? planned.batch : ({} as never))).toEqual([]);
  });
});

describe("a lost answer of the ledger", () => {
  it.each(["plan", "decide", "finish"] as const)(
    "to %s is read back, and the batch goes on",
    async (method) => {
      const { script, pipeline } = scripted();
      const world = new EngineWorld();
      const run = await world.run(pipeline, "a", { ledger: losingAnswers(world.ledger, method) });
      expect((await run.batch())?.batch.state).toBe("committed");
      expect(calls(script, "commit")).toHaveLength(1);
    },
  );

  it("to the beginning of a new attempt is read back", async () => {
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

  it("to the acknowledgement has it made again", async () => {
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

describe("what a source answers", () => {
  it.each([
    ["undefined", undefined],
    ["an integer", 5],
    ["an instance of Date", new Date()],
    ["$.at: an instance of Date", { at: new Date() }],
    ["$.n: a bigint", { n: 1n }],
    ["$.n: NaN", { n: Number.NaN }],
  ])("as an offset that is no JSON object (%s) is refused", async (found, offset) => {
    const { pipeline } = scripted();
    const world = new EngineWorld();
    const { sessions } = await world.run(pipeline, "a");
    const planner = await sessions.source.planner();
    Object.assign(planner.reader, { latestOffset: () => offset });
    await expect(planner.latestOffset({ n: 0 }, { kind: "ReadAllAvailable" })).rejects.toMatchObject({
      code: "OFFSET_NOT_JSON",
      message: expect.stringContaining(found) as string,
    });
  });

  it("as an end before its start is refused where the source can compare them", async () => {
    const { pipeline } = scripted();
    const { sessions } = await new EngineWorld().run(pipeline, "a");
    const planner = await sessions.source.planner();
    Object.assign(planner.reader, {
      latestOffset: () => ({ n: 3 }),
      compareOffsets: (a: { n: number }, b: { n: number }) => a.n - b.n,
    });
    await expect(planner.latestOffset({ n: 8 }, { kind: "ReadAllAvailable" })).rejects.toMatchObject({
      code: "OFFSET_WENT_BACK",
      message: 'latestOffset() gave {"n":3}, which is before the start {"n":8}',
    });
  });
});

describe("a batch that is tried again", () => {
  /** A source of one batch whose schema and rows are as the script has them. */
  function ofSchema() {
    const script = { schema: "user_name string NOT NULL", planned: 0 };
    class Reader extends DataSourceStreamReader<{ n: number }, { n: number }> {
      override initialOffset() {
        return { n: 0 };
      }
      override latestOffset() {
        return { n: 1 };
      }
      override partitions() {
        script.planned++;
        return [{ n: 0 }];
      }
      override *read() {
        yield { userName: "ann" };
      }
    }
    class Source extends DataSource {
      override schema() {
        return script.schema;
      }
      override streamReader() {
        return new Reader();
      }
    }
    const definition = pipeline("users").readStream.format(Source).writeStream.format(ArrowTable);
    return { script, definition: definition as unknown as Pipeline };
  }

  it("after it was aborted has the schema of today: a wrong one may be why it failed", async () => {
    const { script, definition } = ofSchema();
    const world = new EngineWorld();
    expect((await (await world.run(definition, "a")).batch())?.batch.state).toBe("aborted");
    script.schema = "userName string NOT NULL";
    const again = await (await world.run(definition, "a")).batch();
    expect(again?.batch).toMatchObject({ state: "committed", batchId: 0, attempt: 2, end: { n: 1 } });
    expect(script.planned).toBe(1);
  });

  it("after a crash keeps the schema that it was planned with, as its finished tasks have", async () => {
    const { script, definition } = ofSchema();
    script.schema = "userName string";
    const world = new EngineWorld();
    const planned = await (await world.run(definition, "a")).plan();
    script.schema = "userName string, more string";
    const run = await world.run(definition, "a");
    const resumed = await run.plan({ ended: true });
    await run.write(resumed, 0);
    expect((await run.finalize(resumed)).batch).toMatchObject({
      state: "committed",
      schema: planned.kind === "batch" ? planned.batch.schema : "",
    });
  });
});
