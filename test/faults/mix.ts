import { type Case, KINDS, type Kind } from "./cases.ts";
import { generator, shuffled } from "./chance.ts";
import { histories, interleaving, pair, sequence, singles, takeovers, zombies } from "./generators.ts";

/**
 * How many cases of each kind a round has. With these weights, the kinds that end are all covered
 * after 16,000 cases.
 */
const WEIGHTS: Readonly<Record<Kind, number>> = {
  single: 3,
  history: 1,
  zombie: 1,
  takeover: 6,
  pair: 2,
  interleaved: 2,
  sequence: 2,
};

/** Cases of a round: each kind is in the first one. */
export const ROUND = Object.values(WEIGHTS).reduce((sum, weight) => sum + weight, 0);

/** The kinds that end, with all of their cases for a run that makes so many calls. */
const FIXED: Partial<Record<Kind, (calls: number) => readonly Case[]>> = {
  single: singles,
  history: histories,
  zombie: zombies,
  takeover: takeovers,
};
/** The kinds without an end, with a case that is drawn by chance. */
const DRAWN: Partial<Record<Kind, (calls: number, random: () => number) => Case>> = {
  pair,
  interleaved: interleaving,
  sequence,
};

/** The number of all cases of a kind, `undefined` for a kind without an end. */
export function fixedTotal(kind: Kind, calls: number): number | undefined {
  return FIXED[kind]?.(calls).length;
}

/**
 * Cases of all kinds by turns, without an end, in an order that the seed alone decides. A kind that
 * ends is shuffled, so that a short run has a sample of it. Its turns then go to the others.
 */
export function* mixed(calls: number, seed: number): Generator<Case> {
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

/** The one whose turn it is: each has a share by its weight, and the shares are spread evenly. */
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

function* stream(kind: Kind, calls: number, seed: number): Generator<Case> {
  const random = generator(seed);
  yield* shuffled(FIXED[kind]?.(calls) ?? [], random);
  const draw = DRAWN[kind];
  while (draw !== undefined) yield draw(calls, random);
}
