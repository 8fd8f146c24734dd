import { type Case, KINDS, type Kind } from "./cases.ts";
import { generator, shuffled } from "./chance.ts";
import {
  type Calls,
  coordination,
  exchange,
  fileLost,
  histories,
  interleaving,
  lates,
  merge,
  pair,
  rolledBack,
  rowLevel,
  sequence,
  singles,
  speculation,
  takeovers,
  unusual,
  vacuumBeside,
  zombies,
} from "./generators.ts";

/**
 * Number of cases of each kind in a round. With these numbers, 16,000 cases include all fixed
 * lists.
 */
const WEIGHTS: Readonly<Record<Kind, number>> = {
  single: 3,
  late: 1,
  history: 2,
  zombie: 1,
  takeover: 6,
  pair: 2,
  interleaved: 2,
  "vacuum beside": 2,
  sequence: 2,
  "large messages": 1,
  "simple reader": 1,
  "save mode": 1,
  "staging sink": 1,
  "transactional sink": 1,
  "plain sink": 1,
  "other shape": 1,
  "ledger rolled back": 1,
  "file lost": 1,
  coordination: 1,
  speculation: 2,
  exchange: 3,
  "row-level": 3,
  merge: 3,
};

/** Number of cases in a round. The first round has each kind. */
export const ROUND = Object.values(WEIGHTS).reduce((sum, weight) => sum + weight, 0);

/** The kinds with a fixed list of cases. The list depends on the number of calls of a run. */
const FIXED: Partial<Record<Kind, (calls: Calls, random: () => number) => readonly Case[]>> = {
  single: singles,
  late: lates,
  history: histories,
  zombie: zombies,
  takeover: takeovers,
};
/** The kinds with an unlimited number of cases, which are drawn at random. */
const DRAWN: Partial<Record<Kind, (calls: Calls, random: () => number) => Case>> = {
  pair,
  interleaved: interleaving,
  "vacuum beside": vacuumBeside,
  sequence,
  "large messages": unusual("large messages"),
  "simple reader": unusual("simple reader"),
  "save mode": unusual("save mode"),
  "staging sink": unusual("staging sink"),
  "transactional sink": unusual("transactional sink"),
  "plain sink": unusual("plain sink"),
  "other shape": unusual("other shape"),
  "ledger rolled back": rolledBack,
  "file lost": fileLost,
  coordination,
  speculation,
  exchange,
  "row-level": rowLevel,
  merge,
};

/** Returns the number of cases of a kind with a fixed list, or `undefined` for any other kind. */
export function fixedTotal(kind: Kind, calls: Calls): number | undefined {
  return FIXED[kind]?.(calls, generator(0)).length;
}

/**
 * Yields cases of all kinds in turns, without an end. The seed alone decides the order. Each fixed
 * list is shuffled, so that a short test runs a random part of it. When a list is used up, its
 * turns go to the other kinds.
 */
export function* mixed(calls: Calls, seed: number): Generator<Case> {
  const streams = KINDS.map((kind, i) => ({
    weight: WEIGHTS[kind],
    credit: 0,
    cases: stream(kind, calls, (seed + 1) * KINDS.length + i),
  }));
  for (;;) {
    const next = turn(streams);
    const { value, done } = next.cases.next();
    if (done) streams.splice(streams.indexOf(next), 1);
    else yield value;
  }
}

/**
 * Picks the stream of the next case. Each stream gets turns in proportion to its weight, spread
 * evenly.
 */
function turn<T extends { readonly weight: number; credit: number }>(streams: readonly T[]): T {
  let total = 0;
  for (const each of streams) {
    each.credit += each.weight;
    total += each.weight;
  }
  const next = streams.reduce((best, each) => (each.credit > best.credit ? each : best));
  next.credit -= total;
  return next;
}

function* stream(kind: Kind, calls: Calls, seed: number): Generator<Case> {
  const random = generator(seed);
  yield* shuffled(FIXED[kind]?.(calls, random) ?? [], random);
  const draw = DRAWN[kind];
  while (draw !== undefined) yield draw(calls, random);
}
