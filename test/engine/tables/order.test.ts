import { describe, expect, it } from "vitest";
import { Memory, MemoryStream } from "../../../shared/connectors/memory/index.ts";
import type { MillraceError } from "../../../shared/contract/errors.ts";
import type { BatchPipeline, StreamPipeline } from "../../../shared/contract/pipeline.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import { literal, predicate, reference } from "../../../shared/contract/write/predicates.ts";
import { progressOf } from "../../../shared/engine/progress.ts";
import { type PipelineRun, runPipeline } from "../../../shared/testing/run-pipeline.ts";
import { type Recording, recordingTable } from "../../support/recording-table.ts";

const CHAIN = ["newWriteBuilder", "build", "toBatch", "createBatchWriterFactory 2"];
const task = (partition: number) => [
  ...CHAIN,
  `createWriter ${partition}`,
  `writer.commit ${partition}`,
  `writer.close ${partition}`,
];
const MESSAGES = [
  { partition: 0, rows: 2 },
  { partition: 1, rows: 1 },
];
const commitOf = (summary: unknown) => `commit ${JSON.stringify([MESSAGES, summary])}`;
const SUMMARY = { kind: "InsertSummary", numInsertedRows: 3 };
const HEARD = MESSAGES.map((message) => `onDataWriterCommit ${JSON.stringify(message)}`);

/** Runs a batch of three rows in two partitions, to a table that records its calls. */
async function runBatch(
  settings: Partial<Recording> = {},
  verb: (batch: BatchPipeline<object>) => BatchPipeline<object> = (batch) => batch.mode("append"),
  after?: PipelineRun,
) {
  const { recording, dataSource } = recordingTable(settings);
  const numbers = new MemoryStream("three", "id int, p int");
  numbers.addData([1, 2, 3].map((id) => ({ id, p: id % 3 })));
  const sink = pipeline("order").read.format(Memory).options({ stream: "three", numPartitions: 2 }).write;
  let run: PipelineRun | undefined;
  let error: unknown;
  try {
    run = await runPipeline(verb(sink.format(dataSource)), {
      maxAttempts: 2,
      ...(after === undefined ? {} : { after }),
    });
  } catch (thrown) {
    error = thrown;
  }
  return { recording, calls: recording.calls, run, error };
}

function failing(call: string, times = Number.POSITIVE_INFINITY, argument?: unknown): Partial<Recording> {
  let left = times;
  return {
    fault: (name, given) => {
      if (name !== call || (argument !== undefined && given !== argument) || left-- <= 0) return;
      throw new Error(`fault in ${call}`);
    },
  };
}

