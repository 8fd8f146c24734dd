import type { SaveMode } from "../../shared/contract/batch-writer.ts";
import { ACTS, type Act } from "./acts.ts";
import type { Case, Kind } from "./cases.ts";
import { pick } from "./chance.ts";
import { canBeLate, canHappen, FAULTS, type Fault, FILE_LOST, LATE } from "./kinds.ts";
import { MERGE_SHAPE } from "./row-level-cases.ts";
import { COMMAND_NAMES, type Setup, type Shape } from "./setup.ts";

/** A fault at the call with this index. Generated cases use indexes instead of names of calls. */
interface Placed extends Fault {
  readonly at: number;
}

/** Share of late calls among the faults that are drawn. */
const LATE_SHARE = 0.6;
/** Most calls that begin before a late call takes effect. */
const MOST_CALLS = 40;
const VACUUMS_BESIDE = 3;

/** The names of the calls of a run without faults, in order. */
export type Calls = readonly string[];

/** Returns one case for each kind of fault at each call of a run. */
export function singles(calls: Calls): readonly Case[] {
  return each(calls).flatMap((fault) => [
    { kind: "single", runs: [[fault]] },
    { kind: "single", runs: [[fault]], vacuums: true },
  ]);
}

/** Returns two cases for each call of the ledger and the store, in which only this call is late. */
export function lates(calls: Calls, random: () => number): readonly Case[] {
  return latePlaces(calls).flatMap((at) =>
    LATE.map((kind) => ({ kind: "late" as const, runs: [[{ at, kind, after: drawAfter(random) }]] })),
  );
}

/**
 * Returns cases in which a run sleeps or straggles, other runs do its work, and it then continues.
 */
export function zombies(calls: Calls): readonly Case[] {
  return each(calls)
    .filter(({ kind }) => kind.startsWith("sleep") || kind.startsWith("straggle"))
    .flatMap((fault) => [
      { kind: "zombie" as const, runs: [[fault]] },
      { kind: "zombie" as const, runs: [[fault]], vacuums: true },
    ]);
}

/**
 * Returns cases in which a run sleeps in its first batch while the next run fails in the same
 * batch.
 */
export function takeovers(calls: Calls): readonly Case[] {
  const batch = calls.slice(0, Math.ceil(calls.length / 2));
  const asleep = each(batch).filter(({ kind }) => kind.startsWith("sleep"));
  const failing = each(batch).filter(({ kind }) => kind === "fail for good" || kind === "stop after");
  return asleep.flatMap((first) =>
    failing.map((second) => ({
      kind: "takeover" as const,
      runs: [[first], [second]],
      vacuums: (first.at + second.at) % 3 === 0,
    })),
  );
}

/** Draws a case with two faults. They are in one run or in two runs, one after the other. */
export function pair(calls: Calls, random: () => number): Case {
  const first = draw(calls, random, 10);
  const second = draw(calls, random, 10);
  const vacuums = random() < 0.3;
  return random() < 0.5
    ? { kind: "pair", runs: [[first, second]], vacuums }
    : { kind: "pair", runs: [[first], [second]], vacuums };
}

/** Draws a case of two or three runs at the same time, with some faults. */
export function interleaving(calls: Calls, random: () => number): Case {
  const seed = Math.floor(random() * 2 ** 31);
  const runs = Array.from({ length: 2 + Math.floor(random() * 2) }, () => drawUpTo(2, calls, random));
  return { kind: "interleaved", runs, seed };
}

/** Draws a case of one to three runs at the same time, and a vacuum beside them. */
export function vacuumBeside(calls: Calls, random: () => number): Case {
  const seed = Math.floor(random() * 2 ** 31);
  const runs = Array.from({ length: 1 + Math.floor(random() * 3) }, () => drawUpTo(2, calls, random));
  return { kind: "vacuum beside", runs, seed, vacuumsBeside: VACUUMS_BESIDE };
}

/** Draws a case of three to six runs one after the other, with up to three faults each. */
export function sequence(calls: Calls, random: () => number): Case {
  const runs = Array.from({ length: 3 + Math.floor(random() * 4) }, () => drawUpTo(3, calls, random));
  return { kind: "sequence", runs, vacuums: random() < 0.5 };
}

