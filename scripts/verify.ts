import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";

/** `npm test`: every check of the project. Closes with the line `N passed, N failed`, which counts tests and checks. */

const RESULTS = ".cache/vitest.json";
const tool = (path: string, ...args: string[]): string[] => [`node_modules/${path}`, ...args];
const CHECKS: readonly (readonly [string, readonly string[]])[] = [
  ["build", ["scripts/build.ts"]],
  [
    "format, lint and borders between folders",
    tool("@biomejs/biome/bin/biome", "check", "--error-on-warnings", "."),
  ],
  ["types", tool("typescript/bin/tsc", "--noEmit")],
  ["public API", ["scripts/api-report.ts"]],
  ["Python for the independent reader", ["scripts/setup-python.ts"]],
];

let passed = 0;
let failed = 0;

for (const [name, args] of CHECKS) {
  console.log(`\n— ${name}`);
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  if (status === 0) passed++;
  else {
    failed++;
    console.error(`✗ ${name} failed`);
  }
}

console.log("\n— tests");
rmSync(RESULTS, { force: true });
const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${RESULTS}`];
const { status } = spawnSync(process.execPath, tool("vitest/vitest.mjs", "run", ...reporters), {
  stdio: "inherit",
});
const results = readResults();
passed += results.numPassedTests;
failed += results.numFailedTests;
// A file that cannot be loaded has no test that could fail.
if ((status !== 0 || results.numPassedTests === 0) && results.numFailedTests === 0) failed++;
if (results.numPendingTests > 0) {
  console.error(`${results.numPendingTests} tests were skipped: the reasons are above`);
  if (process.env["CI"]) failed++;
}

console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function readResults(): { numPassedTests: number; numFailedTests: number; numPendingTests: number } {
  try {
    return JSON.parse(readFileSync(RESULTS, "utf8")) as ReturnType<typeof readResults>;
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0 };
  }
}