describe("the order of calls", () => {
  it("An append plans, runs each task, tells the write of each message, and commits with a summary", async () => {
    const { calls, error } = await runBatch();
    expect(error).toBeUndefined();
    expect(calls).toEqual([
      ...CHAIN,
      "useCommitCoordinator",
      ...task(0),
      ...task(1),
      ...CHAIN,
      ...HEARD,
      commitOf(SUMMARY),
      "reportDriverMetrics",
    ]);
  });

  it("Each step of a batch has the same query id, options and time", async () => {
    const { recording } = await runBatch();
    expect(recording.infos).toHaveLength(4);
    for (const info of recording.infos) expect(info).toEqual({ ...recording.infos[0], saveMode: "append" });
  });

  it("An overwrite of all rows truncates in each step and commits without a summary", async () => {
    const { calls } = await runBatch({}, (batch) => batch.truncate());
    expect(calls.filter((call) => call === "truncate")).toHaveLength(4);
    expect(calls.slice(0, 3)).toEqual(["newWriteBuilder", "truncate", "build"]);
    expect(calls).toContain(`commit ${JSON.stringify([MESSAGES, undefined])}`);
  });

  it("A builder without truncate() gets an overwrite that is always true", async () => {
    const { calls } = await runBatch({ builder: ["overwrite"] }, (batch) => batch.mode("overwrite"));
    expect(calls[1]).toBe('overwrite [{"kind":"predicate","name":"ALWAYS_TRUE","children":[]}]');
  });

  it("An overwrite by filter passes one predicate per conjunct", async () => {
    const p = predicate("=", reference("p"), literal(1));
    const id = predicate(">", reference("id"), literal(3));
    const { calls } = await runBatch({}, (batch) => batch.overwrite(predicate("AND", p, id)));
    expect(calls[1]).toBe(`overwrite ${JSON.stringify([p, id])}`);
  });

  it("A dynamic overwrite tells the builder", async () => {
    const { calls } = await runBatch({}, (batch) => batch.overwritePartitions());
    expect(calls[1]).toBe("overwriteDynamicPartitions");
  });

  it("A stream plans each epoch anew and reports no metrics of the driver", async () => {
    const { recording, dataSource } = recordingTable();
    const numbers = new MemoryStream("streamed", "id int");
    numbers.addData([{ id: 1 }]);
    const source = pipeline("streamed").readStream.format(Memory).options({ stream: "streamed" });
    const stream = source.writeStream.format(dataSource);
    const first = await runPipeline(stream);
    numbers.addData([{ id: 2 }]);
    await runPipeline(stream, { after: first });
    const chain = ["newWriteBuilder", "build", "toStreaming", "createStreamingWriterFactory 1"];
    const epoch = (id: number) => [
      ...chain,
      "useCommitCoordinator",
      ...chain,
      "createWriter 0",
      "writer.commit 0",
      "writer.close 0",
      ...chain,
      `commit [${id},[{"partition":0,"rows":1}]]`,
    ];
    expect(recording.calls).toEqual([...epoch(0), ...epoch(1)]);
    expect(new Set(recording.infos.map(({ queryId }) => queryId)).size).toBe(1);
  });

  it("A write that restores its factory makes it only in the step that plans", async () => {
    const { calls } = await runBatch({ restores: true, factory: () => ({ plan: "a" }) });
    const chain = [...CHAIN.slice(0, 3), 'restoreBatchWriterFactory {"plan":"a"}'];
    expect(calls.slice(0, 9)).toEqual([...CHAIN, "useCommitCoordinator", ...chain]);
    expect(calls.filter((call) => call.startsWith("createBatchWriterFactory"))).toHaveLength(1);
    // Two tasks and the commit.
    expect(calls.filter((call) => call.startsWith("restoreBatchWriterFactory"))).toHaveLength(3);
    expect(calls).toContain('createWriter [0,{"plan":"a"}]');
  });

  it("A stream that restores its factory does so in each epoch, with the fields of this epoch", async () => {
    let epoch = 0;
    const { recording, dataSource } = recordingTable({ restores: true, factory: () => ({ epoch: epoch++ }) });
    const numbers = new MemoryStream("restored", "id int");
    numbers.addData([{ id: 1 }]);
    const source = pipeline("restored").readStream.format(Memory).options({ stream: "restored" });
    const stream = source.writeStream.format(dataSource);
    const first = await runPipeline(stream);
    numbers.addData([{ id: 2 }]);
    await runPipeline(stream, { after: first });
    const restored = recording.calls.filter((call) => call.startsWith("restoreStreamingWriterFactory"));
    expect(new Set(restored)).toHaveProperty("size", 2);
    expect(restored).toHaveLength(4);
  });

  it("A stream in complete mode truncates in each epoch, whatever the capabilities are", async () => {
    const { recording, dataSource } = recordingTable({ capabilities: ["STREAMING_WRITE"] });
    new MemoryStream("complete", "id int").addData([{ id: 1 }]);
    const source = pipeline("complete").readStream.format(Memory).options({ stream: "complete" });
    const stream: StreamPipeline<object> = source.writeStream.format(dataSource);
    await runPipeline(stream.outputMode("complete"));
    expect(recording.calls.slice(0, 3)).toEqual(["newWriteBuilder", "truncate", "build"]);
  });

  it("A V1Write inserts all rows in one call, with overwrite false", async () => {
    const { recording, calls } = await runBatch(
      { isV1: true, capabilities: ["V1_BATCH_WRITE", "TRUNCATE"] },
      (batch) => batch.mode("overwrite"),
    );
    expect(calls.slice(-3)).toEqual(["toInsertableRelation", "insert [3,false]", "reportDriverMetrics"]);
    expect(calls).not.toContain("toBatch");
    expect(recording.rows).toEqual([1, 2, 3].map((id) => ({ id, p: id % 3 })));
  });
});

