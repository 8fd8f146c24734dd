import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { ROOT } from "../support/root.ts";
import { typeCheck } from "../support/type-check.ts";

/** An example is a file of a user's project. Its first line is the name of the file. */
const EXAMPLE = /```ts\n\/\/ (\S+)\n([\s\S]*?)```/g;

/** Creates the folder of a user's project in which the package is installed. */
function project(): string {
  const folder = temporaryFolder();
  const modules = join(folder, "node_modules");
  mkdirSync(modules);
  symlinkSync(PACKAGE, join(modules, "millrace"));
  for (const name of ["apache-arrow", "vitest", "zod", "aws-cdk-lib", "constructs"])
    symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  return folder;
}

it("The tests that docs/testing.md shows pass", () => {
  const folder = project();
  const text = readFileSync(join(ROOT, "docs/testing.md"), "utf8");
  for (const [, name = "", code = ""] of text.matchAll(EXAMPLE)) writeFileSync(join(folder, name), code);
  const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
  const { status, stdout } = spawnSync(
    process.execPath,
    [vitest, "run", "--root", folder, "--testTimeout", "60000"],
    {
      cwd: folder,
      encoding: "utf8",
    },
  );
  expect(stdout).toMatch(/3 passed/);
  expect(status, stdout).toBe(0);
});

it("Each example of the documentation type-checks in strict mode in a project with the package", () => {
  const folder = project();
  const files: string[] = [];
  const pages = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"));
  for (const page of ["README.md", ...pages.map((name) => `docs/${name}`)]) {
    const text = readFileSync(join(ROOT, page), "utf8");
    const project = basename(page, ".md");
    for (const [, name = "", code = ""] of text.matchAll(EXAMPLE)) {
      mkdirSync(join(folder, project), { recursive: true });
      writeFileSync(join(folder, project, name), code);
      files.push(join(project, name));
    }
  }
  expect(files.length).toBeGreaterThan(20);
  expect(typeCheck(folder, files, ["--allowImportingTsExtensions", "--skipLibCheck"])).toBe("");
});
