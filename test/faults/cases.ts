import { rewind } from "../../shared/engine/rewind.ts";
import { vacuum } from "../../shared/engine/vacuum.ts";
import { FAULTS, type FaultKind } from "./kinds.ts";
import { Run } from "./run.ts";
import { type Shape, type Surroundings, World } from "./world.ts";

/** A fault at one call, identified by its index among the calls of a run. */
export interface Fault {
  readonly at: number;
  readonly kind: FaultKind;
}

/** A case that can be run again from its JSON alone. */
export interface Case {
  readonly kind: "single" | "pair" | "zombie" | "interleaved" | "history" | "sequence";
  /** Faults of each run, in the order in which the runs begin. */
  readonly runs: readonly (readonly Fault[])[];
  /** True if a vacuum runs between the runs, days later. */
  readonly vacuums?: boolean;
  /** Seed by which runs are interleaved without the protection of leases. */
  readonly seed?: number;
  /** An action of an operator between the runs. */
  readonly act?: "lose ledger" | "rewind";
}

export const SHAPE: Shape = { rows: 8, rowsABatch: 4, partitions: 2 };

const DAY = 86_400_000;
const LEASE_IS_OVER = 120_000;
const CLEAN_RUNS = 8;

/** The calls of a run without faults: the points at which faults can be injected. */
export async function countCalls(shape: Shape = SHAPE): Promise<readonly string[]> {
  const world = new World(shape);
  const run = new Run(world);
  await run.start();
  world.close();
  return run.calls;
}

/** Runs a case and returns the violations. */
export async function runCase(test: Case, shape: Shape = SHAPE): Promise<readonly string[]> {
  const world = new World(shape);
  world.hasOneFault = test.kind === "single";
  const all = Array.from({ length: shape.rows }, (_, id) => id);
  let expected: readonly number[] = all;
  try {
    if (test.seed === undefined) await runInTurn(world, test);
    else await runInterleaved(world, test, test.seed);
    if (test.act === "lose ledger") {
      await finish(world);
      world.now += 3 * DAY;
      await tidy(world);
      world.loseLedger();
      // Each row is in the table twice, because only the ledger knew that they had been read.
      expected = [...all, ...all];
    }
    if (test.act === "rewind") expected = [...all, ...(await rewound(world))];
    await finish(world);
    world.now += 3 * DAY;
    await tidy(world);
    await world.judge(expected);
  } catch (error) {
    world.broken(`the case could not be run: ${error instanceof Error ? error.stack : String(error)}`);
  }
  world.close();
  return world.violations;
}

/**
 * Runs the runs one after the other. A run that sleeps, or has straggling steps, continues after
 * the others.
 */
async function runInTurn(world: World, test: Case): Promise<void> {
  const begun: Run[] = [];
  for (const faults of test.runs) {
    const run = new Run(world, { faults: new Map(faults.map(({ at, kind }) => [at, kind])) });
    begun.push(run);
    await run.start();
    world.now += LEASE_IS_OVER;
    if (test.vacuums) {
      world.now += 3 * DAY;
      await tidy(world);
    }
  }
  if (begun.length === 1 && test.kind === "zombie") await finish(world);
  for (const run of begun) {
    await run.wake();
    world.now += LEASE_IS_OVER;
    if (test.vacuums) await tidy(world);
  }
}

