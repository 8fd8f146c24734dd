import { setTimeout } from "node:timers/promises";
import { expect, it } from "vitest";
import { serve } from "../support/api-server.ts";
import { killTree, startMillrace } from "../support/process.ts";
import { Project } from "./project.ts";

/** One event each 100 seconds. The stream begins where the backfills of these tests end. */
const EVENTS = `
import { pipeline } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";
import { Events } from "millrace/connectors/events";
export default pipeline("orders").readStream.format(Events)
  .options({ start: "2025-02-10T00:00:00Z", until: "2025-02-12T00:00:00Z", eventsPerSecond: 0.01 })
  .writeStream.format(ArrowTable);
`;

/** Reads an API by days. The stream runs for 20 days from where the backfill ends. */
const REST = `
import { pipeline } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";
import { RestApi } from "millrace/connectors/rest-api";
export default pipeline("orders").readStream.format(RestApi)
  .options({
    url: process.env.API, schema: "id bigint NOT NULL, time timestamp NOT NULL", pagination: { type: "none" },
    timeRange: { startParam: "from", endParam: "to", column: "time", start: "2025-02-10T00:00:00Z",
      until: "2025-03-02T00:00:00Z", partitionSeconds: 21600, maxPartitionsPerBatch: 1 },
  })
  .writeStream.format(ArrowTable);
`;

const RANGE = ["--from", "2025-01-01", "--to", "2025-02-10"];
const NAME = "orders@2025-01-01_2025-02-10";

function backfill(project: Project, ...args: string[]) {
  return project.millrace(["backfill", "pipeline.ts", ...args]);
}

async function ids(project: Project): Promise<number[]> {
  const { code, stdout, stderr } = await project.millrace(["cat", "orders", "--json"]);
  expect(code, stderr).toBe(0);
  const lines = stdout.split("\n").filter((line) => line !== "");
  return lines.map((line) => Number((JSON.parse(line) as { id: string }).id)).sort((a, b) => a - b);
}

/** The ids of rows with one row each so many seconds. */
function expectedIds(from: string, to: string, seconds = 100): number[] {
  const [first, end] = [Date.parse(from) / seconds / 1000, Date.parse(to) / seconds / 1000];
  return Array.from({ length: end - first }, (_, i) => first + i);
}

function events(): Project {
  const project = new Project();
  project.write("pipeline.ts", EVENTS);
  return project;
}

it("A backfill reads its range once into the table of the pipeline, and is refused a second time", async () => {
  const project = events();
  const live = await project.run();
  expect(live.code, live.stderr).toBe(0);
  const first = await backfill(project, ...RANGE, "--chunk", "10d");
  expect(first.code, first.stderr).toBe(0);
  expect(await ids(project)).toEqual(expectedIds("2025-01-01", "2025-02-12"));

  const second = await backfill(project, ...RANGE);
  expect(second.code).toBe(2);
  expect(second.stderr).toContain("BACKFILL_OVERLAPS");
  expect(second.stderr).toContain(NAME);
  const again = await backfill(project, ...RANGE, "--again", "--chunk", "40d");
  expect(again.code, again.stderr).toBe(0);
  expect(again.stderr).toContain(`${NAME}_2`);
  expect(await ids(project)).toHaveLength(2 * 40 * 864 + 2 * 864);
});

it("A backfill is shown with its range and how far it is, and what has no range is not", async () => {
  const project = events();
  expect((await backfill(project, ...RANGE, "--chunk", "20d")).code).toBe(0);
  const status = await project.json("status", NAME);
  expect(status).toMatchObject({
    pipeline: NAME,
    offset: { bound: "2025-02-10T00:00:00.000Z" },
    backfill: { pipeline: "orders", chunk: "20d", done: true, percent: 100 },
  });
  expect(await project.json("status", "orders")).toMatchObject({ backfill: null, backfills: [NAME] });
  const shown = await project.millrace(["status"]);
  expect(shown.stdout).toContain("2025-01-01T00:00:00.000Z to 2025-02-10T00:00:00.000Z, 20d a batch");
  const late = await project.millrace(["status", "--check", "--late-after", "1s", NAME]);
  expect(late.code, late.stdout).toBe(0);
  const batches = await project.millrace(["batches", NAME]);
  expect(batches.stdout).toContain("2025-01-21T00:00Z");
  const vacuumed = await project.millrace(["vacuum", "--older-than", "0s"]);
  expect(vacuumed.code, vacuumed.stderr).toBe(0);
  expect(await ids(project)).toEqual(expectedIds("2025-01-01", "2025-02-10"));
});

const REFUSED: readonly [string, readonly string[], string][] = [
  ["a range that overlaps another one", ["--from", "2025-02-01", "--to", "2025-02-08"], "BACKFILL_OVERLAPS"],
  [
    "a range that the pipeline will read",
    ["--from", "2025-02-09", "--to", "2025-02-11"],
    "BACKFILL_OVERLAPS",
  ],
  ["a range that is not over", ["--from", "2025-02-09", "--to", "9999-01-01"], "BACKFILL_INCOMPLETE"],
  ["an empty range", ["--from", "2024-01-02", "--to", "2024-01-02"], "BACKFILL_RANGE_INVALID"],
  ["numbers", ["--from", "10", "--to", "20", "--chunk", "5"], "BACKFILL_RANGE_INVALID"],
  [
    "a chunk that is none",
    ["--from", "2024-01-01", "--to", "2024-02-01", "--chunk", "x"],
    "DURATION_INVALID",
  ],
];

