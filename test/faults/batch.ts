import { parentPort, workerData } from "node:worker_threads";
import { type Case, countCalls, type Kind, runCase } from "./cases.ts";
import { mixed, ROUND } from "./mix.ts";

/** The cases that all workers run together. All settings are the same for each worker. */
export interface Share {
  readonly seed: number;
  /** Seconds after which no further case begins, except the cases of the first round. */
  readonly seconds: number;
  /** Maximum number of cases. */
  readonly limit: number;
  /**
   * Index of the next case that no worker has taken, in an `Int32Array` of one element. The workers
   * share it, so together they run the first cases of the seed's list.
   */
  readonly next: SharedArrayBuffer;
}

export interface Failure {
  readonly test: Case;
  readonly violations: readonly string[];
}

export interface Result {
  /** The calls of a run without faults. */
  readonly calls: readonly string[];
  readonly cases: Readonly<Partial<Record<Kind, number>>>;
  readonly failed: Readonly<Partial<Record<Kind, number>>>;
  readonly failures: readonly Failure[];
}

export async function runShare({ seed, seconds, limit, next }: Share): Promise<Result> {
  const calls = await countCalls();
  const deadline = performance.now() + seconds * 1000;
  const cases: Partial<Record<Kind, number>> = {};
  const failed: Partial<Record<Kind, number>> = {};
  const failures: Failure[] = [];
  const taken = new Int32Array(next);
  let place = 0;
  let mine = Atomics.add(taken, 0, 1);
  for (const test of mixed(calls, seed)) {
    if (place++ < mine) continue;
    if (mine >= limit || (mine >= ROUND && performance.now() > deadline)) break;
    const violations = await runCase(test);
    cases[test.kind] = (cases[test.kind] ?? 0) + 1;
    if (violations.length > 0) {
      failed[test.kind] = (failed[test.kind] ?? 0) + 1;
      failures.push({ test, violations });
    }
    mine = Atomics.add(taken, 0, 1);
  }
  return { calls, cases, failed, failures };
}

if (parentPort !== null) parentPort.postMessage(await runShare(workerData as Share));
