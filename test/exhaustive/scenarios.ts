import type { RunPlan } from "./runs.ts";
import type { Scenario } from "./system.ts";

const A: RunPlan = { name: "A", digit: "a", rounds: 1, tries: 2 };
const B: RunPlan = { ...A, name: "B", digit: "b" };
const C: RunPlan = { ...A, name: "C", digit: "c" };
const VACUUM: RunPlan = { name: "V", digit: "f", rounds: 1, tries: 1, vacuum: "all" };
const OF_STAGED: RunPlan = { ...VACUUM, vacuum: "staged" };
const OF_PLANS: RunPlan = { ...VACUUM, vacuum: "plans" };

/**
 * A batch of two tasks, and of one. The last task has two rows, so that it can be cut differently.
 */
const TWO_TASKS = { rows: 3, rowsABatch: 3, partitions: 2 };
const ONE_TASK = { rows: 2, rowsABatch: 2, partitions: 1 };
const TWO_BATCHES = { rows: 4, rowsABatch: 2, partitions: 1 };

/** Searched by `npm test`, in seconds. */
export const BOUNDED: readonly Scenario[] = [
  { name: "run", runs: [A], shape: TWO_TASKS, faults: 1 },
  { name: "two-runs", runs: [A, B], shape: TWO_TASKS, faults: 0 },
  { name: "two-runs-one-task", runs: [A, B], shape: ONE_TASK, faults: 1 },
  { name: "vacuum", runs: [A, VACUUM], shape: TWO_TASKS, faults: 0 },
  { name: "large-messages", runs: [A], shape: { ...TWO_TASKS, hasLargeMessages: true }, faults: 1 },
  { name: "two-batches", runs: [{ ...A, rounds: 2 }, B], shape: TWO_BATCHES, faults: 0 },
];

/** Searched by `npm run test:exhaustive` besides, in minutes. The longest are first. */
export const WHOLE: readonly Scenario[] = [
  { name: "two-runs-two-faults", runs: [A, B], shape: ONE_TASK, faults: 2 },
  { name: "two-runs-vacuum", runs: [A, B, VACUUM], shape: TWO_TASKS, faults: 0 },
  { name: "replay-staged", runs: [{ ...A, rounds: 2 }, OF_STAGED], shape: TWO_TASKS, faults: 1 },
  { name: "replay-plans", runs: [{ ...A, rounds: 2 }, OF_PLANS], shape: TWO_TASKS, faults: 1 },
  { name: "two-runs-one-fault", runs: [A, B], shape: TWO_TASKS, faults: 1 },
  { name: "vacuum-one-fault", runs: [A, VACUUM], shape: TWO_TASKS, faults: 1 },
  { name: "three-runs", runs: [A, B, C], shape: TWO_TASKS, faults: 0 },
  { name: "run-two-faults", runs: [A], shape: TWO_TASKS, faults: 2 },
];

export function scenarioOf(name: string): Scenario {
  const found = [...BOUNDED, ...WHOLE].find((each) => each.name === name);
  if (found !== undefined) return found;
  throw new Error(
    `there is no scenario "${name}": ${[...BOUNDED, ...WHOLE].map((each) => each.name).join(", ")}`,
  );
}
