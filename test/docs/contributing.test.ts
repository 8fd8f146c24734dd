import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { ROOT } from "../support/root.ts";

it("The connector that CONTRIBUTING.md adds has the right format, type-checks and passes its tests", () => {
  const copy = temporaryFolder();
  for (const part of ["shared", "test/support", "biome.jsonc", "package.json"])
    cpSync(join(ROOT, part), join(copy, part), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  const files = writeSnippets(copy);
  expect(files).toEqual([
    ...["options.ts", "stream-reader.ts", "index.ts"].map((name) => `shared/connectors/lines/${name}`),
    "test/connectors/lines.test.ts",
  ]);
  const { compilerOptions } = JSON.parse(readFileSync(join(ROOT, "tsconfig.json"), "utf8")) as {
    readonly compilerOptions: object;
  };
  writeFileSync(join(copy, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  expect(run(copy, "@biomejs/biome/bin/biome", "check", "--vcs-enabled=false", ...files)).toMatch(
    /^Checked 4/,
  );
  expect(run(copy, "typescript/bin/tsc", "--noEmit")).toBe("");
  const vitest = run(copy, "vitest/vitest.mjs", "run", "--root", copy, "--testTimeout", "60000");
  expect(vitest).toMatch(/3 passed/);
});

/**
 * Writes the code examples of the page to files. The first line of an example names its file.
 * Returns the names.
 */
function writeSnippets(folder: string): string[] {
  const page = readFileSync(join(ROOT, "CONTRIBUTING.md"), "utf8");
  return [...page.matchAll(/```ts\n\/\/ (\S+\/\S+\.ts)\n([\s\S]*?)```/g)].map(([, name = "", code = ""]) => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), code);
    return name;
  });
}

/** Runs a tool and returns what it prints, including its errors. */
function run(cwd: string, tool: string, ...args: string[]): string {
  const { stdout, stderr } = spawnSync(process.execPath, [join(ROOT, "node_modules", tool), ...args], {
    cwd,
    encoding: "utf8",
  });
  return stdout + stderr;
}
