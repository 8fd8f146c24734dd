import { mkdirSync, renameSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import type { CodeSnapshot } from "../../local/code.ts";
import { CodeRecord, digestOf } from "../../local/code-record.ts";
import { Home } from "../../local/home.ts";
import { CODE } from "../../local/load-pipeline.ts";
import { RunCode } from "../../local/run-code.ts";
import { SharedCode } from "../../local/shared-code.ts";
import { temporaryFolder } from "../support/folder.ts";

/** Writes files and loads the first one, which imports the others. */
function loaded(folder: string, files: Readonly<Record<string, string>>, record = new CodeRecord()) {
  const [entry = "", ...others] = Object.keys(files);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const url = (name: string) => pathToFileURL(join(folder, name)).href;
  const load = (name: string, specifier: string, parentURL: string | undefined) => {
    record.resolve(specifier, { parentURL, conditions: ["import"] }, () => ({ url: url(name) }));
    record.load(url(name), () => ({ format: "module", source: files[name] ?? "" }));
  };
  load(entry, url(entry), undefined);
  for (const name of others) load(name, `./${name}`, url(entry));
  return { entry: url(entry), code: record.codeOf(url(entry)), record, url };
}

const digest = (files: Readonly<Record<string, string>>) => {
  const { entry, code } = loaded(temporaryFolder(), files);
  return digestOf(entry, code);
};

describe("the digest of a pipeline's code", () => {
  it("The digest of a pipeline's code is the same in another folder", () => {
    const files = { "pipeline.ts": "a", "lib/b.ts": "b" };
    expect(digest(files)).toBe(digest(files));
  });

  it.each([
    ["its entry", { "pipeline.ts": "x", "lib/b.ts": "b" }],
    ["an imported file", { "pipeline.ts": "a", "lib/b.ts": "x" }],
    ["the name of a file", { "pipeline.ts": "a", "lib/c.ts": "b" }],
    ["the number of its files", { "pipeline.ts": "a" }],
  ])("The digest of a pipeline's code depends on %s", (_what, files) => {
    expect(digest(files)).not.toBe(digest({ "pipeline.ts": "a", "lib/b.ts": "b" }));
  });
});

describe("a record of code", () => {
  it("A record of code has neither packages nor other pipelines in a pipeline's code", () => {
    const folder = temporaryFolder();
    const record = new CodeRecord();
    loaded(folder, { "other.ts": "" }, record);
    const { code } = loaded(
      folder,
      { "pipeline.ts": "", "node_modules/pg/index.js": "", "b.ts": "" },
      record,
    );
    expect(code.files.map(({ url }) => url.slice(url.lastIndexOf("/")))).toEqual(["/pipeline.ts", "/b.ts"]);
  });

  it("Of two threads that load a file late, the second gets what the first has loaded", () => {
    const folder = temporaryFolder();
    const shared = () => new SharedCode(join(folder, "code"));
    const first = new CodeRecord();
    const second = new CodeRecord();
    for (const record of [first, second]) record.shareWith(shared());
    loaded(folder, { "pipeline.ts": "old" }, first);
    const { code } = loaded(folder, { "pipeline.ts": "new" }, second);
    expect(code.files.map(({ source }) => source)).toEqual(["old"]);
    expect(shared().files()).toHaveLength(1);
  });
});

/** Starts a run of the code, as if the main thread had loaded it. */
function started(folder: string, code: CodeSnapshot): RunCode {
  CODE.take(code);
  return new RunCode({
    pipeline: "p",
    entry: join(folder, "pipeline.ts"),
    home: new Home(join(folder, "home")),
    runId: "run",
    startedAt: Date.now(),
  });
}

describe("the code of a run", () => {
  it("A run names a pipeline's file whose link leads to another release", () => {
    const folder = temporaryFolder();
    const { code, record, url } = loaded(folder, { "releases/1/pipeline.ts": "old" });
    writeFileSync(join(folder, "pipeline.ts"), "new");
    const entry = url("pipeline.ts");
    record.resolve(entry, { conditions: ["import"] }, () => ({ url: code.files[0]?.url ?? "" }));
    renameSync(join(folder, "pipeline.ts"), join(folder, "2.ts"));
    symlinkSync(join(folder, "releases/1/pipeline.ts"), join(folder, "pipeline.ts"));
    const run = started(folder, record.codeOf(entry));
    expect(run.changeWarning()).toBeUndefined();
    symlinkSync(join(folder, "2.ts"), join(folder, "next"));
    renameSync(join(folder, "next"), join(folder, "pipeline.ts"));
    expect(run.changeWarning()).toMatchObject({
      code: "CODE_CHANGED",
      message: expect.stringContaining("releases/1/pipeline.ts was edited") as string,
    });
    expect(run.changeWarning()).toBeUndefined();
  });

  it("A file that is only touched has not changed", () => {
    const folder = temporaryFolder();
    const run = started(folder, loaded(folder, { "pipeline.ts": "old" }).code);
    utimesSync(join(folder, "pipeline.ts"), 1, 1);
    expect(run.changeWarning()).toBeUndefined();
  });
});
