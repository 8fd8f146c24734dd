import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { exitCodeOf } from "../../../cli/exit-codes.ts";
import { ArrowTable } from "../../../shared/connectors/arrow-table/index.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { sourceOf } from "../../support/changing-source.ts";
import { EngineWorld } from "../../support/engine.ts";

it("A folder that cannot be written ends the run before a batch is planned, with the exit code of usage", async () => {
  const world = new EngineWorld();
  const file = join(world.folder, "file");
  writeFileSync(file, "");
  const definition = pipeline("numbers")
    .readStream.format(sourceOf({ count: 2, schema: "n int", row: (n) => ({ n }) }))
    .writeStream.format(ArrowTable)
    .options({ path: join(file, "table") }) as unknown as Pipeline;
  const run = await world.run(definition, "a");
  const error: unknown = await run.plan().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    code: "TARGET_UNUSABLE",
    message: expect.stringContaining("ENOTDIR") as string,
  });
  expect(exitCodeOf(error)).toBe(2);
  expect(await world.ledger.head("numbers")).not.toHaveProperty("openBatchId");
});

it("A folder that is not there yet is made by the first batch", async () => {
  const world = new EngineWorld();
  const definition = pipeline("numbers")
    .readStream.format(sourceOf({ count: 2, schema: "n int", row: (n) => ({ n }) }))
    .writeStream.format(ArrowTable)
    .options({ path: join(world.folder, "lake/of/tables") }) as unknown as Pipeline;
  const ended = await (await world.run(definition, "a")).batch();
  expect(ended?.batch.state).toBe("committed");
});
