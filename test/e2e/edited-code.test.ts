import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { killTree, millrace, type Running, startMillrace } from "../support/process.ts";

/**
 * Each row has the versions of the code that planned it and of the code that read it: of the
 * entry, and of an imported file, a JSON file, two CommonJS files and a file that is imported late.
 */
const FILES = {
  "pipeline.ts": `
import { createRequire } from "node:module";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { DataSource, DataSourceStreamReader, pipeline } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";
import json from "./data.json" with { type: "json" };
import cjs from "./common.cjs";
import { version as imported } from "./imported.js";
const required = createRequire(import.meta.url)("./required.cjs").version;
const file = (name: string) => new URL(name, import.meta.url);
const loaded = { entry: "VERSION", imported, json: json.version, cjs: cjs.version, inner: cjs.inner, required };
type Part = { n: number; planner: string };
class Reader extends DataSourceStreamReader<{ n: number }, Part> {
  override initialOffset() { return { n: 0 }; }
  override latestOffset() { return { n: Number(readFileSync(file("count"), "utf8")) }; }
  override async partitions(start: { n: number }, end: { n: number }) {
    const planner = JSON.stringify(loaded);
    return Array.from({ length: end.n - start.n }, (_, i) => ({ n: start.n + i, planner }));
  }
  override async *read({ n, planner }: Part) {
    if (existsSync(file("die"))) { rmSync(file("die")); process.exit(3); }
    const { version } = await import("./late.ts");
    yield { n, planner, reader: JSON.stringify(loaded), late: version };
  }
}
class Source extends DataSource {
  override schema = () => "n bigint NOT NULL, planner string, reader string, late string";
  override streamReader = () => new Reader();
}
export default pipeline("edited").readStream.format(Source).writeStream.format(ArrowTable);
`,
  "imported.ts": `export const version: string = "VERSION";`,
  "late.ts": `export const version: string = "VERSION";`,
  "data.json": `{ "version": "VERSION" }`,
  "common.cjs": `module.exports = { version: "VERSION", inner: require("./inner.cjs").version };`,
  "inner.cjs": `module.exports = { version: "VERSION" };`,
  "required.cjs": `exports.version = "VERSION";`,
} as const;

function newProject() {
  const folder = temporaryFolder();
  const home = join(folder, ".millrace");
  const write = (name: string, text: string) => {
    // A run must not read half of a file.
    writeFileSync(join(folder, "draft"), text);
    renameSync(join(folder, "draft"), join(folder, name));
  };
  write("package.json", '{ "type": "module" }');
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(PACKAGE, join(folder, "node_modules/millrace"));
  const deploy = (version: string) => {
    for (const [name, text] of Object.entries(FILES)) write(name, text.replaceAll("VERSION", version));
  };
  deploy("old");
  write("count", "2");
  const args = ["run", "pipeline.ts", "--max-concurrency", "1"];
  return {
    folder,
    home,
    write,
    deploy,
    remove: () => {
      for (const name of Object.keys(FILES)) rmSync(join(folder, name));
    },
    run: (...flags: string[]) => millrace([...args, ...flags], {}, folder),
    start: (...flags: string[]) => {
      const running = startMillrace([...args, "--every", "100ms", ...flags], {}, folder);
      onTestFinished(() => killTree(running.process));
      return running;
    },
    rows: async () => {
      const { stdout } = await millrace(["cat", "edited", "--json"], {}, folder);
      return stdout
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, string>);
    },
  };
}

type Project = ReturnType<typeof newProject>;

/** Waits until a run has printed `text` to stderr. */
async function printed(running: Running, text: string): Promise<void> {
  for (let i = 0; i < 1500 && !running.stderr().includes(text); i++) await setTimeout(20);
  expect(running.stderr()).toContain(text);
}

/** The versions that all parts of the code have. */
const codeOf = (version: string) =>
  JSON.stringify({
    entry: version,
    imported: version,
    json: version,
    cjs: version,
    inner: version,
    required: version,
  });

