import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RestApi, type RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { type Fault, type JsonRow, serve, serveRows } from "../../support/api-server.ts";
import { EngineWorld } from "../../support/engine.ts";
import { rowsUpTo, send } from "./sending.ts";

let batches = 0;

describe("random failures of requests, tasks and options", () => {
  it("An API that honours the keys has each row once after the last attempt, whatever fails", async () => {
    const faults: Fault[] = [
      undefined,
      "cut before",
      "cut after",
      { status: 500 },
      { status: 409 },
      { status: 400 },
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.constantFrom(...faults), { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 3 }),
        async (partitions, queue, sizes, maxConcurrency) => {
          const api = await serveRows((_asked, count) => queue[count - 1]);
          const batchId = batches++;
          const parts = partitions.map((count, partitionId) => rowsUpTo(count, partitionId * 100));
          for (let attempt = 1; ; attempt++) {
            const rowsPerRequest = sizes[(attempt - 1) % sizes.length] ?? 1;
            const options: RestApiOptions = { url: api.url, rowsPerRequest, maxConcurrency, maxRetries: 1 };
            const ended = await Promise.allSettled(
              parts.map((rows, partitionId) =>
                send(options, rows, { task: { batchId, partitionId, attempt } }),
              ),
            );
            if (ended.every(({ status }) => status === "fulfilled")) break;
          }
          expect(api.rows.map(({ id }) => Number(id)).sort((a, b) => a - b)).toEqual(
            parts.flat().map(({ id }) => id),
          );
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("a pipeline from an API to an API", () => {
  async function source(items: readonly JsonRow[]): Promise<string> {
    const api = await serve(({ url }) => {
      const from = Number(url.searchParams.get("offset"));
      return { json: items.slice(from, from + Number(url.searchParams.get("limit"))) };
    });
    return api.url;
  }

  const streamTo = (from: string, to: string): Pipeline =>
    pipeline("copy")
      .readStream.format(RestApi)
      .options({ url: from, pageSize: 5, maxPagesPerBatch: 4 })
      .schema("id bigint NOT NULL, word string")
      .writeStream.format(RestApi)
      .options({ url: to, rowsPerRequest: 2, maxRetries: 0 }) as unknown as Pipeline;

  it("A pipeline from an API to an API delivers each row once, though batches are aborted and replayed", async () => {
    const world = new EngineWorld();
    const items = rowsUpTo(33);
    const faults: Record<number, Fault> = { 3: "cut after", 7: { status: 400 }, 30: { status: 500 } };
    const api = await serveRows((_asked, count) => faults[count]);
    const definition = streamTo(await source(items), api.url);
    const states: string[] = [];
    const run = await world.run(definition, "run");
    for (let result = await run.batch(); result !== undefined; result = await run.batch()) {
      states.push(`${result.batch.batchId} ${result.batch.state}`);
    }
    expect(states).toEqual(["0 aborted", "0 committed", "1 aborted", "1 committed"]);
    expect(api.rows.map(({ id }) => Number(id)).sort((a, b) => a - b)).toEqual(items.map(({ id }) => id));
    expect(api.rows).toHaveLength(33);
    expect(api.repeated.length).toBeGreaterThan(0);
  });

  it("A pipeline whose ledger is lost sends all rows again, because its keys have the new incarnation", async () => {
    const items = rowsUpTo(4);
    const api = await serveRows();
    const definition = streamTo(await source(items), api.url);
    for (const id of ["00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"]) {
      const world = new EngineWorld();
      const { runtime } = world.ports();
      const run = await world.run(definition, "run", { runtime: { ...runtime, newId: () => id } });
      await run.batch();
    }
    expect(api.rows).toEqual([...items, ...items]);
  });

  it("A pipeline from an API to an API copies a batch in the mode append", async () => {
    const world = new EngineWorld();
    const api = await serveRows();
    const definition = pipeline("copy")
      .read.format(RestApi)
      .options({ url: await source(rowsUpTo(12)), schema: "id bigint, word string", pageSize: 5 })
      .write.format(RestApi)
      .options({ url: api.url })
      .mode("append") as unknown as Pipeline;
    const run = await world.run(definition, "run");
    expect((await run.batch())?.batch).toMatchObject({ state: "committed", progress: { rows: 12 } });
    expect(api.rows).toEqual(rowsUpTo(12));
  });
});
