import { parentPort, workerData } from "node:worker_threads";
import {
  beforeZombies,
  type Case,
  countCalls,
  generator,
  histories,
  interleaving,
  pair,
  runCase,
  sequence,
  singles,
  zombies,
} from "./cases.ts";

/** The work of one worker: its share of the cases, until its time is over. */
export interface Share {
  readonly index: number;
  readonly workers: number;
  readonly seconds: number;
  readonly seed: number;
  /** Maximum number of cases of all workers together. */
  readonly limit?: number;
  /** The search ends after so many failed cases. */
  readonly maxFailures: number;
}

export interface Failure {
  readonly test: Case;
  readonly violations: readonly string[];
}

export interface Result {
  readonly calls: number;
  readonly cases: Readonly<Record<string, number>>;
  readonly failed: Readonly<Record<string, number>>;
  readonly failures: readonly Failure[];
}

/**
 * Yields all cases with one fault, those with a history, and those of zombies. Then it yields
 * pairs, interleavings and longer sequences in turn, drawn by the seed, without an end.
 */
function* cases(calls: number, seed: number): Generator<Case> {
  yield* singles(calls);
  yield* histories(calls);
  yield* zombies(calls);
  yield* beforeZombies(calls);
  const random = generator(seed);
  for (let i = 0; ; i++) {
    yield pair(calls, random);
    yield interleaving(calls, seed + i);
    yield sequence(calls, random);
  }
}

export async function runShare(share: Share): Promise<Result> {
  const { length: calls } = await countCalls();
  const deadline = performance.now() + share.seconds * 1000;
  const counts: Record<string, number> = {};
  const failed: Record<string, number> = {};
  const failures: Failure[] = [];
  let index = 0;
  for (const test of cases(calls, share.seed)) {
    if (performance.now() > deadline || index === share.limit || failures.length >= share.maxFailures) break;
    if (index++ % share.workers !== share.index) continue;
    const violations = await runCase(test);
    counts[test.kind] = (counts[test.kind] ?? 0) + 1;
    if (violations.length === 0) continue;
    failed[test.kind] = (failed[test.kind] ?? 0) + 1;
    failures.push({ test, violations });
  }
  return { calls, cases: counts, failed, failures };
}

if (parentPort !== null) parentPort.postMessage(await runShare(workerData as Share));
