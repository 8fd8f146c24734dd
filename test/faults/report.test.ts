import { describe, expect, it } from "vitest";
import type { Result } from "./batch.ts";
import { KINDS, type Kind } from "./cases.ts";
import { fixedTotal } from "./mix.ts";
import { report } from "./report.ts";

const CALLS = Array.from({ length: 77 }, () => "sink.commit");
const ALL = Object.fromEntries(KINDS.map((kind, i) => [kind, i + 1])) as Record<Kind, number>;
const SUM = Object.values(ALL).reduce((sum, count) => sum + count, 0);

function result(changes: Partial<Result> = {}): Result {
  return { calls: CALLS, cases: ALL, failed: {}, failures: [], ...changes };
}

describe("the report of a fault run", () => {
  it("The report says how many cases of each kind were run, and how many there are", () => {
    const { lines, problems } = report([result(), result({ cases: { ...ALL, single: 2000 } })]);
    expect(problems).toEqual([]);
    expect(lines.map((line) => line.replace(/ +/g, " "))).toEqual([
      "fault points 77",
      ...KINDS.map((kind) => {
        const total = fixedTotal(kind, CALLS);
        const number = kind === "single" ? "2,001" : String(2 * ALL[kind]);
        return `${kind} ${number}${total === undefined ? "" : ` of ${total.toLocaleString("en")}`} cases, 0 failed`;
      }),
      `${(2000 + 2 * SUM - 1).toLocaleString("en")} cases, 0 failed`,
    ]);
  });

  it("The report has a problem for each kind of which no case was run", () => {
    const { pair: _, ...others } = ALL;
    expect(report([result({ cases: others })]).problems).toEqual(["no case of kind pair was run"]);
  });

  it("The report prints a failed case as the flag that runs it again", () => {
    const test = { kind: "pair", runs: [[{ at: 3, kind: "fail" }]] } as const;
    const failures = [{ test, violations: ["rows are doubled", "a batch is left open"] }];
    const { lines, problems } = report([result({ failed: { pair: 1 }, failures })]);
    expect(lines.at(-1)).toBe(`${SUM} cases, 1 failed`);
    expect(problems).toEqual([
      `rows are doubled; a batch is left open\n  --case '{"kind":"pair","runs":[[{"at":3,"kind":"fail"}]]}'`,
    ]);
  });

  it("The report prints ten failed cases and the number of the others", () => {
    const test = { kind: "pair", runs: [] } as const;
    const failures = Array.from({ length: 12 }, () => ({ test, violations: ["rows are doubled"] }));
    const { problems } = report([result({ failures })]);
    expect(problems).toHaveLength(11);
    expect(problems.at(-1)).toBe("2 more cases failed");
  });
});
