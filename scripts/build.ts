import { spawnSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync } from "node:fs";

// The build goes to a folder of its own first, so that a build that fails, or a pipeline that is
// running, finds dist whole.
const next = `.cache/dist-${process.pid}`;
mkdirSync(".cache", { recursive: true });
const { status } = spawnSync(
  process.execPath,
  ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", "--outDir", next],
  { stdio: "inherit" },
);
if (status === 0) {
  rmSync("dist", { recursive: true, force: true });
  renameSync(next, "dist");
} else {
  rmSync(next, { recursive: true, force: true });
  process.exitCode = status ?? 1;
}
