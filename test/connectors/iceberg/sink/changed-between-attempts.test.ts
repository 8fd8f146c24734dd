import { join } from "node:path";
import { expect, it } from "vitest";
import { Iceberg, type IcebergOptions } from "../../../../shared/connectors/iceberg/index.ts";
import { Memory } from "../../../../shared/connectors/memory/index.ts";
import { type Pipeline, pipeline } from "../../../../shared/contract/pipeline.ts";
import type { OnSchemaChange } from "../../../../shared/contract/write/write-info.ts";
import { type PipelineRun, runPipeline } from "../../../../shared/testing/index.ts";
import { type Now, sourceOf } from "../../../support/changing-source.ts";
import { temporaryFolder } from "../../../support/folder.ts";

const OLD: Now = { count: 2, schema: "n int", row: (n) => ({ n }) };

function optionsIn(folder: string): IcebergOptions {
  return {
    table: "shop.numbers",
    catalog: { type: "sqlite", path: join(folder, "catalog.db"), warehouse: join(folder, "warehouse") },
  };
}

async function run(
  options: IcebergOptions,
  now: Now,
  after: PipelineRun | undefined,
  choice?: OnSchemaChange,
): Promise<PipelineRun> {
  const made = pipeline("p").readStream.format(sourceOf(now)).writeStream.format(Iceberg).options(options);
  const chosen = (choice === undefined ? made : made.onSchemaChange(choice)) as unknown as Pipeline;
  return await runPipeline(chosen, after === undefined ? {} : { after });
}

async function numbersIn(options: IcebergOptions, after: PipelineRun): Promise<unknown[]> {
  const copy = pipeline("copy")
    .read.format(Iceberg)
    .options(options)
    .load()
    .write.format(Memory)
    .options({ table: "numbers of Iceberg" })
    .mode("append");
  const { rows } = await runPipeline(copy, { after });
  return rows.map((row) => Number(row["n"] ?? row["m"])).sort();
}

it.each([
  ["a column is added", { ...OLD, schema: "n int, c string", row: (n: number) => ({ n, c: "x" }) }],
  ["a column is widened", { ...OLD, schema: "n bigint" }],
  ["a column is renamed", { ...OLD, schema: "m int", row: (m: number) => ({ m }) }],
])(
  "If %s between two attempts of a batch, an Iceberg table has each row once with the choice",
  async (_name, now) => {
    const options = optionsIn(temporaryFolder());
    const first = await run(options, OLD, undefined);
    await expect(run(options, { ...OLD, count: 4, fails: true }, first)).rejects.toThrow(/./);
    const changed = { ...now, count: 4 };
    if (now.schema !== "n bigint")
      await expect(run(options, changed, first)).rejects.toMatchObject({ code: "SCHEMA_CHANGED" });
    expect(await numbersIn(options, first)).toEqual([0, 1]);
    await run(options, changed, first, "evolve");
    expect(await numbersIn(options, first)).toEqual([0, 1, 2, 3]);
  },
);
