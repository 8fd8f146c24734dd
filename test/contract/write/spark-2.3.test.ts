import { describe, expect, it } from "vitest";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { DataSourceV2 } from "../../../shared/contract/write/spark-2.3/index.ts";
import type { PlanResult } from "../../../shared/engine/plan.ts";
import { EngineWorld } from "../../support/engine.ts";
import { brief, JOB, Script, Stage, source } from "./writer-support.ts";

const openings = (mode: string) => [`createWriter(JOB, "${mode}")`, "createWriterFactory()"];

describe("a WriterSupport of Spark 2.3", () => {
  it("An append plans, writes each partition and commits, and each step repeats the chain", async () => {
    const stage = new Stage();
    const run = await stage.run();
    await run.batch();
    expect(brief(stage.script.calls)).toEqual([
      ...openings("Append"),
      ...[...openings("Append"), "createDataWriter(0, 0)", "write(0, 1)", "write(0, 2)", "commitTask(0, 0)"],
      ...[...openings("Append"), "createDataWriter(1, 0)", "write(1, 3)", "commitTask(1, 0)"],
      ...[...openings("Append"), "commit([[1,2],[3]])"],
    ]);
    expect(stage.script.table).toEqual([1, 2, 3]);
  });

  it("The job id is the time of the plan in UTC and the plan id, equal in each step and each attempt", async () => {
    const stage = new Stage();
    const run = await stage.run();
    stage.script.fault = (call) => {
      if (call.startsWith("write(1")) throw new Error("no");
    };
    await expect(run.batch()).resolves.toMatchObject({ batch: { state: "aborted" } });
    stage.world.now += 3_600_000;
    stage.script.fault = () => undefined;
    await run.batch();
    const created = stage.script.calls.filter((call) => call.startsWith("createWriter("));
    expect(created[0]).toMatch(new RegExp(`^createWriter\\(${JOB}\\d{12}", "Append"\\)$`));
    expect(created.length).toBe(8);
    expect(new Set(created).size).toBe(1);
    expect(stage.script.table).toEqual([1, 2, 3]);
  });

  it("The mode Overwrite reaches createWriter in each step, with no call of a builder", async () => {
    const stage = new Stage();
    stage.script.table.push(9);
    await (await stage.run("overwrite")).batch();
    const created = brief(stage.script.calls).filter((call) => call.startsWith("createWriter("));
    expect(created).toEqual(Array(4).fill('createWriter(JOB, "Overwrite")'));
    expect(stage.script.table).toEqual([1, 2, 3]);
  });

  it("The mode ErrorIfExists lets the source throw while the batch is planned, and later steps append", async () => {
    const stage = new Stage();
    await (await stage.run("errorifexists")).batch();
    const created = brief(stage.script.take()).filter((call) => call.startsWith("createWriter("));
    expect(created).toEqual(["ErrorIfExists", "Append", "Append", "Append"].map((mode) => openings(mode)[0]));
    const again = await stage.run("errorifexists");
    await expect(again.batch()).rejects.toMatchObject({
      code: "SINK_FAILED",
      cause: expect.objectContaining({ message: "there are rows" }),
    });
    expect(brief(stage.script.calls)).toEqual(['createWriter(JOB, "ErrorIfExists")']);
    expect(stage.script.table).toEqual([1, 2, 3]);
  });

  it("The mode Ignore writes nothing, without an error, if the source returns no writer", async () => {
    const stage = new Stage();
    await (await stage.run("ignore")).batch();
    expect(stage.script.table).toEqual([1, 2, 3]);
    stage.script.take();
    const again = await stage.run("ignore");
    expect(await again.plan()).toMatchObject({ kind: "idle", targetExists: true });
    expect(brief(stage.script.calls)).toEqual(['createWriter(JOB, "Ignore")']);
    expect((await stage.world.ledger.head("numbers"))?.nextBatchId).toBe(1);
  });

  it("An error of createWriter ends the run before a batch is recorded", async () => {
    const stage = new Stage();
    stage.script.fault = (call) => {
      if (call.startsWith("createWriter(")) throw new Error("no");
    };
    await expect((await stage.run()).batch()).rejects.toMatchObject({ code: "SINK_FAILED" });
    expect(brief(stage.script.calls)).toEqual(['createWriter(JOB, "Append")']);
    expect((await stage.world.ledger.head("numbers"))?.nextBatchId).toBe(0);
  });

  it("An error of createWriterFactory is followed by no abort", async () => {
    const stage = new Stage();
    stage.script.fault = (call) => {
      if (call.startsWith("createWriterFactory(")) throw new Error("no");
    };
    await expect((await stage.run()).batch()).rejects.toMatchObject({ code: "SINK_FAILED" });
    expect(brief(stage.script.calls)).toEqual(openings("Append"));
  });

  it("An error of createDataWriter is followed by no abort in the task, and the batch is aborted with null", async () => {
    const stage = new Stage();
    stage.script.fault = (call) => {
      if (call === "createDataWriter(1, 0)") throw new Error("no");
    };
    await (await stage.run()).batch();
    expect(brief(stage.script.calls).filter((call) => !/^(createWriter|write)/.test(call))).toEqual([
      ...["createDataWriter(0, 0)", "commitTask(0, 0)", "createDataWriter(1, 0)"],
      "abort([[1,2],null])",
    ]);
  });

  it("An error of write is followed by abort in the task and by no close", async () => {
    const stage = new Stage();
    stage.script.fault = (call) => {
      if (call === "write(0, 2)") throw new Error("no");
    };
    const run = await stage.run();
    const planned = await run.plan();
    stage.script.take();
    await expect(run.write(planned, 0)).rejects.toMatchObject({ code: "SINK_FAILED" });
    expect(brief(stage.script.calls)).toEqual([
      ...openings("Append"),
      ...["createDataWriter(0, 0)", "write(0, 1)", "write(0, 2)", "abortTask(0, 0)"],
    ]);
  });

  it("An error of a task's commit is followed by its abort, and the next attempt commits", async () => {
    const stage = new Stage();
    stage.script.fault = (call) => {
      if (call === "commitTask(1, 0)") throw new Error("no");
    };
    const run = await stage.run();
    const planned = await run.plan();
    await run.write(planned, 0);
    stage.script.take();
    await expect(run.write(planned, 1)).rejects.toMatchObject({ code: "SINK_FAILED" });
    await run.write(planned, 1, 1);
    await run.finalize(planned);
    expect(brief(stage.script.calls).filter((call) => !call.startsWith("createWriter"))).toEqual([
      ...["createDataWriter(1, 0)", "write(1, 3)", "commitTask(1, 0)", "abortTask(1, 0)"],
      ...["createDataWriter(1, 1)", "write(1, 3)", "commitTask(1, 1)"],
      "commit([[1,2],[3]])",
    ]);
  });

  it("Two attempts of a task may both commit, and the message that is recorded first counts", async () => {
    const stage = new Stage();
    stage.script.partitions = [[1]];
    const run = await stage.run();
    const planned = await run.plan();
    stage.script.duringCommit = async (attempt) => {
      if (attempt === 0) await run.write(planned, 0, 1);
    };
    await run.write(planned, 0, 0).catch(() => undefined);
    await run.finalize(planned);
    const calls = stage.script.calls.filter((call) => /^commit/.test(call));
    expect(calls).toEqual(["commitTask(0, 0)", "commitTask(0, 1)", "commit([[1]])"]);
    expect(await messages(stage, planned)).toEqual([{ partition: 0, attempt: 1, ids: [1] }]);
  });

  it("A batch without partitions has no data writer, and commit gets no messages", async () => {
    const stage = new Stage();
    stage.script.partitions = [];
    await (await stage.run("overwrite")).batch();
    const calls = brief(stage.script.calls);
    expect(calls.filter((call) => !call.startsWith("createWriter"))).toEqual(["commit([])"]);
  });

  it("An error of commit is followed by abort with all messages", async () => {
    const stage = new Stage();
    stage.script.fault = (call) => {
      if (call.startsWith("commit(")) throw new Error("no");
    };
    const ended = await (await stage.run()).batch();
    expect(ended?.batch.state).toBe("aborted");
    expect(stage.script.calls.slice(-2)).toEqual(["commit([[1,2],[3]])", "abort([[1,2],[3]])"]);
  });

  it("An error of abort fails the finalize, and the next run aborts again before it replays", async () => {
    const stage = new Stage();
    const run = await stage.run();
    stage.script.fault = (call) => {
      if (call.startsWith("write(1") || call.startsWith("abort(")) throw new Error("no");
    };
    await expect(run.batch()).rejects.toMatchObject({ code: "TASKS_MISSING" });
    expect(stage.script.take().at(-1)).toBe("abort([[1,2],null])");
    stage.script.fault = () => undefined;
    const again = await stage.run();
    while (stage.script.table.length === 0) await again.batch();
    const calls = stage.script.calls.filter((call) => /^(commit|abort)\(/.test(call));
    expect(calls).toEqual(["abort([[1,2],null])", "commit([[1,2],[3]])"]);
  });

  it("A data writer of the form arrow gets record batches", async () => {
    const stage = new Stage();
    stage.script.form = "arrow";
    await (await stage.run()).batch();
    expect(stage.script.calls.filter((call) => call.startsWith("write("))).toEqual([
      "write(0, 1, 2)",
      "write(1, 3)",
    ]);
  });

  it.each([
    [
      "createWriter",
      {},
      "createWriter() returned an object without createWriterFactory(), commit(), abort()",
    ],
    ["createWriter", "none", "createWriter() returned a string of 4 characters"],
    ["createWriterFactory", {}, "createWriterFactory() returned an object without createDataWriter()"],
    ["createWriterFactory", 5, "createWriterFactory() returned an integer"],
  ])("A %s that returns %o is refused before a batch is recorded", async (method, value, message) => {
    const stage = new Stage();
    stage.script.replaced[method] = value;
    await expect((await stage.run()).batch()).rejects.toMatchObject({ code: "WRITER_INVALID", message });
  });
});

describe("the factory of Spark 2.3", () => {
  it("The fields of a factory come from the step that plans, and createDataWriter may be one of them", async () => {
    const stage = new Stage();
    const seen: unknown[] = [];
    let made = 0;
    stage.script.fault = (call) => {
      if (!call.startsWith("createWriterFactory")) return;
      const factory: Record<string, unknown> = {
        folder: `f${++made}`,
        ...(made > 1 ? { late: true } : {}),
        createDataWriter(this: unknown, partition: number, attempt: number) {
          seen.push([JSON.parse(JSON.stringify(this)), partition, attempt]);
          return { write: () => undefined, commit: () => null, abort: () => undefined };
        },
      };
      stage.script.replaced["createWriterFactory"] = factory;
    };
    await (await stage.run()).batch();
    expect(seen).toEqual([
      [{ folder: "f1" }, 0, 0],
      [{ folder: "f1" }, 1, 0],
    ]);
  });
});

describe("a StreamWriteSupport of Spark 2.3", () => {
  it("A stream makes a writer in each step, with the incarnation as query id, and commits the epoch", async () => {
    const stage = new Stage();
    await (await stage.stream()).batch();
    const head = await stage.world.ledger.head("numbers");
    const opening = [`createStreamWriter("${head?.incarnation}", "Append")`, "createWriterFactory()"];
    expect(stage.script.calls).toEqual([
      ...opening,
      ...[...opening, "createDataWriter(0, 0)", "write(0, 1)", "write(0, 2)", "commitTask(0, 0)"],
      ...[...opening, "createDataWriter(1, 0)", "write(1, 3)", "commitTask(1, 0)"],
      ...[...opening, "commit(0, [[1,2],[3]])"],
    ]);
  });

  it("An epoch of which a task failed is aborted under its id", async () => {
    const stage = new Stage();
    stage.script.fault = (call) => {
      if (call === "write(0, 1)") throw new Error("no");
    };
    await (await stage.stream()).batch();
    expect(stage.script.calls.at(-1)).toBe("abort(0, [null,[3]])");
  });

  it("A stream in complete mode tells createStreamWriter, and an epoch without partitions has no data writer", async () => {
    const stage = new Stage();
    stage.script.partitions = [];
    await (await stage.stream("complete")).batch();
    expect(stage.script.calls[0]).toMatch(/^createStreamWriter\(".*", "Complete"\)$/);
    expect(stage.script.calls.filter((call) => !call.startsWith("create"))).toEqual(["commit(0, [])"]);
  });

  it("A data source without createStreamWriter cannot be written by a stream, nor one without createWriter by a batch", async () => {
    class Neither extends DataSourceV2 {}
    const reading = source(new Script());
    const stream = pipeline("numbers").readStream.format(reading).writeStream.format(Neither);
    const batch = pipeline("numbers").read.format(reading).write.format(Neither).mode("append");
    for (const definition of [stream, batch])
      await expect(
        (await new EngineWorld().run(definition as unknown as Pipeline, "a")).batch(),
      ).rejects.toMatchObject({
        code: "WRITE_NOT_SUPPORTED",
      });
  });
});

async function messages(stage: Stage, planned: PlanResult): Promise<unknown[]> {
  if (planned.kind !== "batch") return [];
  return (await stage.world.ledger.tasks(planned.run)).map(({ message }) => message);
}
