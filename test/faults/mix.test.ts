import { describe, expect, it } from "vitest";
import { runShare, type Share } from "./batch.ts";
import { type Case, KINDS, type Kind } from "./cases.ts";
import { fixedTotal, mixed, ROUND } from "./mix.ts";

const CALLS = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? "store.put" : "sink.commit"));

function first(count: number, seed = 1): readonly Case[] {
  return mixed(CALLS, seed).take(count).toArray();
}

function countOf(cases: readonly Case[], kind: Kind): number {
  return cases.filter((test) => test.kind === kind).length;
}

function share(limit: number, seconds: number): Share {
  return { seed: 1, seconds, limit, next: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT) };
}

describe("the mix of cases", () => {
  it("The mix of cases has every kind of case in its first round", () => {
    expect(new Set(first(ROUND).map(({ kind }) => kind))).toEqual(new Set(KINDS));
  });

  it("The mix of cases has the same share of each kind in every round while no kind has ended", () => {
    const [one, two] = [first(ROUND), first(2 * ROUND).slice(ROUND)];
    for (const kind of KINDS) expect(countOf(two, kind)).toBe(countOf(one, kind));
  });

  it("The mix of cases has the same order for the same seed and another order for another seed", () => {
    expect(first(100, 7)).toEqual(first(100, 7));
    expect(first(100, 7)).not.toEqual(first(100, 8));
  });

  it("The mix of cases covers each case of the kinds that end exactly once", () => {
    const cases = first(12_000);
    for (const kind of KINDS) {
      const total = fixedTotal(kind, CALLS);
      if (total === undefined) continue;
      const texts = cases.filter((test) => test.kind === kind).map((test) => JSON.stringify(test));
      expect([kind, texts.length, new Set(texts).size]).toEqual([kind, total, total]);
    }
  });

  it("The mix of cases contains only the random kinds when the fixed lists are used up", () => {
    const last = first(12_000).slice(-ROUND);
    const drawn = KINDS.filter((kind) => fixedTotal(kind, CALLS) === undefined);
    expect(new Set(last.map(({ kind }) => kind))).toEqual(new Set(drawn));
  });
});

describe("a worker of a fault run", () => {
  it("A worker of a fault run runs a case of every kind even if its time is over at once", async () => {
    const { cases } = await runShare(share(Number.MAX_SAFE_INTEGER, 0));
    expect(Object.keys(cases).toSorted()).toEqual(KINDS.toSorted());
  });

  it("A worker of a fault run takes the cases that no other worker has taken, up to the limit", async () => {
    const work = share(10, 60);
    const results = [await runShare({ ...work, limit: 4 }), await runShare(work)];
    const counts = results.map(({ cases }) => Object.values(cases).reduce((sum, count) => sum + count, 0));
    // The first worker takes a fifth case, but its limit is 4, so it does not run the case.
    expect(counts).toEqual([4, 5]);
  });
});
