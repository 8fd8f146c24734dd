import { describe, expect, it } from "vitest";
import { RestApi } from "../../shared/connectors/rest-api/index.ts";
import { checkSink, checkSource } from "../../shared/testing/index.ts";
import { serve, serveRows } from "../support/api-server.ts";

const START = "2026-11-21T00:00:00.000Z";
const schema = "id bigint NOT NULL, time timestamp";
/** Rows at intervals of ten minutes, from the start. */
const rows = Array.from({ length: 300 }, (_, id) => ({
  id,
  time: new Date(Date.parse(START) + id * 600_000).toISOString(),
}));

describe("rest-api under millrace/testing", () => {
  it("The REST source has none of the known traps by ranges of time, in a stream and in a batch", async () => {
    const api = await serve(({ url }) => {
      const [from, to] = ["from", "to"].map((name) => url.searchParams.get(name) ?? "");
      const offset = Number(url.searchParams.get("offset"));
      const found = rows.filter(({ time }) => time >= String(from) && time < String(to));
      return { json: found.slice(offset, offset + 10) };
    });
    const timeRange = {
      startParam: "from",
      endParam: "to",
      column: "time",
      start: START,
      until: "2026-11-22T00:00:00Z",
    };
    const report = await checkSource(RestApi, {
      options: { url: api.url, schema, pageSize: 10, timeRange: { ...timeRange, maxPartitionsPerBatch: 4 } },
      now: "2026-11-21T12:00:30Z",
    });
    expect(report.notChecked).toEqual([]);
    expect(report.checked.filter((what) => what.startsWith("read() of each partition"))).toHaveLength(5);
  });

  it("The REST source has none of the known traps by position", async () => {
    const api = await serve(({ url }) => {
      const offset = Number(url.searchParams.get("offset"));
      return { json: rows.slice(offset, Math.min(offset + 10, 95)) };
    });
    const report = await checkSource(RestApi, {
      options: { url: api.url, schema, pageSize: 10, maxPagesPerBatch: 3 },
    });
    expect(report.notChecked).toEqual([]);
  });

  it("The REST sink has none of the known traps if the API honours the keys, and the kit names it if not", async () => {
    const good = await serveRows();
    await checkSink(RestApi, {
      options: { url: good.url, rowsPerRequest: 2 },
      showsRowsBeforeCommit: true,
      readBack: () => good.rows,
    });
    const seen: unknown[] = [];
    const careless = await serve(({ body }) => {
      seen.push(...(JSON.parse(body) as unknown[]));
      return { status: 201 };
    });
    const found = checkSink(RestApi, {
      options: { url: careless.url },
      showsRowsBeforeCommit: true,
      readBack: () => seen,
    });
    await expect(found).rejects.toMatchObject({ problems: [{ code: "TASK_NOT_ISOLATED" }] });
  });
});
