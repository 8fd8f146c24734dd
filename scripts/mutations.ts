import { parseArgs } from "node:util";
import { MUTATIONS } from "../test/faults/all-mutations.ts";
import { runCase } from "../test/faults/cases.ts";
import { type Harness, mutatedHarness } from "../test/faults/mutate.ts";
import type { Mutation } from "../test/faults/mutation.ts";
import { type CaseName, isCaseName, NAMED_CASES } from "../test/faults/named-cases.ts";
import { runProbe } from "../test/faults/probes.ts";
import { searchCase } from "../test/faults/search.ts";

/**
 * `npm run test:mutations [-- --only TEXT]`: removes each rule of the protocol from the engine, one
 * at a time. Without the rule, the case or the probe of the mutation must show the expected
 * violation. `-- --search [--only TEXT] [--shows TEXT] [--seed N]` searches for such a case, and
 * prints it in the form of test/faults/named-cases.ts.
 */

/** The exit code with which Node ends if a top-level `await` never settles. */
const UNSETTLED = 13;
/** Maximum number of cases that a search tries. */
const LIMIT = 16_000;
const CALM: CaseName = "a run without a fault";

if (import.meta.main) process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      search: { type: "boolean" },
      shows: { type: "string", default: "" },
      seed: { type: "string", default: "1" },
    },
  });
  const { only } = values;
  const chosen = MUTATIONS.filter(
    ({ rule, what }) => only === undefined || rule === only || what.includes(only),
  );
  process.once("exit", (code) => {
    if (code === UNSETTLED) console.error("the mutation after the last line has a case that never ends");
  });
  // A case that fails with every engine would seem to catch the mutation.
  const broken = values.search ? undefined : await brokenAsItIs(chosen);
  if (broken !== undefined) {
    console.error(broken);
    return 1;
  }
  let caught = 0;
  for (const mutation of chosen) {
    const harness = await mutatedHarness(mutation.edits);
    const { isCaught, verdict } = values.search
      ? await search(harness, { seed: Number(values.seed), shows: values.shows })
      : await runNamed(harness, mutation);
    if (isCaught) caught++;
    console.log(`${isCaught ? "✓" : "✗"} ${mutation.rule.padEnd(8)} ${mutation.what}\n    ${verdict}`);
  }
  console.log(`${caught} of ${chosen.length} caught`);
  return chosen.length > 0 && caught === chosen.length ? 0 : 1;
}

/** Returns why a named case fails although no rule is removed, or `undefined` if all pass. */
async function brokenAsItIs(mutations: readonly Mutation[]): Promise<string | undefined> {
  const harness = { runCase, runProbe };
  for (const name of new Set([CALM, ...mutations.map(({ caughtBy }) => caughtBy)])) {
    const violations = await violationsOf(harness, name);
    if (violations.length > 0) return `"${name}" fails with no rule removed: ${violations.join("; ")}`;
  }
  return undefined;
}

type Trials = Pick<Harness, "runCase" | "runProbe">;

/** Runs a named case or a probe. */
async function violationsOf(harness: Trials, name: Mutation["caughtBy"]): Promise<readonly string[]> {
  return isCaseName(name) ? await harness.runCase(NAMED_CASES[name]) : await harness.runProbe(name);
}

interface Verdict {
  readonly isCaught: boolean;
  readonly verdict: string;
}

/** Runs the case or the probe of a mutation. `harness` must contain the mutation. */
export async function runNamed(
  harness: Trials,
  { caughtBy, shows }: Pick<Mutation, "caughtBy" | "shows">,
): Promise<Verdict> {
  const always = caughtBy === CALM ? [] : await harness.runCase(NAMED_CASES[CALM]);
  // If the engine fails without any fault, every case would seem to catch the mutation.
  if (always.length > 0)
    return { isCaught: false, verdict: `breaks a run without a fault: ${always.join("; ")}` };
  const violations = await violationsOf(harness, caughtBy);
  const isCaught = violations.some((what) => what.includes(shows));
  if (isCaught) return { isCaught, verdict: `${caughtBy}: ${violations.join("; ")}` };
  const instead = violations.length === 0 ? "nothing" : violations.join("; ");
  return { isCaught, verdict: `GAP: "${caughtBy}" shows ${instead}, not "${shows}"` };
}

async function search(
  harness: Harness,
  options: { readonly seed: number; readonly shows: string },
): Promise<Verdict> {
  const found = await searchCase(harness, { ...options, limit: LIMIT });
  return found === undefined
    ? { isCaught: false, verdict: `no case of ${LIMIT} shows it` }
    : { isCaught: true, verdict: `${JSON.stringify(found.test)}\n    ${found.violations.join("; ")}` };
}
