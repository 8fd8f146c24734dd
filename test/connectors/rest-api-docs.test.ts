import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { ROOT } from "../support/process.ts";

it("docs/rest-api.md has pipelines that type-check in strict mode", () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(ROOT, join(folder, "node_modules/millrace"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  const page = readFileSync(join(ROOT, "docs/rest-api.md"), "utf8");
  const files = [...page.matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g)].map(([, name = "", code = ""]) => {
    writeFileSync(join(folder, name), code);
    return name;
  });
  expect(files).toEqual(["earthquakes.ts", "january.ts", "deliver.ts"]);
  const flags = [
    "--noEmit",
    "--strict",
    "--exactOptionalPropertyTypes",
    "--skipLibCheck",
    "--module",
    "nodenext",
  ];
  const types = ["--target", "es2024", "--types", "node", "--typeRoots", join(ROOT, "node_modules/@types")];
  const tsc = spawnSync(
    process.execPath,
    [join(ROOT, "node_modules/typescript/bin/tsc"), ...flags, ...types, ...files],
    { cwd: folder, encoding: "utf8" },
  );
  expect(tsc.stdout).toBe("");
  expect(tsc.status).toBe(0);
});