/** Runs all runs at once: at each call, a random choice picks the run that continues. */
async function runInterleaved(world: World, test: Case, seed: number): Promise<void> {
  const random = generator(seed);
  const waiting: (() => void)[] = [];
  const runs = test.runs.map(
    (faults) =>
      new Run(world, {
        faults: new Map(faults.map(({ at, kind }) => [at, kind])),
        takesOver: true,
        turn: () => new Promise((resolve) => waiting.push(resolve)),
      }),
  );
  let working = runs.length;
  const ends = runs.map((run) =>
    run.start().finally(() => {
      working--;
    }),
  );
  while (working > 0 || waiting.length > 0) {
    // Lets each run reach its next call.
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

/** Runs without faults until there is no new data, which must take only a few runs. */
export async function finish(
  world: Surroundings,
  options: { readonly takesOver?: boolean } = {},
): Promise<void> {
  for (let runs = 0; runs < CLEAN_RUNS; runs++) {
    const outcome = await new Run(world, options).start();
    world.now += LEASE_IS_OVER;
    if (outcome === "idle") return;
  }
  world.broken("runs without faults do not come to an end");
}

/** Runs a vacuum days later. */
export async function tidy(world: Surroundings): Promise<void> {
  const run = new Run(world);
  const { sessions, ports } = await run.open();
  if ((await world.ledger.head(world.pipeline)) === undefined) return;
  await vacuum(sessions, ports, { olderThan: DAY, dryRun: false });
}

/**
 * Rewinds to the last batch and returns its rows. The runs before it may have left no batch to
 * rewind.
 */
async function rewound(world: World): Promise<readonly number[]> {
  await finish(world);
  const [last] = await world.ledger.batches("numbers", { limit: 1 });
  const head = await world.ledger.head("numbers");
  if (last === undefined || head?.offset === undefined) throw new Error("there is nothing to rewind");
  const owner = { id: "somebody", description: "somebody" };
  const action = { by: "somebody", at: world.now, from: head.offset, to: last.start };
  await rewind(
    { ledger: world.ledger, runtime: world.runtime() },
    { pipeline: "numbers", rewind: action, owner, hasEnded: async () => false },
  );
  world.expectsJump(last.batchId + 1, Number(last.start["n"]));
  const from = Number(last.start["n"]);
  return Array.from({ length: world.shape.rows - from }, (_, i) => from + i);
}

/** Numbers from 0 (inclusive) to 1 (exclusive), the same for the same seed (mulberry32). */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Returns every fault at every call of one run. */
export function singles(calls: number): readonly Case[] {
  return each(calls).flatMap((fault) => [
    { kind: "single", runs: [[fault]] },
    { kind: "single", runs: [[fault]], vacuums: true },
  ]);
}

/**
 * Returns the cases of a run that sleeps or straggles and continues when others have done its work.
 */
export function zombies(calls: number): readonly Case[] {
  return each(calls)
    .filter(({ kind }) => kind.startsWith("sleep") || kind.startsWith("straggle"))
    .flatMap((fault) => [
      { kind: "zombie" as const, runs: [[fault]] },
      { kind: "zombie" as const, runs: [[fault]], vacuums: true },
    ]);
}

/**
 * Returns all cases of a run that sleeps within its first batch while the next run fails in the
 * same batch.
 */
export function beforeZombies(calls: number): readonly Case[] {
  const batch = Math.ceil(calls / 2);
  const asleep = each(batch).filter(({ kind }) => kind.startsWith("sleep"));
  const failing = each(batch).filter(({ kind }) => kind === "fail for good" || kind === "stop after");
  return asleep.flatMap((first) =>
    failing.map((second) => ({
      kind: "zombie" as const,
      runs: [[first], [second]],
      vacuums: (first.at + second.at) % 3 === 0,
    })),
  );
}

/** Draws two faults: in one run, or in one run and the next. */
export function pair(calls: number, random: () => number): Case {
  const fault = (): Fault => ({ at: Math.floor(random() * (calls + 10)), kind: pick(FAULTS, random) });
  const first = fault();
  const second = fault();
  const vacuums = random() < 0.3;
  return random() < 0.5
    ? { kind: "pair", runs: [[first, second]], vacuums }
    : { kind: "pair", runs: [[first], [second]], vacuums };
}

/** Draws two or three runs at once, with some faults. */
export function interleaving(calls: number, seed: number): Case {
  const random = generator(seed);
  const runs = Array.from({ length: 2 + Math.floor(random() * 2) }, () =>
    Array.from({ length: Math.floor(random() * 3) }, () => ({
      at: Math.floor(random() * calls),
      kind: pick(FAULTS, random),
    })),
  );
  return { kind: "interleaved", runs, seed };
}

/** Draws three to six runs one after the other, with up to three faults each. */
export function sequence(calls: number, random: () => number): Case {
  const runs = Array.from({ length: 3 + Math.floor(random() * 4) }, () =>
    Array.from({ length: Math.floor(random() * 4) }, () => ({
      at: Math.floor(random() * calls),
      kind: pick(FAULTS, random),
    })),
  );
  return { kind: "sequence", runs, vacuums: random() < 0.5 };
}

/** Returns the cases of a ledger that is lost or rewound after a fault. */
export function histories(calls: number): readonly Case[] {
  return each(calls)
    .filter(({ kind }) => kind === "stop before" || kind === "lost answer" || kind === "fail for good")
    .flatMap((fault) => [
      { kind: "history" as const, runs: [[fault]], act: "lose ledger" as const },
      { kind: "history" as const, runs: [[fault]], act: "rewind" as const },
    ]);
}

function each(calls: number): readonly Fault[] {
  return Array.from({ length: calls }, (_, at) => FAULTS.map((kind) => ({ at, kind }))).flat();
}

function pick<T>(from: readonly T[], random: () => number): T {
  return from[Math.floor(random() * from.length)] as T;
}
