import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Files } from "../../shared/connectors/files/index.ts";
import { Memory } from "../../shared/connectors/memory/index.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { type Now, sourceOf } from "../support/changing-source.ts";
import { EngineWorld } from "../support/engine.ts";
import { temporaryFolder } from "../support/folder.ts";

class Keyed extends Memory {
  override keyColumns(): readonly string[] {
    return ["id", "region"];
  }
}

type Started = ReturnType<ReturnType<typeof pipeline>["readStream"]["format"]>;

/** Runs the only task of the first batch, and returns its error. */
async function errorOf(read: Pick<Started, "writeStream">, sink: typeof Memory): Promise<MillraceError> {
  const definition = read.writeStream.format(sink).options({ table: "keyed" }) as unknown as Pipeline;
  const world = new EngineWorld();
  const { runtime } = world.ports();
  const now = () => Date.now() + 60_000;
  const run = await world.run(definition, "a", { runtime: { ...runtime, now } });
  const planned = await run.plan();
  const error: unknown = await run.write(planned, 0).catch((thrown: unknown) => thrown);
  if (!MillraceError.is(error)) throw new Error("the task did not fail");
  return error;
}

const rows: Now = {
  count: 3,
  schema: "id bigint, region string, total int",
  row: (n) => ({ id: n, region: "EU", total: n === 1 ? "N/A" : n }),
};

describe("the key of a row that an error is about", () => {
  it("An error of a row shows the values of the columns that the sink names, and records none of them", async () => {
    const error = await errorOf(pipeline("p").readStream.format(sourceOf(rows)), Keyed);
    expect(error).toMatchObject({ code: "ROW_MISMATCH", where: { row: 2, field: "total" } });
    expect(error.found).toBe('"N/A", in the row with id 1, region "EU"');
    expect(JSON.stringify(error.toRecord())).not.toContain("EU");
  });

  it("An error of a record of a file shows them too", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "a.csv"), "id,region,total\n7,US,1\n8,EU,N/A\n");
    const files = pipeline("p")
      .readStream.format(Files)
      .options({ path: folder, format: "csv", settleSeconds: 0 })
      .schema("id bigint, region string, total int");
    expect((await errorOf(files, Keyed)).found).toMatch(/^"N\/A", in the row with id .*8.*, region "EU"$/);
  });

  it("An error of a row shows the value alone if the sink names no key", async () => {
    expect((await errorOf(pipeline("p").readStream.format(sourceOf(rows)), Memory)).found).toBe('"N/A"');
  });
});
