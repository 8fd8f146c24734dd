import { describe, expect, it } from "vitest";
import { type Case, countCalls, play } from "./cases.ts";
import { callName } from "./kinds.ts";
import type { Harness } from "./mutate.ts";
import { searchCase } from "./search.ts";

/** Returns a harness in which the cases that `isBroken` selects have a violation. */
function harness(isBroken: (test: Case) => boolean, always: readonly string[] = []): Harness {
  const violationsOf = (test: Case) => [...always, ...(isBroken(test) ? ["rows are doubled"] : [])];
  return {
    countCalls: async () => Array.from({ length: 10 }, (_, i) => `store.call ${i}`),
    runCase: async (test: Case) => violationsOf(test),
    play: async (test: Case) => ({
      violations: violationsOf(test),
      met: test.runs.map((run) => run.map(({ at, kind }) => ({ at: callName(`store.call ${at}`, 1), kind }))),
    }),
  } as unknown as Harness;
}

const has = (test: Case, kind: string) => test.runs.some((run) => run.some((fault) => fault.kind === kind));

describe("a search for a case", () => {
  it("A search finds a case with only the faults that it needs, at calls that it names", async () => {
    const isBroken = (test: Case) => has(test, "twice") && has(test, "lost answer");
    const found = await searchCase(harness(isBroken), { seed: 1, limit: 16_000, shows: "doubled" });
    const faults = found?.test.runs.flat() ?? [];
    expect(faults.map(({ kind }) => kind).toSorted()).toEqual(["lost answer", "twice"]);
    for (const { at } of faults) expect(at).toMatch(/^store\.call \d+$/);
    expect(found?.test).not.toHaveProperty("vacuums");
    expect(found?.violations).toEqual(["rows are doubled"]);
  });

  it("A search finds no case if a run without a fault shows the same violations", async () => {
    const broken = harness(() => false, ["rows are lost"]);
    expect(await searchCase(broken, { seed: 1, limit: 100, shows: "" })).toBeUndefined();
  });

  it("A search finds no case if no case shows the violation that it looks for", async () => {
    const broken = harness((test) => has(test, "twice"));
    expect(await searchCase(broken, { seed: 1, limit: 500, shows: "lost" })).toBeUndefined();
  });
});

describe("a case that names the calls of its faults", () => {
  it("A case with names of calls meets the same faults as one with their places", async () => {
    const calls = await countCalls();
    const places = calls.flatMap((name, at) => (name === "store.put" ? [at] : []));
    const byName = await play({ kind: "single", runs: [[{ at: "store.put #2", kind: "twice" }]] });
    const byPlace = await play({ kind: "single", runs: [[{ at: places[1] ?? -1, kind: "twice" }]] });
    expect(byName).toEqual({ violations: [], met: [[{ at: "store.put #2", kind: "twice" }]] });
    expect(byPlace).toEqual(byName);
  });

  it("A case does not meet a fault at a call that no run makes", async () => {
    const { met } = await play({ kind: "single", runs: [[{ at: "store.put #99", kind: "fail" }]] });
    expect(met).toEqual([[]]);
  });
});
