import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";

// Files that no longer have a source must not stay in the package.
rmSync("dist", { recursive: true, force: true });
const { status } = spawnSync(
  process.execPath,
  ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"],
  { stdio: "inherit" },
);
process.exitCode = status ?? 1;
