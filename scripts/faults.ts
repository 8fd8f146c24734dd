import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import type { Result, Share } from "../test/faults/batch.ts";
import { type Case, runCase } from "../test/faults/cases.ts";
import { isCaseName, NAMED_CASES } from "../test/faults/named-cases.ts";
import { report } from "../test/faults/report.ts";

/**
 * `npm run test:faults [-- --seconds 480] [--seed N] [--cases N]`: runs cases of all kinds in turns
 * until the time is over or the number of cases is reached. `npm run test:faults -- --case CASE`
 * runs one case again, by its name or its JSON. test/faults/README.md describes the cases.
 */

const { values } = parseArgs({
  options: {
    seconds: { type: "string" },
    seed: { type: "string" },
    cases: { type: "string" },
    case: { type: "string" },
  },
});
const WORKERS = 2;

process.exitCode = values.case === undefined ? await runMany() : await runOne(values.case);

async function runOne(text: string): Promise<number> {
  const test = isCaseName(text) ? NAMED_CASES[text] : (JSON.parse(text) as Case);
  const violations = await runCase(test);
  for (const what of violations) console.error(`✗ ${what}`);
  if (violations.length === 0) console.log("✓ nothing was broken");
  return violations.length === 0 ? 0 : 1;
}

async function runMany(): Promise<number> {
  const limit = numberOf(values.cases, Number.MAX_SAFE_INTEGER);
  // With `--cases`, the run has no time limit by default.
  const seconds = numberOf(values.seconds, values.cases === undefined ? 480 : Number.MAX_SAFE_INTEGER);
  const seed = numberOf(values.seed, Date.now() % 1_000_000);
  const next = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  console.log(`seed ${seed}`);
  const startedAt = performance.now();
  const results = await Promise.all(
    Array.from({ length: WORKERS }, () => work({ seed, seconds, limit, next })),
  );
  const { lines, problems } = report(results);
  for (const line of lines) console.log(line);
  console.log(`${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
  for (const problem of problems) console.error(`✗ ${problem}`);
  return problems.length === 0 ? 0 : 1;
}

function work(workerData: Share): Promise<Result> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("../test/faults/batch.ts", import.meta.url), { workerData });
    worker.once("message", resolve).once("error", reject);
    worker.once("exit", () => reject(new Error("a worker ended without a result: a case never ends")));
  });
}

function numberOf(text: string | undefined, otherwise: number): number {
  const number = text === undefined ? otherwise : Number(text);
  if (!(number >= 0)) throw new Error(`"${text}" is not a number`);
  return number;
}
