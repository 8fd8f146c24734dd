import { describe, expect, it } from "vitest";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { ArrowTable } from "../../../shared/connectors/arrow-table/index.ts";
import { readTable } from "../../../shared/connectors/arrow-table/read.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import type { OnSchemaChange } from "../../../shared/contract/write/write-info.ts";
import { type PipelineRun, runPipeline } from "../../../shared/testing/index.ts";
import { type Now, sourceOf } from "../../support/changing-source.ts";

/** Runs a pipeline whose source is as `now` says, after an earlier run. */
async function run(now: Now, after?: PipelineRun, choice?: OnSchemaChange): Promise<PipelineRun> {
  const made = pipeline("p")
    .readStream.format(sourceOf(now))
    .writeStream.format(ArrowTable)
    .options({ path: "s3://lake/t" });
  const chosen = choice === undefined ? made : made.onSchemaChange(choice);
  return await runPipeline(chosen as unknown as Pipeline, after === undefined ? {} : { after });
}

async function rowsIn({ state }: PipelineRun): Promise<Record<string, unknown>[]> {
  const table = (state.surroundings as { openStore(location: string): never }).openStore("s3://lake/t");
  const batches = await Array.fromAsync(readTable(table));
  return batches.flatMap((batch) => [...rowsOf(batch)]);
}

const OLD: Now = { count: 2, schema: "n int NOT NULL", row: (n) => ({ n }) };
const WIDER: Now = {
  count: 4,
  schema: "channel string, n bigint NOT NULL",
  row: (n) => ({ n: BigInt(n) + 2n ** 40n, channel: "web" }),
};
const big = (n: number) => 2 ** 40 + n;

describe("a change of the rows' columns, of an Arrow table", () => {
  it("A new column and a wider one are taken with the choice, and older rows have null there", async () => {
    const first = await run(OLD);
    const second = await run(WIDER, first, "evolve");
    const expected = [
      { n: 0, channel: null },
      { n: 1, channel: null },
      { n: big(2), channel: "web" },
      { n: big(3), channel: "web" },
    ];
    expect(await rowsIn(second)).toEqual(expected);
    // Rows of the older columns still fit, and the table keeps the newer ones.
    const third = await run({ ...OLD, count: 5 }, second, "evolve");
    expect(await rowsIn(third)).toEqual([...expected, { n: 4, channel: null }]);
  });

  it("Without the choice the change is refused at planning, names each column, and leaves no batch open", async () => {
    const first = await run(OLD);
    await expect(run(WIDER, first)).rejects.toMatchObject({
      code: "TABLE_SCHEMA_MISMATCH",
      message: expect.stringContaining('"n" was int and is bigint; "channel" (string) is new') as string,
      hint: expect.stringContaining('`.onSchemaChange("evolve")`') as string,
    });
    expect(await first.state.ledger.head("p")).not.toHaveProperty("openBatchId");
    expect(await rowsIn(first)).toEqual([{ n: 0 }, { n: 1 }]);
  });

  it.each(["a string", "a date"])(
    "A column that becomes %s is refused with the choice, too",
    async (type) => {
      const first = await run(OLD);
      const other = { ...OLD, count: 3, schema: `n ${type.replace(/^a /, "")} NOT NULL` };
      await expect(run(other, first, "evolve")).rejects.toMatchObject({
        code: "TABLE_SCHEMA_MISMATCH",
        hint: expect.not.stringContaining("onSchemaChange") as string,
      });
      expect(await first.state.ledger.head("p")).not.toHaveProperty("openBatchId");
    },
  );

  it("The choice to ignore columns is refused before anything is read", async () => {
    await expect(run(OLD, undefined, "ignore")).rejects.toMatchObject({ code: "WRITE_NOT_SUPPORTED" });
  });

  it("A pipeline reads the table with the columns that it has now", async () => {
    const second = await run(WIDER, await run(OLD), "evolve");
    const copy = pipeline("copy")
      .read.format(ArrowTable)
      .load("s3://lake/t")
      .write.format(ArrowTable)
      .options({ path: "s3://lake/copy" })
      .mode("append");
    const { rows } = await runPipeline(copy, { after: second });
    expect(rows.map(({ channel }) => channel)).toEqual([null, null, "web", "web"]);
  });
});

const RENAMED: Now = { count: 4, schema: "m int NOT NULL", row: (m) => ({ m }) };

describe("a change in the middle of a batch that was aborted", () => {
  it.each([
    [
      "a column is added",
      { ...OLD, schema: "n int NOT NULL, c string", row: (n: number) => ({ n, c: "x" }) },
    ],
    ["a column is widened", { ...OLD, schema: "n bigint NOT NULL" }],
    ["a column is renamed", RENAMED],
  ])(
    "If %s, each row is there once with the choice, and nothing is written without it",
    async (_name, now) => {
      const first = await run(OLD);
      await expect(run({ ...OLD, count: 4, fails: true }, first)).rejects.toThrow(/./);
      const changed = { ...now, count: 4 };
      await expect(run(changed, first)).rejects.toMatchObject({ code: "TABLE_SCHEMA_MISMATCH" });
      expect(await rowsIn(first)).toHaveLength(2);
      await run(changed, first, "evolve");
      const numbers = (await rowsIn(first)).map((row) => row["n"] ?? row["m"]);
      expect(numbers).toEqual([0, 1, 2, 3]);
    },
  );
});
