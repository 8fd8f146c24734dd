import { describe, expect, it } from "vitest";
import type { Result } from "./batch.ts";
import { report } from "./report.ts";

const ALL = { single: 1, history: 2, zombie: 3, takeover: 4, pair: 5, interleaved: 6, sequence: 7 };

function result(changes: Partial<Result> = {}): Result {
  return { calls: 77, cases: ALL, failed: {}, failures: [], ...changes };
}

describe("the report of a fault run", () => {
  it("The report says how many cases of each kind were run, and how many there are", () => {
    const { lines, problems } = report([result(), result({ cases: { ...ALL, single: 2000 } })]);
    expect(problems).toEqual([]);
    expect(lines.map((line) => line.replace(/ +/g, " "))).toEqual([
      "fault points 77",
      "single 2,001 of 2,310 cases, 0 failed",
      "history 4 of 1,848 cases, 0 failed",
      "zombie 6 of 616 cases, 0 failed",
      "takeover 8 of 6,084 cases, 0 failed",
      "pair 10 cases, 0 failed",
      "interleaved 12 cases, 0 failed",
      "sequence 14 cases, 0 failed",
      "2,055 cases, 0 failed",
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
    expect(lines.at(-1)).toBe("28 cases, 1 failed");
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