const SAVE_MODES = ["append", "overwrite", "errorifexists", "ignore"] as const satisfies readonly SaveMode[];

/**
 * Draws a case in which the ledger becomes older, or is lost, while the runs are at work or after
 * them.
 */
export function rolledBack(calls: Calls, random: () => number): Case {
  const test = pick([pair, interleaving, sequence], random)(calls, random);
  const back = 1 + Math.floor(random() * 1.5 * calls.length * Math.min(2, test.runs.length));
  const rollback = random() < 0.3 ? { back } : { keep: 1 + Math.floor(random() * back), back };
  return { ...test, kind: "ledger rolled back", rollback };
}

/** Draws a case in which steps find files gone, of a pipeline with each kind of staged files. */
export function fileLost(calls: Calls, random: () => number): Case {
  const test = pick([pair, sequence], random)(calls, random);
  const places = [...calls.keys()].filter((at) => canHappen(FILE_LOST, calls[at] ?? ""));
  const lose = (): Fault => ({ at: pick(places, random), kind: FILE_LOST, file: Math.floor(random() * 20) });
  // A step that goes on later may have looked for the file before it was lost.
  const isAwake = ({ kind }: Fault) => !/^(?:sleep|straggle|overtaken)/.test(kind);
  const runs = test.runs.map((faults) => [...faults.filter(isAwake), ...(random() < 0.7 ? [lose()] : [])]);
  const setup = pick(
    [{}, { sink: "staging" }, { largeMessages: true }, { source: "simple" }] as const,
    random,
  );
  return { ...test, kind: "file lost", runs, setup };
}

/** Most milliseconds by which the clocks of two steps differ. */
const MOST_SKEW = 60_000;

/** Draws a case in which attempts of a task ask whether they may commit. */
export function coordination(calls: Calls, random: () => number): Case {
  const test = pick([pair, interleaving, sequence], random)(calls, random);
  const clockSkew = Math.floor((random() - 0.5) * 2 * MOST_SKEW);
  const setup = { sink: "coordinated", ...(random() < 0.3 ? { clockSkew } : {}) } as const;
  return { ...test, kind: "coordination", setup };
}

/** Draws a case in which each task has two attempts at once, in each kind of table. */
export function speculation(calls: Calls, random: () => number): Case {
  const test = pick([interleaving, interleaving, sequence], random)(calls, random);
  const sinks = [{ sink: "coordinated" }, { sink: "coordinated" }, { sink: "uncoordinated" }, {}] as const;
  const setup = { ...pick(sinks, random), speculates: true };
  // Two attempts of one run meet more often if no other run works.
  const runs = random() < 0.7 ? test.runs.slice(0, 1) : test.runs;
  return { ...test, kind: "speculation", runs, setup };
}

/** Draws a case in which tasks exchange their rows, in each kind of source and table. */
export function exchange(calls: Calls, random: () => number): Case {
  // Such a run has about half as many calls more.
  const longer = [...calls, ...calls.slice(0, Math.ceil(calls.length / 2))];
  const test = pick([pair, interleaving, vacuumBeside, sequence], random)(longer, random);
  const others = [
    {},
    {},
    { sink: "coordinated" },
    { sink: "staging" },
    { source: "simple" },
    { source: "batch", mode: "append" },
    { largeMessages: true },
    { shape: drawShape(random) },
  ] as const;
  return { ...test, kind: "exchange", setup: { ...pick(others, random), exchanges: true } };
}

/** Draws a case of a command that changes rows of a table, in each form. */
export function rowLevel(calls: Calls, random: () => number): Case {
  // Such a batch has about as many calls as two of the usual ones, if rows are exchanged.
  const draws = [pair, interleaving, vacuumBeside, sequence, rolledBack, fileLost] as const;
  const test = pick(draws, random)(calls, random);
  const name = pick(COMMAND_NAMES, random);
  const command = {
    name,
    form: pick(["delta", "group"] as const, random),
    ...(random() < 0.4 && name !== "insert" ? { rowsChange: true as const } : {}),
  };
  const others = [{}, {}, { speculates: true }, { largeMessages: true }] as const;
  return { ...test, kind: "row-level", setup: { ...pick(others, random), command } };
}

