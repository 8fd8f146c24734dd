import { expect, it } from "vitest";
import { MUTATIONS } from "./all-mutations.ts";
import { PROBES, type ProbeName, runProbe } from "./probes.ts";

it.each(Object.keys(PROBES) as ProbeName[])("A probe breaks nothing in the engine: %s", async (name) => {
  expect(await runProbe(name)).toEqual([]);
});

it("Each probe is named by a mutation", () => {
  const named = new Set<string>(MUTATIONS.map(({ caughtBy }) => caughtBy));
  expect(Object.keys(PROBES).filter((name) => !named.has(name))).toEqual([]);
});
