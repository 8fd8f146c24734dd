import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";

/**
 * `npm test`: runs every check of the project. The last line is `N passed, N failed`, which counts
 * tests and checks.
 */

/** The file into which vitest writes its counts. */
const RESULTS = ".cache/vitest.json";
const LOCALSTACK_RESULTS = ".cache/vitest-localstack.json";
const tool = (path: string, ...args: string[]): string[] => [`node_modules/${path}`, ...args];
const CHECKS: readonly (readonly [string, readonly string[]])[] = [
  ["build", ["scripts/build.ts"]],
  ["format, lint, promises, borders and clones", ["scripts/check.ts"]],
  ["types", tool("typescript/bin/tsc", "--noEmit")],
  ["public API", ["scripts/api-report.ts"]],
  ["Python for the independent reader", ["scripts/setup-python.ts"]],
  ["PostgreSQL for the tests of its connector", ["scripts/postgres.ts"]],
];

let passed = 0;
let failed = 0;

for (const [name, args] of CHECKS) check(name, args);

console.log("\n— tests");
const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${RESULTS}`];
runTests(tool("vitest/vitest.mjs", "run", ...reporters), RESULTS);

console.log("\n— tests on LocalStack");
runTests(["scripts/localstack.ts"], LOCALSTACK_RESULTS);

check("faults, for a minute", ["scripts/faults.ts", "--seconds", "60"]);
check("mutations of the protocol's rules", ["scripts/mutations.ts"]);

console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function check(name: string, args: readonly string[]): void {
  console.log(`\n— ${name}`);
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  if (status === 0) passed++;
  else {
    failed++;
    console.error(`✗ ${name} failed`);
  }
}

/**
 * Runs a suite and counts its tests. A suite that says that it cannot run here, and ends with 0,
 * adds none.
 */
function runTests(args: readonly string[], results: string): void {
  rmSync(results, { force: true });
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  const { numPassedTests, numFailedTests, numPendingTests } = readResults(results);
  passed += numPassedTests;
  failed += numFailedTests;
  // A file that cannot be loaded has no test that could fail.
  if (status !== 0 && numFailedTests === 0) failed++;
  if (numPendingTests === 0) return;
  console.error(`${numPendingTests} tests were skipped: the reasons are above`);
  // In CI each suite must run.
  if (process.env["CI"]) failed++;
}

function readResults(path: string): {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
} {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ReturnType<typeof readResults>;
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0 };
  }
}
