import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { BOUNDED, WHOLE } from "../test/exhaustive/scenarios.ts";
import { replay } from "../test/exhaustive/schedule.ts";
import type { Found, Share } from "../test/exhaustive/worker.ts";

/**
 * `npm run test:exhaustive [-- --bounded] [-- --only NAME]`: looks at every state that the runs of
 * each scenario can reach, and judges it. `--replay SCHEDULE` carries out one schedule again, and
 * says what it does. test/exhaustive/README.md says what is searched.
 */

const WORKERS = 2;

const { values } = parseArgs({
  options: { bounded: { type: "boolean" }, only: { type: "string" }, replay: { type: "string" } },
});

process.exitCode = values.replay === undefined ? await searchAll() : await replayOne(values.replay);

async function replayOne(schedule: string): Promise<number> {
  let last = "";
  for await (last of replay(schedule)) console.log(last);
  return last.startsWith("✗") ? 1 : 0;
}

async function searchAll(): Promise<number> {
  const { only, bounded = false } = values;
  const chosen = (bounded ? BOUNDED : [...WHOLE, ...BOUNDED]).filter(
    ({ name }) => only === undefined || name === only,
  );
  const share = { names: chosen.map(({ name }) => name), next: new SharedArrayBuffer(4) };
  const startedAt = performance.now();
  const broken = await Promise.all(Array.from({ length: WORKERS }, () => work(share)));
  const count = broken.reduce((sum, each) => sum + each, 0);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  console.log(`${chosen.length} scenarios, ${count} broken, ${seconds} s`);
  return count === 0 && chosen.length > 0 ? 0 : 1;
}

/** Starts a worker. Returns the number of scenarios in which it found something broken. */
function work(workerData: Share): Promise<number> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("../test/exhaustive/worker.ts", import.meta.url), { workerData });
    let broken = 0;
    worker.on("message", ({ lines, isBroken }: Found) => {
      for (const line of lines) console.log(line);
      if (isBroken) broken++;
    });
    worker.once("error", reject);
    worker.once("exit", (code) => (code === 0 ? resolve(broken) : reject(new Error("a worker has stopped"))));
  });
}
