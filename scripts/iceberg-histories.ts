import { parseArgs } from "node:util";
import { runHistories } from "../test/iceberg/histories/run.ts";
import { setUpIceberg } from "./setup-iceberg.ts";
import { setUpPython } from "./setup-python.ts";

/**
 * `node scripts/iceberg-histories.ts [--count N] [--seed N] [--steps N] [--spark]`: runs random
 * histories of Iceberg tables: batches, kills, replays, expiry and rollback, with other writers in
 * between. After each step, all readers must find what a model says. `--spark` adds Spark's
 * compaction and expiry.
 */

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "20" },
    seed: { type: "string", default: "1" },
    steps: { type: "string", default: "12" },
    spark: { type: "boolean", default: false },
  },
});

if (!setUpPython() || !setUpIceberg()) process.exit(1);
const startedAt = performance.now();
let done = 0;
let steps = 0;
try {
  await runHistories({
    seed: Number(values.seed),
    count: Number(values.count),
    steps: Number(values.steps),
    withSpark: values.spark,
    onHistory: (seed, taken) => {
      done++;
      steps += taken;
      if (done % 10 === 0) console.log(`${done} histories, the last one of seed ${seed}, ${steps} steps`);
    },
  });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  console.log(`${done} histories with ${steps} steps are equal to their models, in ${seconds} s`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
