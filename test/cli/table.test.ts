import { globSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { millrace } from "../support/process.ts";

const PIPELINE = [
  'import { pipeline } from "millrace";',
  'import { Events } from "millrace/connectors/events";',
  'import { Iceberg } from "millrace/connectors/iceberg";',
  'export default pipeline("clicks").read.format(Events)',
  '  .options({ start: "2026-01-01T00:00:00Z", until: "2026-01-01T00:00:03Z", eventsPerSecond: 1 })',
  '  .write.format(Iceberg).options({ table: "web.clicks", partitionBy: ["day(time)"] }).mode("append");',
];

/** A folder in which a pipeline has written the same rows `runs` times. */
async function project(runs: number) {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(PACKAGE, join(folder, "node_modules/millrace"));
  writeFileSync(join(folder, "clicks.ts"), PIPELINE.join("\n"));
  const command = async (...args: readonly string[]) => await millrace(args, {}, folder);
  const lines = async (...args: readonly string[]): Promise<Record<string, unknown>[]> => {
    const { code, stdout, stderr } = await command(...args, "--json");
    expect(code, stderr).toBe(0);
    return stdout
      .trim()
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  for (let i = 0; i < runs; i++) {
    const { code, stderr } = await command("run", "clicks.ts");
    expect(code, stderr).toBe(0);
  }
  return { folder, command, lines };
}

describe("millrace table", () => {
  it("The commands for an Iceberg table find it by pipeline, file, name and metadata file", async () => {
    const { command, lines } = await project(2);
    const history = await lines("table", "history", "clicks");
    expect(history).toMatchObject([
      { operation: "append", addedRows: 3, totalRows: 3, batch: { pipeline: "clicks", batchId: 0 } },
      { operation: "append", addedRows: 3, totalRows: 6, engine: "millrace", refs: ["main"] },
    ]);
    expect(await lines("table", "history", "web.clicks")).toEqual(history);
    expect(await lines("table", "history", "clicks.ts")).toEqual(history);
    const [path] = await lines("table", "path", "clicks");
    const metadata = String(path?.["metadata"]);
    expect(metadata).toMatch(/\/\.millrace\/warehouse\/web\/clicks\/metadata\/.*\.metadata\.json$/);
    expect(path?.["duckdb"]).toContain(`iceberg_scan('${metadata}')`);
    expect(await lines("table", "history", metadata)).toEqual(history);
    const rows = await lines("cat", "clicks");
    expect(rows).toHaveLength(6);
    for (const name of ["web.clicks", metadata]) expect(await lines("cat", name)).toEqual(rows);
    expect(await lines("cat", "clicks", "--snapshot", String(history[0]?.["id"]))).toEqual(rows.slice(0, 3));
    const files = await lines("table", "files", "clicks", "--columns", "time");
    expect(files).toHaveLength(2);
    const instant = expect.stringMatching(/^2026-01-01T00:00:0[0-2]\.\d+Z$/) as string;
    expect(files[0]).toMatchObject({
      content: "data",
      rows: 3,
      partition: { time_day: "2026-01-01" },
      bounds: { time: { lower: instant, upper: instant, nulls: 0 } },
    });
    expect((await command("table", "history", "clicks")).stdout).toMatch(/append +\+3 +6 +clicks batch 1$/m);
    expect((await command("table", "snapshots", "clicks")).stdout).toMatch(/main$/m);
    expect((await command("table", "files", "clicks")).stdout).toMatch(/^2 files, 6 rows, /m);
    const missing = await command("table", "path", "web.click");
    expect(missing).toMatchObject({ code: 2 });
    expect(missing.stderr).toContain("TABLE_NOT_FOUND");
    const changed = await command("table", "rollback", metadata, "--to-snapshot", "1", "--yes");
    expect(changed).toMatchObject({ code: 2 });
    expect(changed.stderr).toContain("is a metadata file, which never changes");
  });

  it("An expiry and a rollback change nothing without a yes, and pipelines go on after them", async () => {
    const { command, lines } = await project(3);
    const expire = ["table", "expire", "clicks", "--older-than", "0s", "--keep", "2"];
    const preview = await command(...expire);
    expect(preview).toMatchObject({ code: 0 });
    expect(preview.stdout).toMatch(/snapshots 1 expire, from .*; 2 stay$/m);
    expect(preview.stderr).toContain("--yes does it");
    expect(await lines("table", "snapshots", "clicks")).toHaveLength(3);
    expect(await lines(...expire)).toMatchObject([{ dryRun: true, files: { manifestLists: 1, data: 0 } }]);
    const done = await lines(...expire, "--yes");
    expect(done).toMatchObject([{ dryRun: false, files: { manifestLists: 1 }, kept: 2 }]);
    const [first, second] = await lines("table", "snapshots", "clicks");
    expect(await lines("cat", "clicks")).toHaveLength(9);
    const rollback = ["table", "rollback", "clicks", "--to-snapshot", String(first?.["id"])];
    expect(await command(...rollback)).toMatchObject({ code: 2 });
    const shown = await command(...rollback, "--dry-run");
    expect(shown.stdout).toMatch(/no longer seen .*clicks batch 2$/m);
    expect(await lines("cat", "clicks")).toHaveLength(9);
    expect(await lines(...rollback, "--yes")).toMatchObject([
      { hidden: [{ id: second?.["id"] }], dryRun: false },
    ]);
    expect(await lines("cat", "clicks")).toHaveLength(6);
    expect(await command("run", "clicks.ts")).toMatchObject({ code: 0 });
    expect(await lines("cat", "clicks")).toHaveLength(9);
    const usage = await command("table", "rollback", "clicks", "--to-timestamp", "2026-01-01");
    expect(usage).toMatchObject({ code: 2 });
    expect(usage.stderr).toContain("a time with its zone");
  });
});

it("The command `table files` lists the files of an Arrow table, and not those that were replaced", async () => {
  const { folder, command, lines } = await project(0);
  const arrow = PIPELINE.join("\n")
    .replaceAll("iceberg", "arrow-table")
    .replaceAll("Iceberg", "ArrowTable")
    .replace('table: "web.clicks", partitionBy: ["day(time)"]', 'partitionBy: ["kind"]')
    .replace('"append"', '"overwrite"');
  writeFileSync(join(folder, "clicks.ts"), arrow);
  for (let run = 0; run < 2; run++) expect((await command("run", "clicks.ts")).code).toBe(0);
  const table = join(folder, ".millrace/clicks/table");
  const files = await lines("table", "files", "clicks");
  const written = globSync("data/**/*.arrow", { cwd: table });
  expect(written.length).toBe(2 * files.length);
  expect(files).toEqual(
    files.map(({ path, partition, rows }) => ({
      ...{ content: "data", format: "arrow", path, partition, rows },
      bytes: statSync(String(path)).size,
    })),
  );
  expect(files[0]).toMatchObject({
    path: expect.stringContaining(`${table}/data/clicks/`) as string,
    partition: { kind: expect.any(String) as string },
  });
  expect(await lines("table", "files", table)).toEqual(files);
  expect((await command("table", "files", "clicks")).stdout).toMatch(/^data +kind=view +\d /m);
  const refused = await command("table", "files", "clicks", "--snapshot", "1");
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("is an Arrow table") as string });
});
