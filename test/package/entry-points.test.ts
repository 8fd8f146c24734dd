import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "../support/root.ts";

it("Each connector's folder has an entry point in the exports of package.json", () => {
  const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, unknown>>;
  };
  const folders = readdirSync(join(ROOT, "shared/connectors")).filter((name) => name !== "kit");
  expect(folders.length).toBeGreaterThan(9);
  for (const name of folders)
    expect(exports).toHaveProperty([`./connectors/${name}`], {
      types: `./dist/shared/connectors/${name}/index.d.ts`,
      default: `./dist/shared/connectors/${name}/index.js`,
    });
});
