import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";

/**
 * `npm test`: all checks of the project. `npm run test:fast`, `test:processes` and `test:aws` each
 * run one lane, a part of the checks. The last line is `N passed, N failed`, which counts tests and
 * checks.
 */

type Lane = "fast" | "processes" | "aws";

interface Check {
  readonly lane: Lane;
  readonly name: string;
  /** Path of a script, and its arguments. */
  readonly args: readonly string[];
  /**
   * File to which a test runner writes its counts. A check without such a file counts as one test.
   */
  readonly results?: string;
}

const tool = (path: string, ...args: string[]): string[] => [`node_modules/${path}`, ...args];

const CHECKS: readonly Check[] = [
  // The build comes first, because examples and pipelines of the tests import "millrace", whose
  // types are in dist.
  { lane: "fast", name: "build", args: ["scripts/build.ts"] },
  { lane: "fast", name: "format, lint, promises, borders, words and clones", args: ["scripts/check.ts"] },
  { lane: "fast", name: "types", args: tool("typescript/bin/tsc", "--noEmit") },
  { lane: "fast", name: "public API", args: ["scripts/api-report.ts"] },
  vitest("fast", "tests in memory"),
  vitest("processes", "tests that start processes"),
  { lane: "processes", name: "faults, for a minute", args: ["scripts/faults.ts", "--seconds", "60"] },
  {
    lane: "processes",
    name: "all interleavings, a bounded part",
    args: ["scripts/exhaustive.ts", "--bounded"],
  },
  { lane: "processes", name: "mutations of the protocol's rules", args: ["scripts/mutations.ts"] },
  {
    lane: "processes",
    name: "mutations of the Iceberg sink's rules",
    args: ["scripts/iceberg-mutations.ts"],
  },
  {
    lane: "aws",
    name: "tests on LocalStack",
    args: ["scripts/localstack.ts"],
    results: ".cache/vitest-localstack.json",
  },
];

let passed = 0;
let failed = 0;

const lane = process.argv[2];
if (lane !== undefined && !CHECKS.some((check) => check.lane === lane)) {
  console.error(`there is no lane "${lane}": fast, processes, aws, or none for all`);
  process.exit(2);
}
for (const check of CHECKS) if (lane === undefined || check.lane === lane) run(check);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function vitest(lane: "fast" | "processes", name: string): Check {
  const results = `.cache/vitest-${lane}.json`;
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${results}`];
  return { lane, name, results, args: tool("vitest/vitest.mjs", "run", "--project", lane, ...reporters) };
}

function run({ name, args, results }: Check): void {
  console.log(`\n— ${name}`);
  if (results !== undefined) rmSync(results, { force: true });
  const startedAt = performance.now();
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  if (results !== undefined) countTests(status, results);
  else if (status === 0) passed++;
  else failed++;
  if (status !== 0) console.error(`✗ ${name} failed`);
  console.log(`(${name}: ${((performance.now() - startedAt) / 1000).toFixed(0)} s)`);
}

/**
 * Adds the tests of a suite to the totals. A suite that cannot run here and exits with 0 adds no
 * test.
 */
function countTests(status: number | null, results: string): void {
  const { numPassedTests, numFailedTests, numPendingTests } = readResults(results);
  passed += numPassedTests;
  failed += numFailedTests;
  // If a test file cannot be loaded, the runner fails without a failed test.
  if (status !== 0 && numFailedTests === 0) failed++;
  if (numPendingTests === 0) return;
  console.error(`${numPendingTests} tests were skipped: the reasons are above`);
  // In CI each suite must run.
  if (process.env["CI"]) failed++;
}

interface Results {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
}

function readResults(path: string): Results {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Results;
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0 };
  }
}
