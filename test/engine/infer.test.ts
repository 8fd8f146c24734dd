import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Events } from "../../shared/connectors/events/index.ts";
import { Files } from "../../shared/connectors/files/index.ts";
import { Memory } from "../../shared/connectors/memory/index.ts";
import { RestApi } from "../../shared/connectors/rest-api/index.ts";
import { Sqs } from "../../shared/connectors/sqs/index.ts";
import { schemaToJson, toDdl } from "../../shared/contract/ddl/json.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { inferSchema } from "../../shared/engine/infer.ts";
import { openSessions } from "../../shared/engine/sessions/open-sessions.ts";
import { serve } from "../support/api-server.ts";
import { sourceOf } from "../support/changing-source.ts";
import { EngineWorld } from "../support/engine.ts";
import { temporaryFolder } from "../support/folder.ts";

type Started = ReturnType<ReturnType<typeof pipeline>["readStream"]["format"]>;

async function proposed(read: Pick<Started, "writeStream">, rows = 1000) {
  const world = new EngineWorld();
  const definition = read.writeStream.format(Memory).options({ table: "inferred" }) as unknown as Pipeline;
  const sessions = await openSessions(definition, world.ports());
  const found = await inferSchema(sessions, rows);
  expect(await world.ledger.head("p")).toBeUndefined();
  return { ddl: toDdl(schemaToJson(found.schema)), rows: found.rows };
}

const start = () => pipeline("p").readStream;

describe("a schema that is proposed for a source", () => {
  it("A list of an API is read without a schema, page by page, up to the wanted rows", async () => {
    const api = await serve(({ url }) => {
      const offset = Number(url.searchParams.get("offset") ?? 0);
      const rows = Array.from({ length: Math.min(2, 5 - offset) }, (_, i) => ({
        id: offset + i,
        place: { x: 0.5 },
        at: "2026-11-01T00:00:00Z",
      }));
      return { json: rows };
    });
    const read = start()
      .format(RestApi)
      .options({ url: api.url, pageSize: 2, columns: { x: "place.x" } });
    expect(await proposed(read)).toEqual({ ddl: "id bigint, at timestamp, x double", rows: 5 });
    const before = api.asked.length;
    expect((await proposed(read, 2)).rows).toBe(2);
    expect(api.asked.length - before).toBeLessThan(before);
  });

  it("A list by time ranges is read from its start", async () => {
    const api = await serve(({ url }) => ({
      json: url.searchParams.get("s")?.startsWith("2026-01-01T02") ? [{ id: 1, name: null }] : [],
    }));
    const timeRange = {
      startParam: "s",
      endParam: "e",
      start: "2026-01-01T00:00:00Z",
      until: "2026-01-01T03:00:00Z",
      partitionSeconds: 3600,
    };
    const read = start().format(RestApi).options({ url: api.url, timeRange });
    expect(await proposed(read)).toEqual({ ddl: "id bigint, name string", rows: 1 });
  });

  it("CSV files and JSON lines are read without a schema, with the columns of their folders", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "a.csv"), "id,when,price,ok\n1,2026-11-01,2.50,true\n2,,3,\n");
    const csv = start().format(Files).options({ path: folder, format: "csv" });
    expect(await proposed(csv)).toEqual({ ddl: "id bigint, when date, price double, ok boolean", rows: 2 });
    const lines = temporaryFolder();
    writeFileSync(join(lines, "a.jsonl"), '{"id":1}\n\n{"id":2,"tags":["a"]}\n');
    const jsonl = start().format(Files).options({ path: lines, format: "jsonl" });
    expect(await proposed(jsonl)).toEqual({ ddl: "id bigint, tags array<string>", rows: 2 });
  });

  it("Objects of a user's reader are a sample with all their fields, and other sources tell their schema", async () => {
    const source = sourceOf({ count: 3, schema: "n int", row: (n) => ({ n, channel: "web" }) });
    expect(await proposed(start().format(source))).toEqual({ ddl: "n bigint, channel string", rows: 3 });
    const arrays = sourceOf({ count: 3, schema: "n int", row: (n) => [n] as never });
    expect(await proposed(start().format(arrays))).toEqual({ ddl: "n int", rows: undefined });
    const events = start().format(Events).options({ start: "2026-11-01T00:00:00Z" });
    expect((await proposed(events)).ddl).toContain("bigint");
  });

  it("An empty source has no schema to propose, and a queue is not read", async () => {
    const folder = temporaryFolder();
    await expect(
      proposed(start().format(Files).options({ path: folder, format: "jsonl" })),
    ).rejects.toMatchObject({ code: "SCHEMA_REQUIRED" });
    const queueUrl = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders";
    await expect(proposed(start().format(Sqs).options({ queueUrl }))).rejects.toMatchObject({
      code: "NOT_SUPPORTED",
    });
  });
});
