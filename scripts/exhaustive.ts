import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { MUTANTS, type Mutant } from "../test/exhaustive/mutants.ts";
import { BOUNDED, WHOLE } from "../test/exhaustive/scenarios.ts";
import { replay } from "../test/exhaustive/schedule.ts";
import type { Found, Job } from "../test/exhaustive/worker.ts";

/**
 * `npm run test:exhaustive [-- --bounded]`: looks at every state that the runs of each scenario can
 * reach, and judges it. Then removes rules from the engine, one at a time: the search must find
 * what is broken then. `--only NAME` searches one scenario. `--replay SCHEDULE` carries out one
 * schedule again and says what it does. test/exhaustive/README.md says what is searched.
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

/** A search, and what is said of it. */
interface Task extends Job {
  judge(found: Found): { readonly isRight: boolean; readonly lines: readonly string[] };
}

async function searchAll(): Promise<number> {
  const { only, bounded = false } = values;
  const scenarios = (bounded ? BOUNDED : [...WHOLE, ...BOUNDED]).map(({ name }) => name);
  const tasks = [
    ...scenarios.map((scenario): Task => ({ scenario, edits: [], judge: isUnbroken })),
    ...MUTANTS.filter(({ foundBy }) => !bounded || scenarios.includes(foundBy)).map(mutantTask),
  ].filter(({ scenario, edits }) => only === undefined || (scenario === only && edits.length === 0));
  const startedAt = performance.now();
  const waiting = tasks.values();
  const wrong = await Promise.all(Array.from({ length: WORKERS }, () => work(waiting)));
  const count = wrong.reduce((sum, each) => sum + each, 0);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  console.log(`${tasks.length} searches, ${count} not as expected, ${seconds} s`);
  return count === 0 && tasks.length > 0 ? 0 : 1;
}

function isUnbroken({ lines, problem }: Found): ReturnType<Task["judge"]> {
  return { isRight: problem === undefined, lines };
}

function mutantTask({ what, foundBy, shows, edits }: Mutant): Task {
  const judge = ({ lines, problem }: Found) => {
    const isRight = problem?.includes(shows) ?? false;
    const instead = problem === undefined ? "nothing is broken" : `not "${shows}"`;
    const schedule = lines.at(-1)?.trim() ?? "";
    return {
      isRight,
      lines: [
        `${isRight ? "✓" : "✗"} found if ${what}`,
        `    ${problem ?? ""} ${isRight ? "" : instead}`,
        `    ${schedule}`,
      ],
    };
  };
  return { scenario: foundBy, edits, judge };
}

/** Makes the searches that no other worker has taken. Returns how many were not as expected. */
async function work(waiting: Iterator<Task>): Promise<number> {
  let wrong = 0;
  for (let next = waiting.next(); next.done !== true; next = waiting.next()) {
    const { judge, scenario, edits } = next.value;
    const failed = (error: unknown): Found => ({
      lines: [`✗ ${scenario}: ${error}`],
      problem: "the search failed",
    });
    const { isRight, lines } = judge(await search({ scenario, edits }).catch(failed));
    for (const line of lines) console.log(line);
    if (!isRight) wrong++;
  }
  return wrong;
}

/** Searches in a thread of its own, because a mutant needs modules of its own. */
function search(workerData: Job): Promise<Found> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("../test/exhaustive/worker.ts", import.meta.url), { workerData });
    worker.once("message", resolve).once("error", reject);
    worker.once("exit", () => reject(new Error("a search ended without a result")));
  });
}
