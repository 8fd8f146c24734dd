import { describe, expect, it } from "vitest";
import { type Case, play } from "./cases.ts";
import { LateCalls } from "./late-calls.ts";

describe("late calls", () => {
  it("A late call takes effect before the n-th call after it, and only once", async () => {
    const late = new LateCalls();
    const landed: string[] = [];
    late.defer(2, async () => landed.push("second"));
    late.defer(1, async () => landed.push("first"));
    await late.pass();
    expect(landed).toEqual(["first"]);
    await late.pass();
    await late.pass();
    await late.landAll();
    expect(landed).toEqual(["first", "second"]);
  });

  it("Late calls that are left take effect at the end, also after one that fails", async () => {
    const late = new LateCalls();
    const landed: string[] = [];
    late.defer(9, () => Promise.reject(new Error("refused")));
    late.defer(9, async () => landed.push("landed"));
    await late.landAll();
    expect(landed).toEqual(["landed"]);
  });

  it("A late record of a task is there when the run tries the task again", async () => {
    const at = "ledger.recordTask";
    const late: Case = { kind: "late", runs: [[{ at, kind: "late", after: 3 }]] };
    expect(await play(late)).toEqual({ violations: [], met: late.runs });
  });

  it("A call of the source or the sink is never late", async () => {
    const { met } = await play({ kind: "late", runs: [[{ at: "sink.commit", kind: "late", after: 3 }]] });
    expect(met).toEqual([[]]);
  });
});
