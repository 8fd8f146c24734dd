import { ACTS } from "./acts.ts";
import type { Case } from "./cases.ts";
import { pick } from "./chance.ts";
import { FAULTS, type FaultKind } from "./kinds.ts";

/** A fault at the call with this index. Generated cases use indexes instead of names of calls. */
interface Placed {
  readonly at: number;
  readonly kind: FaultKind;
}

/** Returns one case for each kind of fault at each call of a run. */
export function singles(calls: number): readonly Case[] {
  return each(calls).flatMap((fault) => [
    { kind: "single", runs: [[fault]] },
    { kind: "single", runs: [[fault]], vacuums: true },
  ]);
}

/**
 * Returns cases in which a run sleeps or straggles, other runs do its work, and it then continues.
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
 * Returns cases in which a run sleeps in its first batch while the next run fails in the same
 * batch.
 */
export function takeovers(calls: number): readonly Case[] {
  const batch = Math.ceil(calls / 2);
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
export function pair(calls: number, random: () => number): Case {
  const fault = (): Placed => ({ at: Math.floor(random() * (calls + 10)), kind: pick(FAULTS, random) });
  const first = fault();
  const second = fault();
  const vacuums = random() < 0.3;
  return random() < 0.5
    ? { kind: "pair", runs: [[first, second]], vacuums }
    : { kind: "pair", runs: [[first], [second]], vacuums };
}

/** Draws a case of two or three runs at the same time, with some faults. */
export function interleaving(calls: number, random: () => number): Case {
  const seed = Math.floor(random() * 2 ** 31);
  const runs = Array.from({ length: 2 + Math.floor(random() * 2) }, () =>
    Array.from({ length: Math.floor(random() * 3) }, () => ({
      at: Math.floor(random() * calls),
      kind: pick(FAULTS, random),
    })),
  );
  return { kind: "interleaved", runs, seed };
}

/** Draws a case of three to six runs one after the other, with up to three faults each. */
export function sequence(calls: number, random: () => number): Case {
  const runs = Array.from({ length: 3 + Math.floor(random() * 4) }, () =>
    Array.from({ length: Math.floor(random() * 4) }, () => ({
      at: Math.floor(random() * calls),
      kind: pick(FAULTS, random),
    })),
  );
  return { kind: "sequence", runs, vacuums: random() < 0.5 };
}

/** Returns cases in which an operator or a disk does something after a fault. */
export function histories(calls: number): readonly Case[] {
  return each(calls)
    .filter(({ kind }) => kind === "stop before" || kind === "lost answer" || kind === "fail for good")
    .flatMap((fault) => ACTS.map((act) => ({ kind: "history" as const, runs: [[fault]], act })));
}

function each(calls: number): readonly Placed[] {
  return Array.from({ length: calls }, (_, at) => FAULTS.map((kind) => ({ at, kind }))).flat();
}
