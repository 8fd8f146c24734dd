import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import type { Result, Share } from "../test/faults/batch.ts";

/**
 * `npm run test:faults [-- --seconds 480] [--seed N]`: tries every fault at every call of a run,
 * pairs of faults, zombies, interleavings and longer sequences. docs/protocol.md lists the
 * invariants.
 */

const { values } = parseArgs({ options: { seconds: { type: "string" }, seed: { type: "string" } } });
const seconds = Number(values.seconds ?? 480);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const WORKERS = 2;
const MAX_SHOWN = 10;

function share(index: number): Promise<Result> {
  const workerData: Share = { index, workers: WORKERS, seconds, seed, maxFailures: 1000 };
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("../test/faults/batch.ts", import.meta.url), { workerData });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

const startedAt = performance.now();
const results = await Promise.all(Array.from({ length: WORKERS }, (_, index) => share(index)));
const sum = (of: "cases" | "failed", kind: string) =>
  results.reduce((total, result) => total + (result[of][kind] ?? 0), 0);
const kinds = [...new Set(results.flatMap((result) => Object.keys(result.cases)))];
const total = (of: "cases" | "failed") => kinds.reduce((all, kind) => all + sum(of, kind), 0);

console.log(`seed ${seed}`);
console.log(`fault points ${results[0]?.calls}`);
for (const kind of kinds)
  console.log(
    `${kind.padEnd(12)} ${String(sum("cases", kind)).padStart(8)} cases, ${sum("failed", kind)} failed`,
  );
for (const { test, violations } of results.flatMap((result) => result.failures).slice(0, MAX_SHOWN))
  console.error(`✗ ${violations.join("; ")}\n  ${JSON.stringify(test)}`);
const took = ((performance.now() - startedAt) / 1000).toFixed(0);
console.log(`${total("cases")} cases, ${total("failed")} failed, ${took} s`);
process.exitCode = total("failed") === 0 ? 0 : 1;
