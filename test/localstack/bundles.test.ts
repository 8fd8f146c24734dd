import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { deployed } from "./deployed.ts";
import { variables } from "./handlers.ts";

/**
 * Tests of the bundles that the construct makes of the example's functions. They run outside of the
 * project, so that a module that is not in the bundle is missing, as on Lambda.
 */

const MAX_BYTES = 1.4 * 1024 * 1024;
let assembly: string;

beforeAll(async () => {
  ({ assembly } = await deployed("MillraceExample"));
});

/** Returns the path of a function's bundle. The function's name ends with `step`. */
function bundleOf(step: string): string {
  const template = readFileSync(join(assembly, "MillraceExample.template.json"), "utf8");
  const { Resources } = JSON.parse(template) as {
    Resources: Record<string, { Properties?: { FunctionName?: unknown }; Metadata?: Record<string, string> }>;
  };
  const found = Object.values(Resources).find(({ Properties }) =>
    // A version of a function names it by a reference.
    String(Properties?.FunctionName).endsWith(`-${step}`),
  );
  return join(assembly, found?.Metadata?.["aws:asset:path"] ?? "missing", "index.mjs");
}

describe("the bundles of the functions", () => {
  it.each(["Plan", "Write", "Finalize", "Vacuum"])(
    "The bundle of %s is small and loads with no file beside it",
    (step) => {
      const file = bundleOf(step);
      const { size } = statSync(file);
      const script = `
      const startedAt = performance.now();
      const { handler } = await import(${JSON.stringify(file)});
      console.log(JSON.stringify({ handler: typeof handler, milliseconds: performance.now() - startedAt }));`;
      const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
        encoding: "utf8",
        cwd: assembly,
        env: { ...process.env, ...variables("table", "bucket"), NODE_PATH: "" },
      });
      expect(stderr).toBe("");
      const { handler, milliseconds } = JSON.parse(stdout) as { handler: string; milliseconds: number };
      expect(handler).toBe("function");
      expect(size).toBeLessThan(MAX_BYTES);
      console.log(`${step}: ${Math.round(size / 1024)} KiB, loaded in ${Math.round(milliseconds)} ms`);
    },
  );
});