describe("failures", () => {
  it.each([
    ["newWriteBuilder", ["newWriteBuilder"]],
    ["build", ["newWriteBuilder", "build"]],
    ["toBatch", [...CHAIN.slice(0, 3), "reportDriverMetrics"]],
    ["createBatchWriterFactory", [...CHAIN, "reportDriverMetrics"]],
    ["useCommitCoordinator", [...CHAIN, "useCommitCoordinator", "reportDriverMetrics"]],
  ])("Nothing is begun and nothing is aborted if %s throws while planning", async (call, calls) => {
    const failed = await runBatch(failing(call));
    expect(failed.error).toMatchObject({ code: "SINK_FAILED", message: `${call}() failed: Error` });
    expect(failed.calls).toEqual(calls);
  });

  it("A writer that cannot be created is neither aborted nor closed, and is tried again", async () => {
    const { calls, error } = await runBatch(failing("createWriter", 1, 0));
    expect(error).toBeUndefined();
    expect(calls.filter((call) => call.startsWith("writer.abort"))).toEqual([]);
    expect(calls.filter((call) => call === "createWriter 0")).toHaveLength(2);
  });

  it("A writer whose write throws is aborted and closed, and the task is tried again", async () => {
    const { calls, error } = await runBatch(failing("write", 1, 1));
    expect(error).toBeUndefined();
    const ofTask = calls.filter((call) => call.endsWith(" 1"));
    expect(ofTask).toEqual([
      "createWriter 1",
      "writer.abort 1",
      "writer.close 1",
      "createWriter 1",
      "writer.commit 1",
      "writer.close 1",
    ]);
  });

  it("A writer whose commit throws is aborted after it, and the next attempt may commit", async () => {
    const { calls, error } = await runBatch(failing("writer.commit", 1, 0));
    expect(error).toBeUndefined();
    expect(calls.filter((call) => call.endsWith("r 0") || call.startsWith("writer"))).toEqual(
      expect.arrayContaining(["writer.commit 0", "writer.abort 0", "writer.close 0"]),
    );
    expect(calls.filter((call) => call === "writer.commit 0")).toHaveLength(2);
  });

  it("The error of a writer's abort is kept beside the error of its task, and the writer is closed", async () => {
    const { calls, error } = await runBatch({
      fault: (call, argument) => {
        if ((call === "write" || call === "writer.abort") && argument === 0)
          throw new Error(`fault in ${call}`);
      },
    });
    expect(error).toMatchObject({
      message: "write() failed: Error",
      also: [{ message: "abort() failed: Error" }],
    });
    expect(calls.filter((call) => call === "writer.close 0")).toHaveLength(2);
  });

  it("The error of the write's abort is kept beside that of its commit", async () => {
    const { error } = await runBatch({
      fault: (call) => {
        if (call === "commit" || call === "abort") throw new Error(`fault in ${call}`);
      },
    });
    expect(error).toMatchObject({
      message: "commit() failed: Error",
      also: [{ message: "abort() failed: Error" }],
    });
  });

  it("A task fails if close throws after its commit, and the next attempt commits again", async () => {
    const { calls, error } = await runBatch(failing("writer.close", 1, 1));
    expect(error).toBeUndefined();
    expect(calls.filter((call) => call === "writer.commit 1")).toHaveLength(2);
    expect(calls).not.toContain("writer.abort 1");
    expect(calls).toContain(commitOf(SUMMARY));
  });

  it("A task that fails for good makes the batch abort with null in its place", async () => {
    const { calls, error } = await runBatch(failing("write", 2, 1));
    expect(error).toMatchObject({ code: "SINK_FAILED", where: { partition: 1 } });
    expect(calls.slice(-3)).toEqual([
      HEARD[0],
      `abort ${JSON.stringify([MESSAGES[0], null])}`,
      "reportDriverMetrics",
    ]);
  });

  it("An error of onDataWriterCommit aborts the batch with all messages", async () => {
    const { calls, error } = await runBatch(failing("onDataWriterCommit"));
    expect(error).toMatchObject({ message: "onDataWriterCommit() failed: Error" });
    expect(calls.slice(-3)).toEqual([HEARD[0], `abort ${JSON.stringify(MESSAGES)}`, "reportDriverMetrics"]);
  });

  it("A commit that throws is followed by abort of the same write, with all messages", async () => {
    const { calls, error } = await runBatch(failing("commit"));
    expect(error).toMatchObject({ message: "commit() failed: Error" });
    expect(calls.slice(-3)).toEqual([
      commitOf(SUMMARY),
      `abort ${JSON.stringify(MESSAGES)}`,
      "reportDriverMetrics",
    ]);
  });

  it("An error of the driver's metrics fails the run, and the rows stay", async () => {
    const { calls, error } = await runBatch(failing("reportDriverMetrics"));
    expect(error).toMatchObject({ code: "SINK_FAILED", message: "reportDriverMetrics() failed: Error" });
    expect(calls.filter((call) => call.startsWith("abort"))).toEqual([]);
    expect(calls).toContain(commitOf(SUMMARY));
  });

  it("A V1Write whose insert throws leaves no staged rows", async () => {
    const { error } = await runBatch({
      isV1: true,
      capabilities: ["V1_BATCH_WRITE"],
      ...failing("insert"),
    });
    expect(error).toMatchObject({ code: "SINK_FAILED" });
    expect((error as MillraceError).where).toMatchObject({ batchId: 0 });
  });
});

