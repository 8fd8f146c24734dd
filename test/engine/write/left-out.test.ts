import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Files } from "../../../shared/connectors/files/index.ts";
import { Memory } from "../../../shared/connectors/memory/index.ts";
import { RestApi } from "../../../shared/connectors/rest-api/index.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { leftOutWarning } from "../../../shared/engine/write/task.ts";
import { serve } from "../../support/api-server.ts";
import { type Now, sourceOf } from "../../support/changing-source.ts";
import { EngineWorld } from "../../support/engine.ts";
import { temporaryFolder } from "../../support/folder.ts";

type Started = ReturnType<ReturnType<typeof pipeline>["readStream"]["format"]>;

/** Runs the only task of the first batch, and returns what it left out. */
async function leftOut(read: Pick<Started, "writeStream">, env: object = {}) {
  const definition = read.writeStream.format(Memory).options({ table: "left-out" }) as unknown as Pipeline;
  const world = new EngineWorld();
  const { runtime } = world.ports();
  const run = await world.run(definition, "a", { runtime: { ...runtime, ...env } });
  const planned = await run.plan();
  return (await run.write(planned, 0)).leftOut;
}

const now = (row: Now["row"], count = 3): Now => ({ count, schema: "n int, p struct<x: int>", row });

describe("fields of rows that the schema lacks", () => {
  it("Objects with further fields are counted, and the names of these fields are kept", async () => {
    const rows = now((n) => (n === 0 ? { n, p: null } : { n, p: null, channel: "web", [`f${n}`]: 1 }));
    expect(await leftOut(pipeline("p").readStream.format(sourceOf(rows)))).toEqual({
      names: ["channel", "f1", "f2"],
      rows: 2,
    });
  });

  it("Rows with the fields of the schema, and arrays, leave nothing out", async () => {
    expect(
      await leftOut(pipeline("p").readStream.format(sourceOf(now((n) => ({ p: null, n }))))),
    ).toBeUndefined();
    const arrays = now((n) => [n, null] as never);
    expect(await leftOut(pipeline("p").readStream.format(sourceOf(arrays)))).toBeUndefined();
  });

  it("Fields of structs that the schema lacks are told with their paths, also in lists and maps", async () => {
    const schema = "n int, p struct<x: int>, l array<struct<y: int>>, m map<string, struct<z: int>>";
    const row = (n: number) => ({
      n,
      p: { x: 1, vip: true },
      l: [{ y: 1 }, { y: 2, more: n }],
      m: new Map([["k", { z: 1, other: 2 }]]),
    });
    expect(await leftOut(pipeline("p").readStream.format(sourceOf({ count: 3, schema, row })))).toEqual({
      names: ["p.vip", "l.more", "m.other"],
      rows: 3,
    });

    const folder = temporaryFolder();
    writeFileSync(
      join(folder, "a.jsonl"),
      '{"p":{"x":1},"m":{"a":{"z":1}}}\n{"p":{"x":2,"vip":1},"m":{"a":{"q":1}}}\n',
    );
    const files = pipeline("p")
      .readStream.format(Files)
      .options({ path: folder, format: "jsonl", settleSeconds: 0 })
      .schema("p struct<x: int>, m map<string, struct<z: int>>");
    expect(await leftOut(files, { now: () => Date.now() + 60_000 })).toEqual({
      names: ["p.vip", "m.q"],
      rows: 1,
    });
  });

  it("At most twenty names are kept, each cut, for an object that is used as a map", async () => {
    const rows = now((n) => ({
      n,
      p: null,
      ...Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`${i}-${"x".repeat(100)}`, 1])),
    }));
    const found = await leftOut(pipeline("p").readStream.format(sourceOf(rows)));
    expect(found?.names).toHaveLength(20);
    expect(found?.names[0]).toHaveLength(64);
  });

  it("Fields of JSON lines and of an API's records are told too, unless columns are chosen by paths", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "a.jsonl"), '{"n":1,"extra":2}\n{"n":2}\n{"n":3,"other":1}\n');
    const files = pipeline("p")
      .readStream.format(Files)
      .options({ path: folder, format: "jsonl", settleSeconds: 0 })
      .schema("n bigint");
    expect(await leftOut(files, { now: () => Date.now() + 60_000 })).toEqual({
      names: ["extra", "other"],
      rows: 2,
    });
    const api = await serve(() => ({ json: [{ id: 1, place: { x: 2 }, extra: 3 }] }));
    const list = (options: object) =>
      pipeline("p")
        .readStream.format(RestApi)
        .options({ url: api.url, schema: "id bigint", ...options });
    expect(await leftOut(list({}))).toEqual({ names: ["place", "extra"], rows: 1 });
    expect(await leftOut(list({ schema: "id bigint, x bigint", columns: { x: "place.x" } }))).toBeUndefined();
  });

  it("The warning names the fields and not a value, and says what to do", () => {
    const run = { pipeline: "p", batchId: 3, attempt: 1 } as never;
    expect(leftOutWarning(run, { names: ["channel"], rows: 12 })).toMatchObject({
      code: "FIELDS_LEFT_OUT",
      message:
        'rows have a field that the schema lacks, and that nothing writes: "channel" (in 12 rows or more)',
      where: { batchId: 3 },
    });
  });
});
