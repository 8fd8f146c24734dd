import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { millrace } from "../support/process.ts";
import { ROOT } from "../support/root.ts";

const page = readFileSync(join(ROOT, "docs/files.md"), "utf8");

it("docs/files.md has pipelines that type-check in strict mode, and the first one runs", async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(PACKAGE, join(folder, "node_modules/millrace"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  const names = [...page.matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g)].map(([, name = "", code = ""]) => {
    writeFileSync(join(folder, name), code);
    return name;
  });
  expect(names).toEqual(["pipeline.ts", "batch.ts"]);
  const flags = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2024", "--skipLibCheck"];
  const types = ["--types", "node", "--typeRoots", join(ROOT, "node_modules/@types")];
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const checked = spawnSync(process.execPath, [tsc, ...flags, ...types, ...names], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(checked.stdout).toBe("");

  const landing = join(folder, "landing/orders/2026");
  mkdirSync(landing, { recursive: true });
  const csv = (name: string, lines: string) => writeFileSync(join(landing, name), `id,price,paid\n${lines}`);
  csv("a.csv", "1,12.30,2026-11-21T03:04:05Z\n");
  const run = async () => await millrace(["run", "pipeline.ts"], {}, folder);
  await new Promise((resolve) => setTimeout(resolve, 2100));
  expect((await run()).code).toBe(0);
  csv("0.csv", "2,,\n");
  await new Promise((resolve) => setTimeout(resolve, 2100));
  const { code, stderr } = await run();
  expect(code, stderr).toBe(0);
  const { stdout } = await millrace(["cat", "orders", "--json"], {}, folder);
  expect(stdout).toBe(
    '{"id":1,"price":"12.30","paid":"2026-11-21T03:04:05.000Z"}\n{"id":2,"price":null,"paid":null}\n',
  );
});
