import { describe, expect, it } from "vitest";
import { conformWrite } from "./conform.ts";
import type { BatchWriteOp, OpRow, Tree } from "./op.ts";
import { Spark } from "./spark.ts";
import { type SlowTask, slowTask } from "./spark-slow.ts";
import type { Recording } from "./trace.ts";

/**
 * Scenarios that no recording has, foretold by the rules that the recordings show, and replayed
 * with the engine.
 */

const SCHEMA = "id BIGINT NOT NULL,p INT";
const partitionsOf = (count: number): OpRow[][] =>
  Array.from({ length: count }, (_, p) => [0, 1].map((i) => [p * 2 + i, (p * 2 + i) % 3]));
const rows = (count: number) => ({ schema: SCHEMA, partitions: partitionsOf(count) });
const epochs = (count: number) => ({
  schema: SCHEMA,
  epochs: Array.from({ length: count }, () => partitionsOf(2)),
});
const faults = (...points: readonly object[]) => ({ fault: JSON.stringify(points) });

async function expectSame(recording: Recording): Promise<readonly string[]> {
  const { verdict, detail, exceptions } = await conformWrite(recording);
  expect(verdict, detail).toBe("same");
  return exceptions;
}

describe("a batch that is foretold", () => {
  it.each([0, 1, 2, 5])("The engine writes %d partitions as Spark does", async (count) => {
    const spark = new Spark().batch({ rows: rows(count) }).batch({ rows: rows(count), mode: "overwrite" });
    await expectSame(spark.rows().recording);
  });

  const POINTS = ["createWriter", "writeAll", "write", "commit", "commit:return", "abort", "close"];
  const cases = POINTS.flatMap((point) =>
    [1, 9].map((attemptsBelow) => ({
      point: point === "createWriter" ? "DataWriterFactory.createWriter" : `DataWriter.${point}`,
      attemptsBelow,
    })),
  );
  it.each(cases)(
    "A task whose first $attemptsBelow attempts throw in $point fails as in Spark",
    async (fault) => {
      const options = { metrics: "true", ...faults({ ...fault, partitionId: 1 }) };
      await expectSame(new Spark().batch({ rows: rows(3), options }).rows().recording);
    },
  );

  const DRIVER = [
    "Table.newWriteBuilder",
    "WriteBuilder.build",
    "Write.supportedCustomMetrics",
    "Write.toBatch",
    "BatchWrite.createBatchWriterFactory",
    "BatchWrite.useCommitCoordinator",
    "BatchWrite.onDataWriterCommit",
    "BatchWrite.commit",
    "BatchWrite.commit:return",
    "Write.reportDriverMetrics",
  ];
  it.each(DRIVER)("A batch whose %s throws ends as in Spark", async (point) => {
    const options = { metrics: "true", ...faults({ point }) };
    await expectSame(new Spark().batch({ rows: rows(2), options }).rows().recording);
  });

  it.each([
    ["BatchWrite.commit", "BatchWrite.abort"],
    ["DataWriter.write", "BatchWrite.abort"],
    ["DataWriter.write", "DataWriter.close"],
    ["DataWriter.commit", "Write.reportDriverMetrics"],
    ["BatchWrite.onDataWriterCommit", "Write.reportDriverMetrics"],
    ["Write.toBatch", "Write.reportDriverMetrics"],
  ])("A batch in which %s and %s throw has the error that it has in Spark", async (one, other) => {
    const options = faults({ point: one }, { point: other });
    await expectSame(new Spark().batch({ rows: rows(2), options }).rows().recording);
  });

  const P_IS_ONE: Tree = ["=", ["col", "p"], ["lit", 1]];
  it.each<Tree>([
    ["<>", ["col", "p"], ["lit", 1]],
    ["<=>", ["col", "p"], ["lit", 1]],
    ["and", [">", ["col", "id"], ["lit", 2]], ["not", P_IS_ONE]],
    ["or", P_IS_ONE, ["not", ["in", ["col", "id"], ["lit", 1], ["lit", 2]]]],
    ["=", ["+", ["col", "id"], ["lit", 1]], ["lit", 4]],
    ["=", ["nullif", ["col", "p"], ["lit", 1]], ["lit", 2]],
  ])(
    "An overwrite with the condition (%s %j %j) replaces the rows that it replaces in Spark",
    async (...tree) => {
      const condition: BatchWriteOp["condition"] = tree;
      const spark = new Spark().given(
        {
          table: "t",
          catalog: "cat",
          schema: "id BIGINT,p INT",
          partitionedBy: [],
          properties: { builder: "filterV2" },
        },
        {
          0: [
            [0, 0],
            [1, 1],
            [2, 2],
            [7, null],
          ],
          1: [
            [3, 0],
            [4, 1],
            [5, 2],
          ],
        },
      );
      spark.batch({ api: "writeTo.overwrite", catalog: "cat", mode: "overwrite", condition, rows: rows(1) });
      await expectSame(spark.rows().recording);
    },
  );

  it.each(["V1Write.toInsertableRelation", "InsertableRelation.insert", "Write.reportDriverMetrics", "none"])(
    "A V1Write is made, inserts and reports as in Spark if %s throws",
    async (point) => {
      const properties = {
        v1: "true",
        metrics: "true",
        capabilities: "V1_BATCH_WRITE,TRUNCATE",
        ...faults({ point }),
      };
      const spark = new Spark().given(
        { table: "t", catalog: "cat", schema: "id BIGINT,p INT", partitionedBy: [], properties },
        { 0: [[9, 9]] },
      );
      const write = { api: "insertInto", catalog: "cat", rows: rows(2) };
      spark
        .batch(write)
        .rows()
        .batch({ ...write, mode: "overwrite" });
      expect(await expectSame(spark.rows().recording)).toContain("v-one-staged");
    },
  );
});

