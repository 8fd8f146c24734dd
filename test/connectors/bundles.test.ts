import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { ROOT } from "../support/root.ts";

const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  readonly exports: Readonly<Record<string, unknown>>;
};
const connectors = Object.keys(exports)
  .filter((name) => name.startsWith("./connectors/"))
  .map((name) => name.slice("./connectors/".length));

/** Mebibytes of a bundle that may be larger: this one can have AWS's and PostgreSQL's clients. */
const LARGER: Readonly<Record<string, number>> = { iceberg: 1.8 };

describe("the connector", () => {
  it.each(connectors)(
    "The connector %s is bundled as the construct does it and loads with no file beside it",
    async (name) => {
      const outfile = join(temporaryFolder(), "index.mjs");
      const { warnings } = await build({
        entryPoints: [join(ROOT, "shared/connectors", name, "index.ts")],
        outfile,
        bundle: true,
        platform: "node",
        format: "esm",
        mainFields: ["module", "main"],
        minify: true,
        keepNames: true,
        banner: {
          js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
        },
        logLevel: "silent",
      });
      expect(warnings).toEqual([]);
      const script = `console.log(Object.values(await import(${JSON.stringify(outfile)})).filter((it) => typeof it === "function").length)`;
      const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
        cwd: join(outfile, ".."),
        env: { ...process.env, NODE_PATH: "" },
        encoding: "utf8",
      });
      expect(stderr).toBe("");
      expect(Number(stdout)).toBeGreaterThan(0);
      // The bundle must be small, because Lambda loads it at each cold start.
      expect(statSync(outfile).size).toBeLessThan((LARGER[name] ?? 1) * 1024 * 1024);
    },
  );
});
