// biome-ignore-all lint/suspicious/noThenProperty: clauses have this word of SQL
import { describe, expect, it } from "vitest";
import { Memory, memoryTable } from "../../../shared/connectors/memory/index.ts";
import { EqualTo, GreaterThan } from "../../../shared/contract/filters.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import { runPipeline } from "../../../shared/testing/index.ts";
import { items, SCHEMA } from "./source.ts";

const options = (table: string) => ({ table, schema: "key bigint, label string" });
const upsert = {
  on: "key",
  whenMatched: [{ then: "update", set: "*" }],
  whenNotMatched: [{ then: "insert", set: "*" }],
} as const;

describe("steps of a merge's source", () => {
  it("A merge gets the rows of its source after all steps, twice if it has to", async () => {
    const source = items({ count: 6 })
      .schema(SCHEMA)
      .filter(new GreaterThan("id", 0))
      .flatMap(({ id, name }) => (id === 5n ? [] : [{ key: id, label: name }]), "key bigint, label string")
      .filter(async ({ key }) => key !== 2n);
    const table = "steps-of-a-merge";
    await runPipeline(pipeline("fill").table(Memory, options(table)).merge(source, upsert));
    const again = source.map((row) => ({ ...row, label: `${row.label}!` })).filter(new EqualTo("key", 3));
    await runPipeline(pipeline("merge").table(Memory, options(table)).merge(again, upsert));
    const rows = memoryTable(table).rows();
    expect(rows.toSorted((a, b) => Number(a["key"]) - Number(b["key"]))).toEqual([
      { key: 1, label: "row 1" },
      { key: 3, label: "row 3!" },
      { key: 4, label: "row 4" },
    ]);
  });

  it("A step of a merge's source that fails names its row and its step, and one that is wrong is refused", async () => {
    const merge = (source: Parameters<ReturnType<ReturnType<typeof pipeline>["table"]>["merge"]>[0]) =>
      runPipeline(pipeline("merge").table(Memory, options("steps-that-fail")).merge(source, upsert));
    const failing = items()
      .schema(SCHEMA)
      .map(({ id }) => {
        if (id === 3n) throw new Error("three");
        return { key: id, label: null };
      }, "key bigint, label string");
    await expect(merge(failing)).rejects.toMatchObject({
      code: "STEP_FAILED",
      where: { pipeline: "merge", batchId: 0, partition: 1, row: 2, step: "1 map" },
    });
    await expect(merge(items().select("key"))).rejects.toMatchObject({ code: "STEP_INVALID" });
  });
});
