import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { millrace } from "../support/process.ts";

it("The command `cat` names the numbers that JSON does not have as Spark's to_json does", async () => {
  const home = temporaryFolder();
  const { code, stderr } = await millrace([
    "run",
    join(PACKAGE, "test/e2e/pipelines/doubles.ts"),
    "--home",
    home,
  ]);
  expect(code, stderr).toBe(0);
  expect((await millrace(["cat", "doubles", "--home", home, "--json"])).stdout).toBe(
    '{"number":"NaN","numbers":[1.5,"Infinity","-Infinity",null]}\n{"number":2,"numbers":null}\n',
  );
  const { stdout } = await millrace(["cat", "doubles", "--home", home]);
  expect(stdout).toMatch(/^NaN +\[1\.5,"Infinity","-Infinity",null\]$/m);
});

it("The command `cat` finds the table of a pipeline by name, also if its sink has a path", async () => {
  const folder = temporaryFolder();
  const lines = [
    'import { pipeline } from "millrace";',
    'import { ArrowTable } from "millrace/connectors/arrow-table";',
    'import { Events } from "millrace/connectors/events";',
    'export default pipeline("clicks").read.format(Events)',
    '  .options({ start: "2026-01-01T00:00:00Z", until: "2026-01-01T00:00:03Z", eventsPerSecond: 1 })',
    '  .write.format(ArrowTable).options({ path: "lake/clicks" }).mode("append");',
  ];
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(PACKAGE, join(folder, "node_modules/millrace"));
  writeFileSync(join(folder, "clicks.ts"), lines.join("\n"));
  expect((await millrace(["run", "clicks.ts"], {}, folder)).code).toBe(0);
  const { stdout } = await millrace(["cat", "clicks", "--json"], {}, folder);
  expect(stdout.trim().split("\n")).toHaveLength(3);
});
