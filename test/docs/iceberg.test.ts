import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type Feed, startFeed } from "../../examples/earthquakes/feed.ts";
import { startMiniStack } from "../iceberg/support/servers.ts";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { hasPython } from "../support/python.ts";
import { ROOT } from "../support/root.ts";
import { UserFolder } from "../support/shell.ts";

const PAGE = readFileSync(join(ROOT, "docs/iceberg.md"), "utf8");
const FEED = "https://earthquake.usgs.gov/fdsnws/event/1/query";

let feed: Feed;
beforeAll(async () => {
  feed = await startFeed();
});
afterAll(() => feed.close());

/** A user's folder with the files that the page shows. */
function folder(): UserFolder {
  const user = new UserFolder(temporaryFolder());
  for (const [, name = "", code = ""] of PAGE.matchAll(/```(?:ts|python)\n(?:\/\/|#) (\S+)\n([\s\S]*?)```/g))
    writeFileSync(join(user.path, name), code.replace(FEED, feed.url));
  return user;
}

/** Returns the commands that the page shows below a heading. */
function commandsOf(heading: string): string {
  const section = PAGE.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const commands = [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
  if (commands.length === 0) throw new Error(`the page has no commands below "${heading}"`);
  return commands.join("\n");
}

const QUICK = commandsOf("From nothing to a query in two minutes");

describe.skipIf(!hasPython)("the commands of docs/iceberg.md", () => {
  it("From nothing, a few commands make a table that DuckDB and pyiceberg query", async () => {
    const output = await folder().run(QUICK);
    expect(output).toContain("batch 0 committed: 85 rows");
    expect(output).toMatch(/22km NNE of Hualian, Taiwan +│ +6\.4/);
    expect(output).toMatch(/\n\d+ of 85\n/);
  });

  it("A SQL catalog opened by another name is empty, as the page warns", async () => {
    const user = folder();
    await user.run(QUICK);
    expect(await user.run(commandsOf("Catalogs"))).toBe("[('demo', 'earthquakes')]\n[]\n");
  });

  it("A table evolves with the rows, and its earlier rows have nulls", async () => {
    const output = await folder().run(commandsOf("Schema changes"));
    const rows = output.split("\n").filter((line) => line.startsWith("{"));
    expect(rows.map((row) => JSON.parse(row) as unknown)).toEqual([
      { id: 1, place: { x: 1.5, y: null }, tags: null },
      { id: 1099511627776, place: { x: 1.5, y: 2.5 }, tags: ["a"] },
    ]);
  });

  it("A batch that is replayed after its snapshot expired adds nothing", async () => {
    const user = folder();
    const output = await user.run(commandsOf("Exactly once"));
    expect(output.match(/batch 0 committed: 3 rows/g)).toHaveLength(3);
    const rows = await user.run("npx millrace cat demo.proof --json");
    const ids = rows.match(/"id":\d/g) ?? [];
    expect(ids.sort()).toEqual(['"id":1', '"id":1', '"id":2', '"id":2', '"id":3', '"id":3']);
  });

  it("The commands that keep a table small run as they are shown", async () => {
    const user = folder();
    await user.run(QUICK);
    const output = await user.run(commandsOf("Keeping a table small"));
    expect(output).toMatch(/append +\+85 +85 +7 +quakes batch 0/);
    expect(output).toContain("4.5 … 6.4");
    expect(output).toContain("7 files, 85 rows");
    expect(output).toContain("demo.earthquakes: nothing is old enough to expire");
  });

  it("A table is divided by day, and a pipeline reads it back", async () => {
    const user = folder();
    const once = await user.run("npx millrace run partitioned.ts --once");
    expect(once).toContain("committed");
    expect(await user.run("npx millrace table files partitioned")).toMatch(/time_day=\d{4}-\d\d-\d\d/);
    const [, rows = ""] = /committed: ([\d,]+) rows/.exec(once) ?? [];
    expect(await user.run("npx millrace run copy.ts")).toContain(`committed: ${rows} rows`);
  });

  it("The commands that npm start -- --iceberg prints read its table as they are printed", async () => {
    const user = folder();
    const home = join(user.path, "my home");
    const start = join(PACKAGE, "examples/earthquakes/start.ts");
    const output = await user.run(`'${process.execPath}' '${start}' --iceberg --home '${home}'`);
    expect(output).toContain("earthquakes-iceberg: idle");
    const commands = output.split("in other programs:\n")[1] ?? "";
    const read = await user.run(commands);
    expect(read).toMatch(/22km NNE of Hualian, Taiwan +│ +6\.4/);
    expect(read).toContain("time: timestamp[us, tz=UTC] not null");
  });

  it("The same pipeline writes to S3 Tables, as an emulator has them", async () => {
    const server = await startMiniStack();
    onTestFinished(() => server.stop());
    const url = `http://127.0.0.1:${server.port}`;
    const credential = "Credential=test/20260101/us-east-1/s3tables/aws4_request";
    const made = await fetch(`${url}/buckets`, {
      method: "PUT",
      headers: { authorization: `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=host, Signature=0` },
      body: JSON.stringify({ name: "lake" }),
    });
    const { arn } = (await made.json()) as { arn: string };
    const user = folder();
    const file = join(user.path, "lake.ts");
    const shown = readFileSync(file, "utf8");
    const local = shown.replace(/"arn:[^"]+"/, `"${arn}",\n      uri: "${url}/iceberg"`);
    writeFileSync(file, local.replace("eventsPerSecond", 'until: "2026-11-20T01:00:00Z", eventsPerSecond'));
    const aws = `export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_ENDPOINT_URL_S3=${url}`;
    const output = await user.run(`${aws}\nnpx millrace run lake.ts\nnpx millrace table snapshots lake`);
    expect(output).toMatch(/append +\+360 +360 +1 +lake batch 0/);
  });
});