describe("a run whose files are changed under it", () => {
  it.each([
    ["edited", (project: Project) => project.deploy("new")],
    ["removed", (project: Project) => project.remove()],
  ])(
    "A run whose files are %s goes on with the code that it began with, and says so once",
    async (_, change) => {
      const project = newProject();
      const running = project.start();
      await printed(running, "batch 0 committed");
      change(project);
      project.write("die", "");
      project.write("count", "4");
      await printed(running, "batch 1 committed");
      project.write("count", "5");
      await printed(running, "batch 2 committed");
      running.process.kill("SIGINT");
      const { stderr } = await running.ended;
      expect(stderr.match(/warning CODE_CHANGED/g), stderr).toHaveLength(1);
      expect(stderr).toContain("retry in");
      const versions = { planner: codeOf("old"), reader: codeOf("old"), late: "old" };
      expect(await project.rows()).toEqual([0, 1, 2, 3, 4].map((n) => ({ n, ...versions })));
      expect(readdirSync(join(project.home, ".code"))).toEqual([]);
    },
  );

  it("A run whose files were only touched says nothing", async () => {
    const project = newProject();
    const running = project.start();
    await printed(running, "batch 0 committed");
    project.deploy("old");
    project.write("count", "4");
    await printed(running, "batch 1 committed");
    running.process.kill("SIGINT");
    expect((await running.ended).stderr).not.toContain("CODE_CHANGED");
  });

  it("Tasks of a run whose files are edited before its first task read with the code that planned", async () => {
    const project = newProject();
    project.write("count", "0");
    const running = project.start();
    await printed(running, "nothing new");
    project.deploy("new");
    project.write("count", "1");
    await printed(running, "batch 0 committed");
    running.process.kill("SIGINT");
    await running.ended;
    // The file that is imported late was never loaded before.
    const versions = { planner: codeOf("old"), reader: codeOf("old"), late: "new" };
    expect(await project.rows()).toEqual([{ n: 0, ...versions }]);
  });

  it("A file that is edited before it is first imported is named in a warning", async () => {
    const project = newProject();
    project.write("count", "0");
    const running = project.start();
    await printed(running, "nothing new");
    project.write("late.ts", FILES["late.ts"].replace("VERSION", "new"));
    project.write("count", "1");
    await printed(running, "batch 0 committed");
    await printed(running, "warning CODE_CHANGED: late.ts was edited since this run began");
    running.process.kill("SIGINT");
    await running.ended;
  });

  it("A package that is replaced while a run uses it is named in a warning", async () => {
    const project = newProject();
    const install = (version: string) =>
      project.write(
        "node_modules/words/package.json",
        `{ "version": "${version}", "exports": "./index.js" }`,
      );
    mkdirSync(join(project.folder, "node_modules/words"));
    install("1.0.0");
    project.write("node_modules/words/index.js", "");
    project.write("imported.ts", `import "words"; ${FILES["imported.ts"]}`);
    const running = project.start();
    await printed(running, "batch 0 committed");
    install("1.0.1");
    await printed(running, "warning CODE_CHANGED: node_modules/words/package.json is of another version");
    running.process.kill("SIGINT");
    await running.ended;
  });

  it("A run that was killed leaves code behind, which the next run removes", async () => {
    const project = newProject();
    const running = project.start();
    await printed(running, "batch 0 committed");
    killTree(running.process);
    await running.ended;
    expect(readdirSync(join(project.home, ".code"))).toHaveLength(1);
    project.deploy("new");
    project.write("count", "3");
    const { code, stderr } = await project.run();
    expect(code, stderr).toBe(0);
    expect(stderr).not.toContain("CODE_CHANGED");
    expect(readdirSync(join(project.home, ".code"))).toEqual([]);
    const last = { planner: codeOf("new"), reader: codeOf("new"), late: "new" };
    expect((await project.rows())[2]).toEqual({ n: 2, ...last });
  });
});