describe("what a table can do", () => {
  it.each<[string, Partial<Recording>, (batch: BatchPipeline<object>) => BatchPipeline<object>]>([
    ["writing in a batch", { capabilities: ["BATCH_READ"] }, (batch) => batch.mode("append")],
    ["truncate in a batch", { capabilities: ["BATCH_WRITE"] }, (batch) => batch.mode("overwrite")],
    [
      "overwrite by filter in a batch",
      { capabilities: ["BATCH_WRITE", "TRUNCATE"] },
      (batch) => batch.overwrite(predicate("IS_NULL", reference("p"))),
    ],
    [
      "dynamic overwrite in a batch",
      { capabilities: ["V1_BATCH_WRITE", "OVERWRITE_DYNAMIC"] },
      (batch) => batch.overwritePartitions(),
    ],
  ])(
    "A table without the capability refuses %s before any builder is made",
    async (feature, settings, verb) => {
      const { calls, error } = await runBatch(settings, verb);
      expect(error).toMatchObject({
        code: "WRITE_NOT_SUPPORTED",
        message: `table "t" does not support ${feature}`,
      });
      expect(calls).toEqual([]);
    },
  );

  it("A table that promises a V1Write must build one", async () => {
    const { calls, error } = await runBatch({ capabilities: ["V1_BATCH_WRITE"] });
    expect(error).toMatchObject({ code: "WRITER_INVALID" });
    expect(calls).toEqual(["newWriteBuilder", "build"]);
  });

  it("A builder that lacks a method which its table promises is refused", async () => {
    const { error } = await runBatch({ builder: [] }, (batch) => batch.overwritePartitions());
    expect(error).toMatchObject({
      code: "WRITE_NOT_SUPPORTED",
      message: 'table "t" cannot overwrite partitions',
    });
  });
});

describe("what travels to the tasks", () => {
  it("The fields of the planning step's factory are those of each task's factory", async () => {
    let made = 0;
    const { calls } = await runBatch({ factory: () => ({ folder: `f${made++}`, gone: undefined }) });
    expect(calls.filter((call) => call.startsWith("createWriter"))).toEqual([
      'createWriter [0,{"folder":"f0"}]',
      'createWriter [1,{"folder":"f0"}]',
    ]);
  });

  it("A field that is no JSON value is refused before anything is recorded", async () => {
    const { calls, error } = await runBatch({ factory: () => ({ opened: new Map() }) });
    expect(error).toMatchObject({
      code: "FACTORY_NOT_JSON",
      message: expect.stringContaining("factory.opened") as string,
    });
    expect(calls.at(-1)).toBe("reportDriverMetrics");
  });

  it("Fields of more than 16 KiB are refused", async () => {
    const { error } = await runBatch({ factory: () => ({ text: "x".repeat(17_000) }) });
    expect(error).toMatchObject({ code: "FACTORY_TOO_LARGE" });
  });
});

describe("metrics", () => {
  it("Metrics of tasks and driver are added up and recorded with the batch", async () => {
    const { run } = await runBatch({ driverMetrics: { rows: 40, unknown: 1 } });
    const [batch] = (await run?.state.ledger.batches("order", { limit: 1 })) ?? [];
    expect(batch?.progress?.metrics).toEqual({ "rows seen": "43" });
    expect(batch && progressOf(batch)?.sink.metrics).toEqual({ "rows seen": "43" });
  });

  it("A metric whose values cannot be added up fails the run after the commit, and the batch stays", async () => {
    const { run, calls, error } = await runBatch({ driverMetrics: { rows: Number.NaN } });
    expect(run).toBeUndefined();
    expect(error).toMatchObject({
      code: "SINK_FAILED",
      message: 'the metric "rows" has the value NaN, and needs a finite number',
    });
    expect(calls.filter((call) => call.startsWith("abort"))).toEqual([]);
  });

  it("A writer is asked for its metrics before rows 0, 100, 200 and once before its commit", async () => {
    const asked: unknown[] = [];
    const { recording, dataSource } = recordingTable({
      fault: (call, rows) => {
        if (call === "currentMetricsValues") asked.push(rows);
      },
    });
    const numbers = new MemoryStream("many", "id int");
    numbers.addData(Array.from({ length: 225 }, (_, id) => ({ id })));
    const sink = pipeline("many").read.format(Memory).options({ stream: "many" }).write.format(dataSource);
    await runPipeline(sink.mode("append"));
    expect(asked).toEqual([0, 100, 200, 225]);
    expect(recording.calls).toContain("writer.commit 0");
  });
});
