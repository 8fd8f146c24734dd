import { describe, expect, it } from "vitest";
import { runNamed } from "../../scripts/mutations.ts";
import { MUTATIONS } from "./all-mutations.ts";
import { type Case, play } from "./cases.ts";
import { NAMED_CASES } from "./named-cases.ts";

const NAMED = Object.entries<Case>(NAMED_CASES);

describe("the named cases", () => {
  it.each(NAMED)(
    "A named case breaks nothing in the engine and meets each of its faults: %s",
    async (_, test) => {
      const { violations, met } = await play(test);
      expect(violations).toEqual([]);
      // A fault is missing in `met` if it did not happen because no run makes its call any more.
      expect(met).toEqual(test.runs);
    },
  );

  it("Each named case is named by a mutation", () => {
    const named = new Set<string>(MUTATIONS.map(({ caughtBy }) => caughtBy));
    expect(Object.keys(NAMED_CASES).filter((name) => !named.has(name))).toEqual([]);
  });
});

describe("the mutations", () => {
  it("The mutations remove each rule of the engine", () => {
    const rules = new Set(MUTATIONS.map(({ rule }) => rule).filter((rule) => rule !== "mistake"));
    // Rule 18 is outside of the engine, and test/e2e removes it.
    expect(rules).toEqual(new Set([...Array(17).keys(), 18, 19, 20, 21, 22, 23].map((i) => String(i + 1))));
  });
});

describe("a mutation", () => {
  const named = { caughtBy: "a rewind of the last batch", shows: "rows are lost" } as const;
  /**
   * Returns an engine that reports the violations `withAct` for cases with an act, and `without`
   * for all other cases.
   */
  const engine = (withAct: readonly string[], without: readonly string[] = []) => ({
    runCase: async (test: Case) => (test.act === undefined ? without : withAct),
    runProbe: async () => withAct,
  });

  it("A mutation is caught if its case shows the violation that it names", async () => {
    const { isCaught } = await runNamed(engine(["8 rows are lost", "a batch is left open"]), named);
    expect(isCaught).toBe(true);
  });

  it.each([[[]], [["rows are doubled"]]])(
    "A mutation is not caught if its case shows %j instead",
    async (shown) => {
      const { isCaught, verdict } = await runNamed(engine(shown), named);
      expect(isCaught).toBe(false);
      expect(verdict).toContain(`shows ${shown[0] ?? "nothing"}, not "rows are lost"`);
    },
  );

  it("A mutation is not caught if it also breaks a run without a fault", async () => {
    const broken = await runNamed(engine(["8 rows are lost"], ["8 rows are lost"]), named);
    expect(broken).toEqual({
      isCaught: false,
      verdict: "breaks a run without a fault: 8 rows are lost",
    });
  });

  it("A mutation may name the run without a fault as its case", async () => {
    const { isCaught } = await runNamed(engine([], ["8 rows are lost"]), {
      caughtBy: "a run without a fault",
      shows: "rows are lost",
    });
    expect(isCaught).toBe(true);
  });
});
