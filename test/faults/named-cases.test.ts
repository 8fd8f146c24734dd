import { describe, expect, it } from "vitest";
import { MUTATIONS } from "../../scripts/mutations.ts";
import { type Case, play } from "./cases.ts";
import { NAMED_CASES } from "./named-cases.ts";

const NAMED = Object.entries<Case>(NAMED_CASES);

describe("the named cases", () => {
  it.each(NAMED)("break nothing, and meet each of their faults: %s", async (_, test) => {
    const { violations, met } = await play(test);
    expect(violations).toEqual([]);
    // A fault at a call that no run makes any more would be one that never happens.
    expect(met).toEqual(test.runs);
  });

  it("are each named by a mutation", () => {
    expect(new Set(MUTATIONS.map(({ caughtBy }) => caughtBy))).toEqual(new Set(Object.keys(NAMED_CASES)));
  });
});

describe("the mutations", () => {
  it("remove each of the fourteen rules", () => {
    const rules = new Set(MUTATIONS.map(({ rule }) => rule).filter((rule) => rule !== "mistake"));
    expect(rules).toEqual(new Set(Array.from({ length: 14 }, (_, i) => String(i + 1))));
  });
});
