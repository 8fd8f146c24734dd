import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";

/** `npm test`: every check of the project. Closes with the line `N passed, N failed`, which counts tests and checks. */

/** Where vitest tells what it counted. */
const RESULTS = ".cache/vitest.json";
const LOCALSTACK_RESULTS = ".cache/vitest-localstack.json";
const LOCALSTACK_LOG = ".cache/vitest-localstack.log";
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
  ["PostgreSQL for the tests of its connector", ["scripts/postgres.ts"]],
];

let passed = 0;
let failed = 0;

for (const [name, args] of CHECKS) check(name, args);

// LocalStack is waited for more than it computes, so both suites go side by side; what it tells comes afterwards, in one piece.
console.log("\n— tests, and beside them those on LocalStack");
rmSync(RESULTS, { force: true });
rmSync(LOCALSTACK_RESULTS, { force: true });
mkdirSync(".cache", { recursive: true });
const log = openSync(LOCALSTACK_LOG, "w");
const onLocalStack = spawn(process.execPath, ["scripts/localstack.ts"], { stdio: ["ignore", log, log] });
const localStackEnded = once(onLocalStack, "exit") as Promise<[number | null]>;
const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${RESULTS}`];
const unit = spawn(process.execPath, tool("vitest/vitest.mjs", "run", ...reporters), { stdio: "inherit" });
const [unitStatus] = (await once(unit, "exit")) as [number | null];
count(unitStatus, RESULTS);

console.log("\n— tests on LocalStack");
const [localStackStatus] = await localStackEnded;
closeSync(log);
process.stdout.write(readFileSync(LOCALSTACK_LOG));
count(localStackStatus, LOCALSTACK_RESULTS);

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

/** Counts the tests of a suite that has ended. One that says that it cannot run here, and ends well, counts for nothing. */
function count(status: number | null, results: string): void {
  const { numPassedTests, numFailedTests, numPendingTests } = readResults(results);
  passed += numPassedTests;
  failed += numFailedTests;
  // A file that cannot be loaded has no test that could fail.
  if (status !== 0 && numFailedTests === 0) failed++;
  if (numPendingTests === 0) return;
  console.error(`${numPendingTests} tests were skipped: the reasons are above`);
  // Never in CI.
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
