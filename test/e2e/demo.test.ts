import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Feed, startFeed } from "../../examples/earthquakes/feed.ts";
import { temporaryFolder } from "../support/folder.ts";
import { EARTHQUAKES, filesBelow, millrace } from "../support/process.ts";
import { hasPython, summarize } from "../support/python.ts";
import { namedFiles, stagedFiles } from "../support/table.ts";

let feed: Feed;
beforeAll(async () => {
  feed = await startFeed();
});
afterAll(() => feed.close());

function run(home: string, ...flags: string[]) {
  return millrace(["run", EARTHQUAKES, "--home", home, ...flags], { EARTHQUAKES_URL: feed.url });
}

describe("the earthquakes", () => {
  it.skipIf(!hasPython)(
    "An independent reader sees each earthquake once in the table, also after a second run",
    async () => {
      const home = temporaryFolder();
      for (let i = 0; i < 2; i++) {
        expect((await run(home)).code).toBe(0);
        expect(summarize(join(home, "earthquakes/table"))).toMatchObject({
          rows: 1707,
          ids: 1707,
          first: "2018-01-31 01:49:59.650000+00:00",
          last: "2018-02-07 01:26:13.840000+00:00",
          types: { id: "string", time: "timestamp[us, tz=UTC]", mag: "double", felt: "int32" },
        });
      }
    },
  );

  it("A run of the earthquakes leaves only files that the log names", async () => {
    const home = temporaryFolder();
    await run(home);
    const table = join(home, "earthquakes/table");
    expect(stagedFiles(table)).toEqual(namedFiles(table));
    expect(namedFiles(table)).toHaveLength(29);
    expect(filesBelow(join(home, ".owners"))).toEqual([]);
  });

  it("The earthquakes arrive in one batch with --once, and the next run continues from there", async () => {
    const home = temporaryFolder();
    const first = await run(home, "--once", "--json");
    expect(first.stdout).toContain('"type":"ended","batches":1,"rows":198');
    const rest = await run(home, "--json");
    expect(rest.stdout).toContain('"type":"ended","batches":7,"rows":1509');
  });

  it("A run with --json prints one JSON object per line and no other text", async () => {
    const { stdout, stderr } = await run(temporaryFolder(), "--json");
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string });
    expect(events[0]).toMatchObject({ type: "started", pipeline: "earthquakes", trigger: "availableNow" });
    expect(events.filter((event) => event.type === "batch")).toHaveLength(8);
    expect(events.find((event) => event.type === "batch")).toMatchObject({
      batchId: 0,
      attempt: 1,
      state: "committed",
      start: { time: "2018-01-31T00:00:00.000Z" },
      end: { time: "2018-02-01T00:00:00.000Z" },
      partitions: 4,
      rows: 198,
    });
    expect(events.at(-1)).toEqual({ type: "ended", batches: 8, rows: 1707 });
    expect(stderr).toBe("");
  });

  it("A run ends with a table of batches on stdout, without colour if it is no terminal", async () => {
    const { stdout, stderr } = await run(temporaryFolder());
    expect(stdout).toMatch(/^batch\s+from\s+to\s+rows\s+bytes\s+time\s+state\n/);
    expect(stdout.trimEnd().split("\n")).toHaveLength(10);
    expect(stdout + stderr).not.toContain("\u001b");
  });

  it("The earthquakes can be read back with status, batches and cat", async () => {
    const home = temporaryFolder();
    await run(home);
    const status = JSON.parse((await millrace(["status", "--home", home, "--json"])).stdout) as object;
    expect(status).toMatchObject({
      pipeline: "earthquakes",
      state: "idle",
      runner: null,
      offset: { time: "2018-02-07T02:00:00.000Z" },
      lastCommittedBatchId: 7,
      openBatch: null,
      unacknowledgedBatchId: null,
    });
    const batches = (await millrace(["batches", "earthquakes", "--home", home, "--limit", "3", "--json"]))
      .stdout;
    expect(
      batches
        .trimEnd()
        .split("\n")
        .map((line) => (JSON.parse(line) as { batchId: number }).batchId),
    ).toEqual([5, 6, 7]);
    const all = (await millrace(["cat", "earthquakes", "--home", home, "--json"])).stdout
      .trimEnd()
      .split("\n");
    expect(all).toHaveLength(1707);
    const limited = await millrace(["cat", join(home, "earthquakes/table"), "--limit", "1", "--json"]);
    expect(JSON.parse(limited.stdout)).toEqual({
      id: "uw61345682",
      time: "2018-01-31T01:49:59.650Z",
      updated: "2018-02-06T18:39:40.200Z",
      mag: 0.31,
      magType: "ml",
      place: "37km NNE of Amboy, Washington",
      longitude: -122.197,
      latitude: 46.2035,
      depth: 3.28,
      felt: null,
      tsunami: 0,
    });
  });
});
