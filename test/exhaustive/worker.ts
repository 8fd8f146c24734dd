import { parentPort, workerData } from "node:worker_threads";
import { linesOf } from "./report.ts";
import { scenarioOf } from "./scenarios.ts";
import { Search } from "./search.ts";

/** The scenarios that the workers search together. */
export interface Share {
  readonly names: readonly string[];
  /** Index of the next scenario that no worker has taken, in an `Int32Array` of one element. */
  readonly next: SharedArrayBuffer;
}

/** What a worker says of one scenario. */
export interface Found {
  readonly lines: readonly string[];
  readonly isBroken: boolean;
}

async function searchShare({ names, next }: Share, tell: (found: Found) => void): Promise<void> {
  const taken = new Int32Array(next);
  for (let at = Atomics.add(taken, 0, 1); at < names.length; at = Atomics.add(taken, 0, 1)) {
    const scenario = scenarioOf(names[at] as string);
    const startedAt = performance.now();
    const result = await new Search(scenario).run();
    const lines = await linesOf(scenario, result, (performance.now() - startedAt) / 1000);
    tell({ lines, isBroken: result.violation !== undefined });
  }
}

await searchShare(workerData as Share, (found) => parentPort?.postMessage(found));