it.each(REFUSED)("A backfill of %s ends with 2, and leaves nothing behind", async (_what, range, code) => {
  const project = events();
  const given = ["--from", "2025-02-07", "--to", "2025-02-09", "--chunk", "40d"];
  expect((await backfill(project, ...given)).code).toBe(0);
  const refused = await backfill(project, ...range);
  expect(refused.stderr).toContain(code);
  expect(refused.code).toBe(2);
  expect(await project.json("status", "orders")).toMatchObject({
    backfills: ["orders@2025-02-07_2025-02-09"],
  });
});

it("A range of the pipeline itself is read again if that is asked for", async () => {
  const project = events();
  expect((await project.run()).code).toBe(0);
  const told = await backfill(project, "--from", "2025-02-10", "--to", "2025-02-11", "--over-live");
  expect(told.code, told.stderr).toBe(0);
  expect(await ids(project)).toHaveLength(3 * 864);
});

it("A source that has no ranges, and a batch, are refused with what can be done", async () => {
  const project = new Project();
  project.write("count", "3");
  const refused = await backfill(project, "--from", "1", "--to", "2", "--chunk", "1");
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("offsetAt()");
  project.write("pipeline.ts", EVENTS.replace("readStream", "read").replace("writeStream", "write"));
  const batch = await backfill(project, ...RANGE);
  expect(batch.code).toBe(2);
  expect(batch.stderr).toContain("BACKFILL_NOT_SUPPORTED");
});

it("Of two backfills that overlap and begin at once, one is refused", async () => {
  const project = events();
  const days = ["2025-01-01", "2025-01-02", "2025-01-03", "2025-01-04"];
  const ended = await Promise.all(
    days.map((from) => backfill(project, "--from", from, "--to", "2025-01-06", "--chunk", "5d")),
  );
  expect(ended.map(({ code }) => code).sort()).toEqual([0, 2, 2, 2]);
  const { backfills } = (await project.json("status", "orders")) as { backfills: string[] };
  expect(backfills).toHaveLength(1);
  const from = String(backfills[0]).slice("orders@".length, "orders@2025-01-01".length);
  expect(await ids(project)).toEqual(expectedIds(from, "2025-01-06"));
});

it("A backfill that is forgotten frees its range, and the sink refuses rows that it has", async () => {
  const project = events();
  const range = ["--from", "2025-01-01", "--to", "2025-01-03"];
  expect((await backfill(project, ...range)).code).toBe(0);
  const forgotten = await project.millrace(["forget", "orders@2025-01-01_2025-01-03", "--yes"]);
  expect(forgotten.code, forgotten.stderr).toBe(0);
  expect(await project.json("status", "orders")).toMatchObject({ backfills: [] });
  const again = await backfill(project, ...range);
  expect(again.stderr).toContain("LEDGER_BEHIND_SINK");
  expect(await ids(project)).toEqual(expectedIds("2025-01-01", "2025-01-03"));
});

it("A backfill of 40 days beside the stream, killed at random moments, has each row once", {
  timeout: 300_000,
}, async () => {
  const project = new Project();
  project.write("pipeline.ts", REST);
  const api = await serve(({ url }, _count, response) => {
    const [from, to] = ["from", "to"].map((name) => Date.parse(url.searchParams.get(name) ?? ""));
    const first = Math.ceil((from ?? 0) / 600_000);
    const count = Math.max(0, Math.ceil((to ?? 0) / 600_000) - first);
    const rows = Array.from({ length: count }, (_, i) => first + i).map((id) => ({
      id,
      time: new Date(id * 600_000).toISOString(),
    }));
    void setTimeout(Math.random() * 20).then(() => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(rows));
    });
    return undefined;
  });
  const env = { ...project.env, API: api.url };
  const start = (...args: string[]) => startMillrace(args, env, project.folder);
  for (let kill = 0; kill < 6; kill++) {
    const both = [start("run", "pipeline.ts"), start("backfill", "pipeline.ts", ...RANGE)];
    await expect.poll(() => both[1]?.stderr(), { timeout: 60_000 }).toContain("batch");
    await setTimeout(Math.random() * 1500);
    for (const { process } of both) killTree(process);
    await Promise.all(both.map(({ ended }) => ended));
  }
  const ends = await Promise.all(
    [start("run", "pipeline.ts"), start("backfill", "pipeline.ts", ...RANGE)].map(({ ended }) => ended),
  );
  const [live, filled] = ends;
  expect(live?.code, live?.stderr).toBe(0);
  // The last kill may have come after the end, so that this try is one too many.
  expect([0, 2], filled?.stderr).toContain(filled?.code);
  expect(await ids(project)).toEqual(expectedIds("2025-01-01", "2025-03-02", 600));
  const second = await project.millrace(["backfill", "pipeline.ts", ...RANGE], env);
  expect(second.code).toBe(2);
  expect(second.stderr).toContain(NAME);
});

it("A batch pipeline shows the range of time that each of its runs has read", async () => {
  const project = new Project();
  const batch = EVENTS.replace("readStream", "read").replace("writeStream", "write");
  project.write("pipeline.ts", batch.replace(/;\n$/, '.mode("append");\n'));
  expect((await project.run()).code).toBe(0);
  const range = { from: "2025-02-10T00:00:00.000Z", to: "2025-02-12T00:00:00.000Z" };
  expect(await project.json("batches", "orders")).toMatchObject({ range });
  expect(await project.json("status", "orders")).toMatchObject({ range });
  const { stdout } = await project.millrace(["status", "orders"]);
  expect(stdout).toContain(`${range.from} to ${range.to}`);
  expect((await project.millrace(["batch", "0", "orders"])).stdout).toContain(range.to);
});
