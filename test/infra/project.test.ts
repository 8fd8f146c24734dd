import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

let project: string;

/**
 * Creates a project outside of the repository and links the package into it, like `npm install
 * ../millrace`.
 */
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "millrace-project-"));
  mkdirSync(join(project, "node_modules"));
  for (const [name, place] of [
    ["millrace", "."],
    ["aws-cdk-lib", "node_modules/aws-cdk-lib"],
  ] as const)
    symlinkSync(resolve(place), join(project, "node_modules", name));
  writeFileSync(join(project, "package.json"), '{ "type": "module" }');
  writeFileSync(
    join(project, "app.ts"),
    `import { App, Stack } from "aws-cdk-lib";
     import { MicroBatchPipeline } from ${JSON.stringify(resolve("infra/index.ts"))};
     const app = new App({ outdir: "out", context: { "aws:cdk:bundling-stacks": [] } });
     new MicroBatchPipeline(new Stack(app, "Shop"), "Orders", { entry: "pipeline.ts", pipelineName: "orders" });
     app.synth();`,
  );
});

afterEach(() => rmSync(project, { recursive: true }));

it.each([
  ["with a lock file", "package-lock.json"],
  ["without one", undefined],
])("The package can be linked into a project, %s", (_name, lockFile) => {
  if (lockFile !== undefined) writeFileSync(join(project, lockFile), "{}");
  const { stderr, status } = spawnSync(process.execPath, ["app.ts"], { cwd: project, encoding: "utf8" });
  expect(stderr).toBe("");
  expect(status).toBe(0);
});
