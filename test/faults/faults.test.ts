import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ACTS } from "./acts.ts";
import { type Case, countCalls, runCase } from "./cases.ts";
import { generator } from "./chance.ts";
import { STAGE_CASES } from "./exchange-cases.ts";
import {
  coordination,
  exchange,
  histories,
  lates,
  MERGE_ACTS,
  merge,
  rowLevel,
  SETUPS,
  singles,
  speculation,
  unusual,
  zombies,
} from "./generators.ts";
import { FAULTS, type Fault, LATE } from "./kinds.ts";
import { MERGE_SHAPE } from "./row-level-cases.ts";
import { COMMAND_NAMES } from "./setup.ts";

/**
 * Tests of all cases with one fault, and of some random cases. If a random case fails, fast-check
 * reduces it to a smaller case. `npm run test:faults` runs thousands of random cases.
 */

const calls = await countCalls();
/** Time limit of a test in milliseconds. It is long enough even for a busy machine. */
const TIMEOUT = 300_000;
const isAsleep = (kind: string) => kind.startsWith("sleep");

/** Runs all cases. Returns their violations, each with the JSON of its case. */
async function broken(cases: readonly Case[]): Promise<readonly string[]> {
  // A test without any case would always pass.
  expect(cases.length).toBeGreaterThan(0);
  const problems: string[] = [];
  for (const test of cases)
    for (const what of await runCase(test)) problems.push(`${what}: ${JSON.stringify(test)}`);
  return problems;
}

/** Returns the cases whose first fault is of this kind. */
function of(cases: readonly Case[], kind: string): readonly Case[] {
  return cases.filter(({ runs }) => runs[0]?.[0]?.kind === kind);
}

describe("one fault at each call of a run", { timeout: TIMEOUT }, () => {
  it.each(FAULTS)(
    "One fault at each call of a run loses nothing, doubles nothing and comes to an end: %s",
    async (kind) => {
      expect(await broken(of(singles(calls), kind))).toEqual([]);
    },
  );

  it.each(LATE)(
    "One call that fails and takes effect later loses nothing, doubles nothing and comes to an end: %s",
    async (kind) => {
      expect(await broken(of(lates(calls, generator(1)), kind))).toEqual([]);
    },
  );

  it.each(ACTS)("One fault at each call of a run is followed without harm by: %s", async (act) => {
    expect(await broken(histories(calls).filter((test) => test.act === act))).toEqual([]);
  });

  it.each(FAULTS.filter((kind) => isAsleep(kind) || kind.startsWith("straggle")))(
    "One writer that comes back when others have done its work changes nothing: %s",
    async (kind) => {
      expect(await broken(of(zombies(calls), kind))).toEqual([]);
    },
  );
});

describe("pipelines that are not the usual one", { timeout: TIMEOUT }, () => {
  it.each(Object.keys(SETUPS) as (keyof typeof SETUPS)[])(
    "Random faults of runs and vacuums lose and double nothing: %s",
    async (kind) => {
      const random = generator(7);
      const draw = unusual(kind);
      expect(await broken(Array.from({ length: 40 }, () => draw(calls, random)))).toEqual([]);
    },
  );
});

describe("finalizers beside each other", { timeout: TIMEOUT }, () => {
  it("Two finalizers of a batch at once write its rows into the ledger's database once", async () => {
    const atOnce: Case = {
      kind: "transactional sink",
      runs: [
        [
          { at: "step plan", kind: "sleep after" },
          { at: "step finalize", kind: "straggle before" },
        ],
      ],
      vacuums: true,
      setup: { sink: "transactional" },
    };
    expect(await broken([atOnce])).toEqual([]);
  });
});

describe("attempts of a task beside each other", { timeout: TIMEOUT }, () => {
  it("A second attempt that deletes what it staged while it still reads comes to its end", async () => {
    const straggling: Case = {
      kind: "speculation",
      runs: [
        [
          { at: "source.read #4", kind: "straggle after" },
          { at: "store.delete #2", kind: "straggle before" },
        ],
      ],
      setup: { speculates: true },
    };
    expect(await broken([straggling])).toEqual([]);
  });

  it.each([
    ["coordination", coordination],
    ["speculation", speculation],
    ["exchange", exchange],
    ["row-level", rowLevel],
    ["merge", merge],
  ])("Random faults of attempts and runs lose and double nothing: %s", async (_kind, draw) => {
    const random = generator(11);
    expect(await broken(Array.from({ length: 60 }, () => draw(calls, random)))).toEqual([]);
  });
});

