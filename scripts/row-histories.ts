import { parseArgs } from "node:util";
import { runHistories } from "../test/histories/run.ts";
import { startPostgres } from "../test/postgres/server.ts";

/**
 * `node scripts/row-histories.ts [--count N] [--seed N] [--postgres N] [--only KIND] [--all]`: runs
 * random histories of changes to rows on `memory` and `postgres`, and compares the rows after each
 * step with those that SQL leaves in DuckDB. `--postgres N`: only each N-th history runs on
 * `postgres`, 0 none. `--only` runs histories of `commands`, or merges of streams of `changes`.
 * `--all` goes on after a difference.
 */

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
    postgres: { type: "string", default: "1" },
    only: { type: "string" },
    all: { type: "boolean", default: false },
  },
});

const [seed, count, postgresEvery] = [values.seed, values.count, values.postgres].map(Number) as [
  number,
  number,
  number,
];
const startedAt = performance.now();
const total = { histories: 0, onPostgres: 0, steps: 0, violations: 0, duplicates: 0, differences: 0 };
const text = () =>
  Object.entries(total)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");

console.log(`Seeds ${seed} to ${seed + count - 1}`);
const server = postgresEvery > 0 ? await startPostgres() : undefined;
try {
  await runHistories({
    seed,
    count,
    ...(server === undefined ? {} : { server, postgresEvery }),
    findsAll: values.all,
    ...(values.only === "changes" || values.only === "commands" ? { only: values.only } : {}),
    onHistory: (_, taken) => {
      total.histories++;
      total.steps += taken.steps;
      total.violations += taken.violations;
      total.duplicates += taken.duplicates;
      if (taken.hasPostgres) total.onPostgres++;
      if (total.histories % 20 === 0) console.log(text());
    },
    onDifference: (difference) => {
      total.differences++;
      console.error(`\n${difference}\n`);
    },
  });
} catch (error) {
  total.differences++;
  console.error(error);
} finally {
  await server?.stop();
}
console.log(`${text()}, in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
if (total.differences > 0) process.exitCode = 1;
