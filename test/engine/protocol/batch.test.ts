import { describe, expect, it } from "vitest";
import { ArrowTable } from "../../../shared/connectors/arrow-table/index.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { DataSourceStreamReader } from "../../../shared/contract/stream-reader.ts";
import { EngineWorld, scripted } from "../../support/engine.ts";
import { ALL, calls, names } from "./calls.ts";

describe("a batch", () => {
  it("A batch makes the contract's calls in Spark's order", async () => {
    const { script, pipeline } = scripted();
    const run = await new EngineWorld().run(pipeline, "a");
    await run.batch();
    await run.batch();
    expect(names(script).filter((call) => call !== "stop")).toEqual([
      // The first writer is only asked whether the sink fits the ledger.
      ...["initialOffset", "latestOffset", "partitions", "streamWriter"],
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

  it("A batch gets its messages in partition order, whatever order its tasks ended in", async () => {
    const { script, pipeline } = scripted();
    const run = await new EngineWorld().run(pipeline, "a");
    const planned = await run.plan();
    for (const partition of [2, 0, 3, 1]) await run.write(planned, partition);
    await run.finalize(planned);
    expect(calls(script, "commit")).toEqual([{ messages: ALL, batchId: 0, attempt: 1 }]);
  });

  it("A batch does not run without new data, and the first offset is asked for once", async () => {
    const { script, pipeline } = scripted({ available: 0 });
    const run = await new EngineWorld().run(pipeline, "a");
    expect((await run.plan()).kind).toBe("idle");
    expect((await run.plan()).kind).toBe("idle");
    expect(names(script)).toEqual(["initialOffset", "latestOffset", "latestOffset"]);
  });

  it("A batch leaves the pipeline free if its plan failed", async () => {
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

  it("A batch without partitions runs as one task without rows", async () => {
    const { script, pipeline } = scripted();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    Object.defineProperty(await run.sessions.source.planner(), "partitions", { value: async () => [] });
    await run.batch();
    expect(calls(script, "commit")).toEqual([{ messages: [[]], batchId: 0, attempt: 1 }]);
    expect(names(script)).not.toContain("read");
    expect(await world.ledger.head("numbers")).toMatchObject({ offset: { n: 8 } });
  });

  it("A batch with a failed task is aborted with null in its place and replayed with its partitions", async () => {
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

describe("a batch that is tried again", () => {
  /** Returns a pipeline with one batch. `script` sets the schema of its source. */
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

  it("An aborted batch is tried again with today's schema, because a wrong one may be why it failed", async () => {
    const { script, definition } = ofSchema();
    const world = new EngineWorld();
    expect((await (await world.run(definition, "a")).batch())?.batch.state).toBe("aborted");
    script.schema = "userName string NOT NULL";
    const again = await (await world.run(definition, "a")).batch();
    expect(again?.batch).toMatchObject({ state: "committed", batchId: 0, attempt: 2, end: { n: 1 } });
    expect(script.planned).toBe(1);
  });

  it("A batch after a crash keeps the schema of its plan, which its finished tasks have", async () => {
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
