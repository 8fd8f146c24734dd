import { optional } from "../../shared/contract/optional.ts";
import {
  type Act,
  expectedRows,
  finish,
  finishByHand,
  perform,
  skipOpenBatch,
  tidy,
  vacuumBeside,
} from "./acts.ts";
import { generator } from "./chance.ts";
import type { Fault } from "./kinds.ts";
import { Run } from "./run.ts";
import type { Setup, Shape } from "./setup.ts";
import { World } from "./world.ts";
import type { Rollback } from "./world-ledger.ts";

export const KINDS = [
  "single",
  "late",
  "history",
  "zombie",
  "takeover",
  "pair",
  "interleaved",
  "vacuum beside",
  "sequence",
  "large messages",
  "simple reader",
  "save mode",
  "staging sink",
  "transactional sink",
  "plain sink",
  "other shape",
  "ledger rolled back",
  "file lost",
  "coordination",
  "speculation",
  "exchange",
  "row-level",
  "merge",
] as const;
export type Kind = (typeof KINDS)[number];

/** A case of the fault tests. Its JSON contains everything that is needed to run it again. */
export interface Case {
  readonly kind: Kind;
  /** Faults of each run, in the order in which the runs begin. */
  readonly runs: readonly (readonly Fault[])[];
  /** True if a vacuum runs between the runs, when the clock is some days later. */
  readonly vacuums?: boolean;
  /** Seed of the order in which runs take turns. These runs are not protected by leases. */
  readonly seed?: number;
  /**
   * Number of vacuums beside the runs, at moments that the seed decides. They spare no file for its
   * age.
   */
  readonly vacuumsBeside?: number;
  /** The pipeline, if it is not the usual one. */
  readonly setup?: Setup;
  /** What happens to the ledger while the runs are at work. */
  readonly rollback?: Rollback;
  /** An action of an operator between the runs. */
  readonly act?: Act;
}

export const SHAPE: Shape = { rows: 8, rowsABatch: 4, partitions: 2 };

const DAY = 86_400_000;
const LEASE_IS_OVER = 120_000;
/** Most turns that a vacuum waits before it begins. A run has about as many calls. */
const PAUSE_CALLS = 80;

/**
 * Returns the names of the calls of a run without faults. Faults can be injected at these calls.
 */
export async function countCalls(): Promise<readonly string[]> {
  const world = new World(SHAPE);
  const run = new Run(world);
  await run.start();
  world.close();
  return run.calls;
}

/** The outcome of a case. */
export interface Played {
  /** The invariants that were violated, one sentence for each violation. */
  readonly violations: readonly string[];
  /** The faults that happened in each run. Each fault names its call. */
  readonly met: readonly (readonly Fault[])[];
}

/** Runs a case and returns the violations. */
export async function runCase(test: Case): Promise<readonly string[]> {
  return (await play(test)).violations;
}

/** Runs a case. Returns its violations, and the faults that happened. */
export async function play(test: Case): Promise<Played> {
  const world = new World(SHAPE, {
    isOnDisk: test.act === "restore ledger" || test.rollback !== undefined,
    ...optional("setup", test.setup),
    ...optional("rollback", test.rollback),
  });
  world.hasOneFault = test.kind === "single";
  world.hasOneRun = test.kind === "late" && test.runs.length === 1;
  const runs: Run[] = [];
  try {
    if (test.seed === undefined) await runInTurn(world, test, runs);
    else await runInterleaved(world, { ...test, seed: test.seed }, runs);
    if (test.rollback !== undefined) await finishByHand(world);
    const expected = await perform(world, test.act);
    // A late call may find the runs at work again, or all work done.
    const isLast = test.runs.length % 2 === 0;
    if (!isLast) await world.late.landAll();
    await finish(world);
    await world.late.landAll();
    world.now += 3 * DAY;
    await tidy(world);
    await world.judge(expected ?? (await expectedRows(world)));
  } catch (error) {
    world.broken(`the case could not be run: ${error instanceof Error ? error.stack : String(error)}`);
  }
  world.close();
  return { violations: world.violations, met: runs.map((run) => run.met) };
}

/**
 * Starts one run after the other. Then wakes the runs that sleep or have straggling steps, in the
 * same order. Adds the runs to `begun`.
 */
async function runInTurn(world: World, test: Case, begun: Run[]): Promise<void> {
  for (const faults of test.runs) {
    if (test.act === "lose ledger under a run" && begun.length === 1) world.loseLedger();
    const run = new Run(world, { faults });
    begun.push(run);
    await run.start();
    world.now += LEASE_IS_OVER;
    if (test.vacuums) {
      world.now += 3 * DAY;
      await tidy(world);
    }
  }
  if (begun.length === 1 && test.kind === "zombie") await finish(world);
  if (test.act === "skip") await skipOpenBatch(world);
  for (const run of begun) {
    await run.wake();
    world.now += LEASE_IS_OVER;
    if (test.vacuums) await tidy(world);
  }
}

/**
 * Starts all runs at once. At each call, the seed decides which run continues. Adds the runs to
 * `runs`.
 */
async function runInterleaved(
  world: World,
  test: Case & { readonly seed: number },
  runs: Run[],
): Promise<void> {
  const random = generator(test.seed);
  const waiting: (() => void)[] = [];
  const turn = () => new Promise<void>((resolve) => waiting.push(resolve));
  for (const faults of test.runs) runs.push(new Run(world, { faults, takesOver: true, turn }));
  let working = 0;
  const worker = (work: Promise<unknown>) => {
    working++;
    return work.finally(() => {
      working--;
    });
  };
  const ends = runs.map((run) => worker(run.start()));
  if (test.vacuumsBeside !== undefined) {
    const pauses = Array.from({ length: test.vacuumsBeside }, () => Math.floor(random() * PAUSE_CALLS));
    ends.push(worker(vacuumBeside(world, turn, pauses)));
  }
  while (working > 0 || waiting.length > 0) {
    // Each run continues up to its next call.
    await new Promise((resolve) => setImmediate(resolve));
    const [next] = waiting.splice(Math.floor(random() * waiting.length), 1);
    next?.();
    if (random() < 0.05) world.now += LEASE_IS_OVER;
  }
  await Promise.all(ends);
  const woken = Promise.all(runs.map((run) => run.wake()));
  let isAwake = true;
  const done = woken.finally(() => {
    isAwake = false;
  });
  while (isAwake) {
    await new Promise((resolve) => setImmediate(resolve));
    waiting.shift()?.();
  }
  await done;
  world.now += LEASE_IS_OVER;
}
