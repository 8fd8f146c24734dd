import type { Case } from "./cases.ts";
import { mixed } from "./mix.ts";
import type { Harness } from "./mutate.ts";

export interface Found {
  /** The smallest case that still shows the violation. Its faults name their calls. */
  readonly test: Case;
  readonly violations: readonly string[];
}

/**
 * Searches for a case with a violation that a run without a fault does not have. The text of this
 * violation must contain `shows`.
 */
export async function searchCase(
  harness: Harness,
  { seed, limit, shows }: { readonly seed: number; readonly limit: number; readonly shows: string },
): Promise<Found | undefined> {
  const always = new Set(await harness.runCase({ kind: "sequence", runs: [[]] }));
  const isCaught = (violations: readonly string[]) =>
    violations.some((what) => !always.has(what) && what.includes(shows));
  const calls = await harness.countCalls();
  let cases = 0;
  for (const test of mixed(calls, seed)) {
    if (cases++ >= limit) return undefined;
    if (isCaught(await harness.runCase(test))) return await minimized(harness, test, isCaught);
  }
  return undefined;
}

/**
 * Removes runs, faults and vacuums one at a time, as long as the case still shows the violation.
 */
async function minimized(
  harness: Harness,
  test: Case,
  isCaught: (violations: readonly string[]) => boolean,
): Promise<Found> {
  for (const smaller of smallerCases(test))
    if (isCaught(await harness.runCase(smaller))) return await minimized(harness, smaller, isCaught);
  const { violations, met } = await harness.play(test);
  return { test: { ...test, runs: met }, violations };
}

/** Yields each case with one part less: without one run, without one fault, or without vacuums. */
function* smallerCases(test: Case): Generator<Case> {
  const { runs } = test;
  if (runs.length > 1) for (const run of runs) yield { ...test, runs: runs.filter((each) => each !== run) };
  for (const run of runs)
    for (const fault of run) {
      const without = run.filter((each) => each !== fault);
      yield { ...test, runs: runs.map((each) => (each === run ? without : each)) };
    }
  const { vacuums: _, ...withoutVacuums } = test;
  if ("vacuums" in test) yield withoutVacuums;
}