describe("a stream that is foretold", () => {
  const POINTS = [
    "Table.newWriteBuilder",
    "WriteBuilder.build",
    "Write.toStreaming",
    "Write.supportedCustomMetrics",
    "StreamingWrite.createStreamingWriterFactory",
    "StreamingWrite.useCommitCoordinator",
    "StreamingWrite.commit",
    "StreamingWrite.commit:return",
    "StreamingDataWriterFactory.createWriter",
    "DataWriter.close",
  ];
  it.each(POINTS)("A stream whose %s throws goes on with the same epoch, as in Spark", async (point) => {
    const options = {
      metrics: "true",
      ...faults({ point, ...(/commit|Data/.test(point) ? { epochId: 1 } : {}) }),
    };
    const spark = new Spark().stream({ rows: epochs(2), options }).rows();
    await expectSame(spark.stream({ rows: epochs(3), checkpoint: "same" }).rows().recording);
  });

  it("The abort of an epoch that failed is called again by the next run", async () => {
    const options = faults({ point: "StreamingWrite.commit", epochId: 1 }, { point: "StreamingWrite.abort" });
    const spark = new Spark().stream({ rows: epochs(2), options });
    const exceptions = await expectSame(
      spark.stream({ rows: epochs(2), checkpoint: "same" }).rows().recording,
    );
    expect(exceptions).toContain("table-abort-again");
  });

  it("Complete mode truncates in each epoch, and an epoch without partitions has one task", async () => {
    const some = { schema: SCHEMA, epochs: [partitionsOf(2), [], partitionsOf(1)] };
    await expectSame(new Spark().stream({ outputMode: "complete", rows: some }).rows().recording);
  });
});

describe("a slow task that is foretold", () => {
  const cases: readonly SlowTask[] = [
    { point: "DataWriter.writeAll", isCoordinated: true, isStubborn: false },
    { point: "DataWriter.commit", isCoordinated: true, isStubborn: false },
    { point: "DataWriter.commit:return", isCoordinated: false, isStubborn: true },
    { point: "DataWriter.close", isCoordinated: true, isStubborn: true },
  ];
  it.each(cases)(
    "A copy of a task that hangs in $point ends as in Spark (coordinated $isCoordinated, stubborn $isStubborn)",
    async (slow) => {
      await expectSame(slowTask(slow));
    },
  );
});
