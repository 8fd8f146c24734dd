import { describe, expect, it } from "vitest";
import { ledgerStepProblem } from "./ledger-rules.ts";
import { MemoryLedger } from "./memory-ledger.ts";
import { scenarioOf } from "./scenarios.ts";
import { replay, scheduleOf } from "./schedule.ts";
import { Search } from "./search.ts";
import { StateTable } from "./state-table.ts";
import { World } from "./world.ts";

describe("the exhaustive search", () => {
  it("A run with a fault at any of its calls breaks no rule in any state", async () => {
    const result = await new Search(scenarioOf("run")).run();
    expect(result.violation).toBeUndefined();
    expect(result.states).toBeGreaterThan(1000);
    expect(result.depth).toBeGreaterThan(20);
  });

  it("A search finds as many states and transitions each time", async () => {
    const search = () => new Search({ ...scenarioOf("two-runs-one-task"), faults: 0 }).run();
    expect(await search()).toEqual(await search());
  });

  it("A schedule is carried out step by step, and judged at its end", async () => {
    const lines = await Array.fromAsync(replay("run A0? L0 A0"));
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(/^A0\? {3}run A: plan: ledger.acquire fails with an error/);
    expect(lines[1]).toContain("the call ledger.acquire that had failed takes effect");
    expect(lines[2]).toContain("run A: plan, try 1: ledger.acquire");
    expect(lines.at(-1)).toBe("✓ nothing was broken");
  });

  it("A schedule with a step that is not possible is refused", async () => {
    await expect(Array.fromAsync(replay("run A0 A1"))).rejects.toThrow("not possible here");
    await expect(Array.fromAsync(replay("run B0"))).rejects.toThrow("not a step of the scenario");
    await expect(Array.fromAsync(replay("nothing A0"))).rejects.toThrow("there is no scenario");
  });

  it("The text of a schedule names the scenario, the runs and the faults", () => {
    const text = scheduleOf(scenarioOf("vacuum"), [
      { kind: "answer", run: 0, process: 0 },
      { kind: "error for good", run: 0, process: 1 },
      { kind: "land", run: 0, process: 0 },
      { kind: "answer", run: 1, process: 0 },
    ]);
    expect(text).toBe("vacuum A0 A1! L0 V0");
  });

  it("A table of states finds each of many states again, and the way to it", () => {
    const table = new StateTable(2);
    const stateOf = (n: number) => Int32Array.of(n % 700, Math.floor(n / 700));
    const count = 200_000;
    const numbers = Array.from({ length: count }, (_, n) => n);
    expect(numbers.every((n) => table.add(stateOf(n), n - 1, n % 7) === n)).toBe(true);
    expect(numbers.every((n) => table.add(stateOf(n), 0, 0) === -1)).toBe(true);
    const read = new Int32Array(2);
    table.read(123_456, read);
    expect(read).toEqual(stateOf(123_456));
    expect(table.wayTo(123_456)).toEqual({ before: 123_455, step: 123_456 % 7 });
  });
});

const FENCE = { pipeline: "numbers", incarnation: "i", epoch: 1 };

/** Returns a ledger with one open batch. */
async function opened(): Promise<MemoryLedger> {
  const ledger = new MemoryLedger();
  const owner = { id: "a", description: "run a" };
  await ledger.acquire({ pipeline: "numbers", owner, now: 0, leaseMilliseconds: 0, newIncarnation: "i" });
  const plan = { partitionsKey: "p", tasks: 1, schema: "" };
  const range = { start: { n: 0 }, end: { n: 1 } };
  await ledger.plan(FENCE, { incarnation: "i", batchId: 0, planId: "x", now: 0, ...range, ...plan });
  return ledger;
}

describe("the judge of the ledger's steps", () => {
  it.each([
    ["an attempt that was planned became committed", { state: "committed" }],
    ["an attempt that was planned became aborted", { state: "aborted" }],
    ["the plan of an attempt changed", { partitionsKey: "q" }],
    ["the attempt of a batch went back", { attempt: 0 }],
    ["an attempt of a batch was left out", { attempt: 3 }],
    ["the offsets of a batch changed", { end: { n: 2 } }],
  ] as const)('A step of a batch is judged with "%s"', async (problem, change) => {
    const { records } = await opened();
    const [[key, batch] = ["", undefined]] = Object.entries(records.batches);
    const after = { ...records, batches: { [key]: { ...batch, ...change } } } as typeof records;
    expect(ledgerStepProblem(records, after, new World().call("ledger", "decide", [FENCE]))).toBe(problem);
  });

  it.each([
    ["the epoch went back", { epoch: 0 }],
    ["the next batch id went back", { nextBatchId: 0 }],
    ["the pipeline got another incarnation", { incarnation: "j" }],
    ["the offset moved without a commit", { offset: { n: 1 } }],
    ["the offset went back", { offset: { n: -5 } }],
  ] as const)('A step of a head is judged with "%s"', async (problem, change) => {
    const { records } = await opened();
    const heads = { numbers: { ...records.heads["numbers"], ...change } };
    const after = { ...records, heads } as unknown as typeof records;
    expect(ledgerStepProblem(records, after, new World().call("ledger", "plan", [FENCE]))).toBe(problem);
  });

  it("A change by a run with an old epoch is judged, and one by the present run is not", async () => {
    const { records: before } = await opened();
    const ledger = new MemoryLedger(before);
    const batch = await ledger.batch("numbers", 0);
    if (batch === undefined) throw new Error("there is no batch");
    await ledger.decide(FENCE, batch, { to: "aborting" });
    const judge = (epoch: number) =>
      ledgerStepProblem(before, ledger.records, new World().call("ledger", "decide", [{ ...FENCE, epoch }]));
    expect(judge(1)).toBeUndefined();
    expect(judge(2)).toBe("a run that lost the pipeline changed the ledger");
  });
});