/** What an operator may do to a pipeline whose table is in a database. */
export const MERGE_ACTS = [
  "rewind",
  "rewind, acknowledgement due",
  "lose ledger",
  "lose ledger, from start",
  "restore ledger",
  "skip",
] as const satisfies readonly Act[];

/** Draws a case of a stream of changes that is merged into a table, also again after a rewind. */
export function merge(calls: Calls, random: () => number): Case {
  const longer = [...calls, ...calls];
  const draws = [pair, interleaving, vacuumBeside, sequence, rolledBack, fileLost] as const;
  const others = [
    {},
    {},
    { speculates: true },
    { largeMessages: true },
    { shape: drawShape(random) },
  ] as const;
  const setup = { shape: MERGE_SHAPE, ...pick(others, random), merge: true as const };
  if (random() < 0.3) {
    const runs = [drawUpTo(2, longer, random)];
    // Without a batch there is nothing to rewind or to adopt.
    return { kind: "merge", runs, act: pick(MERGE_ACTS, random), setup: { ...setup, shape: MERGE_SHAPE } };
  }
  return { ...pick(draws, random)(longer, random), kind: "merge", setup };
}

/** How the pipeline of each of these kinds is drawn. */
export const SETUPS = {
  "large messages": () => ({ largeMessages: true }),
  "simple reader": () => ({ source: "simple" }),
  "save mode": (random) => ({ source: "batch", mode: pick(SAVE_MODES, random) }),
  "staging sink": () => ({ sink: "staging" }),
  "transactional sink": () => ({ sink: "transactional" }),
  "plain sink": () => ({ sink: "plain" }),
  "other shape": (random) => ({ shape: drawShape(random) }),
} as const satisfies Partial<Record<Kind, (random: () => number) => Setup>>;

/** Draws a case of a pipeline that is not the usual one. Its runs have faults of all kinds. */
export function unusual(kind: keyof typeof SETUPS): (calls: Calls, random: () => number) => Case {
  return (calls, random) => {
    const setup = SETUPS[kind](random);
    return { ...pick([pair, interleaving, vacuumBeside, sequence], random)(calls, random), kind, setup };
  };
}

/** Draws rows, batches and partitions: from none of each up to more than one batch has rows. */
function drawShape(random: () => number): Shape {
  const upTo = (most: number) => Math.floor(random() * (most + 1));
  const rows = upTo(9);
  const gap = upTo(rows);
  return { rows, rowsABatch: 1 + upTo(4), partitions: upTo(3), gap: [gap, gap + upTo(5)] };
}

function drawUpTo(most: number, calls: Calls, random: () => number): readonly Placed[] {
  return Array.from({ length: Math.floor(random() * (most + 1)) }, () => draw(calls, random));
}

/** Draws a fault. A run may have some calls more than a run without faults: `beyond`. */
function draw(calls: Calls, random: () => number, beyond = 0): Placed {
  const places = latePlaces(calls);
  return random() < LATE_SHARE && places.length > 0
    ? { at: pick(places, random), kind: pick(LATE, random), after: drawAfter(random) }
    : { at: Math.floor(random() * (calls.length + beyond)), kind: pick(FAULTS, random) };
}

function drawAfter(random: () => number): number {
  return 1 + Math.floor(random() * MOST_CALLS);
}

function latePlaces(calls: Calls): readonly number[] {
  return [...calls.keys()].filter((at) => canBeLate(calls[at] ?? ""));
}

/** Returns cases in which an operator or a disk does something after a fault. */
export function histories(calls: Calls): readonly Case[] {
  return each(calls)
    .filter(({ kind }) => kind === "stop before" || kind === "lost answer" || kind === "fail for good")
    .flatMap((fault) => ACTS.map((act) => ({ kind: "history" as const, runs: [[fault]], act })));
}

function each(calls: Calls): readonly Placed[] {
  return calls.flatMap((_, at) => FAULTS.map((kind) => ({ at, kind })));
}