describe("the step that plans a stage", { timeout: TIMEOUT }, () => {
  it.each(Object.entries<Case>(STAGE_CASES))("A stage is planned once in spite of %s", async (_, test) => {
    expect(await broken([test])).toEqual([]);
  });
});

describe("commands that change rows", { timeout: TIMEOUT }, () => {
  it.each(COMMAND_NAMES)(
    "One fault at each call around the commit of a command carries it out once: %s",
    async (name) => {
      const setup = { command: { name } };
      const kinds = FAULTS.filter((kind) => !isAsleep(kind));
      const cases = ["sink.commit", "ledger.finish"].flatMap((at) =>
        kinds.map((kind): Case => ({ kind: "row-level", runs: [[{ at, kind }]], setup })),
      );
      expect(await broken(cases)).toEqual([]);
    },
  );

  it("A command whose plan was lost when its commit had landed, and the ledger was put back, comes to its end", async () => {
    const test: Case = {
      kind: "row-level",
      runs: [
        [
          { at: 9, kind: "late", after: 5 },
          { at: 5, kind: "die before" },
        ],
        [
          { at: 25, kind: "late for good", after: 19 },
          { at: 56, kind: "late", after: 17 },
          { at: 43, kind: "overtaken after" },
        ],
        [{ at: 76, kind: "late for good", after: 15 }],
      ],
      vacuums: true,
      rollback: { keep: 52, back: 172 },
      setup: { largeMessages: true, command: { name: "update", form: "delta", rowsChange: true } },
    };
    expect(await broken([test])).toEqual([]);
  });
});

describe("changes that are merged", { timeout: TIMEOUT }, () => {
  it.each(MERGE_ACTS)("Each key has its newest state after: %s", async (act) => {
    const faults = ["sink.commit", "source.commit", "ledger.finish"].flatMap((at): Fault[][] => [
      [{ at, kind: "stop before" }],
      [{ at, kind: "lost answer" }],
    ]);
    const setup = { merge: true, shape: MERGE_SHAPE } as const;
    expect(await broken(faults.map((run): Case => ({ kind: "merge", runs: [run], act, setup })))).toEqual([]);
  });
});

describe("random faults", { timeout: TIMEOUT }, () => {
  const at = fc.nat({ max: calls.length + 10 });
  const fault: fc.Arbitrary<Fault> = fc.oneof(
    fc.record({ at, kind: fc.constantFrom(...FAULTS) }),
    fc.record({ at, kind: fc.constantFrom(...LATE), after: fc.integer({ min: 1, max: 40 }) }),
  );
  const faults = (maxLength: number) => fc.array(fault, { maxLength });
  const vacuums = fc.boolean();

  /** Runs random cases. If a case fails, prints the seed and the smallest case that fails. */
  async function holds(cases: fc.Arbitrary<Case>, numRuns: number): Promise<void> {
    const property = fc.asyncProperty(cases, async (test) => {
      expect(await runCase(test)).toEqual([]);
    });
    await fc.assert(property, { numRuns });
  }

  it("Two faults lose and double nothing, in one run or in one and the next", async () => {
    const runs = fc.oneof(
      fc.tuple(fault, fault).map((both) => [both]),
      fc.tuple(fault, fault).map(([first, second]) => [[first], [second]]),
    );
    await holds(fc.record({ kind: fc.constant("pair" as const), runs, vacuums }), 150);
  });

  it("Runs at once, which no lease keeps apart, lose and double nothing", async () => {
    const runs = fc.array(faults(2), { minLength: 2, maxLength: 3 });
    const seed = fc.integer({ min: 0, max: 2 ** 31 - 1 });
    await holds(fc.record({ kind: fc.constant("interleaved" as const), runs, seed }), 100);
  });

  it("A vacuum beside the runs, which spares no file for its age, loses and doubles nothing", async () => {
    const runs = fc.array(faults(2), { minLength: 1, maxLength: 3 });
    const seed = fc.integer({ min: 0, max: 2 ** 31 - 1 });
    const kind = fc.constant("vacuum beside" as const);
    await holds(fc.record({ kind, runs, seed, vacuumsBeside: fc.constant(3) }), 50);
  });

  it("Runs that fail one after the other lose and double nothing", async () => {
    const runs = fc.array(faults(3), { minLength: 3, maxLength: 6 });
    await holds(fc.record({ kind: fc.constant("sequence" as const), runs, vacuums }), 75);
  });
});
