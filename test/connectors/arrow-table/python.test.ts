import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { ArrowTableWriter } from "../../../shared/connectors/arrow-table/writer.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { documentedReader, hasPython, runPython } from "../../support/python.ts";
import { Desk } from "./table-desk.ts";

/** Reads a column of a table with the Python code of the page, and returns it or the error. */
function readWithPython(folder: string, column = "id"): readonly unknown[] | string {
  return runPython(
    `${documentedReader()}
import sys
try:
    print(json.dumps(read_table(sys.argv[1])[sys.argv[2]].to_pylist()))
except ValueError as error:
    print(json.dumps(str(error)))`,
    [folder, column],
  );
}

const entry = (desk: Desk, version: number) =>
  join(desk.path, `_log/${String(version).padStart(20, "0")}.json`);

describe.runIf(hasPython)("the Python lines of the page", () => {
  it("The Python lines read a table with checkpoints, which they need not know", async () => {
    const desk = new Desk();
    for (let batchId = 0; batchId < 40; batchId++)
      await desk.commit([await desk.stage([batchId], { batchId })], { batchId });
    expect(readWithPython(desk.path)).toEqual(await desk.ids());
  });

  it("The Python lines read a table with partitions as a whole, with its partition columns", async () => {
    const desk = new Desk();
    const ddl = "id bigint, p string";
    const runtime = desk.world.ports().runtime;
    const writerOf = (operation: "append" | "overwritePartitions") =>
      new ArrowTableWriter({ schema: parseDdl(ddl), operation, partitionBy: ["p"] }, runtime);
    for (const [batchId, rows] of [
      [
        [1, "a/ü"],
        [2, null],
        [3, "b"],
      ],
      [
        [4, "a/ü"],
        [5, null],
      ],
    ].entries()) {
      const writer = writerOf(batchId === 0 ? "append" : "overwritePartitions");
      const context = desk.context({ batchId });
      async function* batches() {
        yield recordBatchOf(parseDdl(ddl), rows);
      }
      await writer.commit([await writer.write(batches(), desk.task(context))], batchId, context);
    }
    expect(readWithPython(desk.path)).toEqual([3, 4, 5]);
    expect(readWithPython(desk.path, "p")).toEqual(["b", "a/ü", null]);
  });

  it("The Python lines read a table whose columns have changed, with nulls and wider types for older rows", async () => {
    const desk = new Desk();
    const runtime = desk.world.ports().runtime;
    const versions = [
      ["id int, p struct<x: int>, f float, d decimal(9,2)", [1, { x: 1 }, 0.5, "1.25"]],
      [
        "channel string, id bigint, p struct<x: bigint, y: string>, f double, d decimal(12,2)",
        ["web", 2n ** 40n, { x: 2n ** 40n, y: "y" }, 0.25, "2.25"],
      ],
      ["id bigint", [3n]],
    ] as const;
    for (const [batchId, [ddl, row]] of versions.entries()) {
      const schema = parseDdl(ddl);
      const writer = new ArrowTableWriter({ schema, operation: "append", onSchemaChange: "evolve" }, runtime);
      const context = desk.context({ batchId });
      async function* batches() {
        yield recordBatchOf(schema, [[...row]]);
      }
      await writer.commit([await writer.write(batches(), desk.task(context))], batchId, context);
    }
    expect(readWithPython(desk.path)).toEqual([1, 2 ** 40, 3]);
    expect(readWithPython(desk.path, "channel")).toEqual([null, "web", null]);
    expect(readWithPython(desk.path, "f")).toEqual([0.5, 0.25, null]);
    expect(readWithPython(desk.path, "p")).toEqual([{ x: 1, y: null }, { x: 2 ** 40, y: "y" }, null]);
  });

  it.each([0, 1])(
    "The Python lines notice that version %i of three is missing, or is another",
    async (version) => {
      const desk = new Desk();
      for (let batchId = 0; batchId < 3; batchId++)
        await desk.commit([await desk.stage([batchId], { batchId })], { batchId });
      writeFileSync(entry(desk, version), '{"version":7,"add":[],"remove":[]}');
      const error = `version ${version} of the log of ${desk.path} is missing or garbled`;
      expect(readWithPython(desk.path)).toBe(error);
      rmSync(entry(desk, version));
      expect(readWithPython(desk.path)).toBe(error);
    },
  );
});
