import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { killTree, millrace, type Running, startMillrace } from "../support/process.ts";
import { namedFiles, stagedFiles } from "../support/table.ts";

/**
 * The pipeline of these tests. If a test sets the fault, partition 1 of batch 1 (rows 30 to 39)
 * returns three rows and then hangs.
 */
const COUNTER = join(PACKAGE, "test/e2e/pipelines/counter.ts");
const PLACE = { pipeline: "counter", batchId: 1, partition: 1, attempt: 1 };
const MESSAGE = expect.stringMatching(
  /^the source has given nothing for \d+ s, after 3 rows of the partition \{"from":30,"to":40\}, offsets \{"n":20\} to \{"n":40\}$/,
) as string;

async function printed(running: Running, text: string): Promise<void> {
  for (let i = 0; i < 2000 && !running.stderr().includes(text); i++) await setTimeout(10);
  expect(running.stderr()).toContain(text);
}

type Event = { readonly type: string };

const eventsOf = (stdout: string) =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Event);

const numbers = async (home: string) =>
  (await millrace(["cat", "counter", "--home", home, "--json"])).stdout
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { n: number }).n)
    .sort((a, b) => a - b);

describe("a partition whose source hangs", () => {
  it("A partition whose source hangs is reported with its offsets, and the run goes on waiting", async () => {
    const home = temporaryFolder();
    const running = startMillrace(["run", COUNTER, "--home", home, "--stall-after", "1s"], {
      COUNTER_FAULT: "hang",
    });
    await printed(running, "stalled: partition 1: the source has given nothing for ");
    await printed(running, " s, after 3 rows");
    expect(running.stderr()).toContain('of the partition {"from":30,"to":40}, offsets {"n":20} to {"n":40}');
    expect(running.stderr()).not.toContain("retry");
    expect(running.process.exitCode).toBeNull();
    killTree(running.process);
    await running.ended;
  });

  it("A stalled partition that must fail is tried again, aborts its batch with its place and is replayed", async () => {
    const home = temporaryFolder();
    const args = ["run", COUNTER, "--home", home, "--json"];
    const fail = ["--stall-after", "1s", "--fail-stalled", "--max-attempts", "2"];
    const { code, stdout } = await millrace([...args, ...fail], { COUNTER_FAULT: "hang" });
    expect(code).toBe(1);
    const events = eventsOf(stdout);
    const stalled = {
      waitsFor: "source",
      rows: 3,
      value: { from: 30, to: 40 },
      start: { n: 20 },
      end: { n: 40 },
    };
    expect(events.filter(({ type }) => type === "stalled")).toMatchObject([
      { where: { ...PLACE, attemptNumber: 0 }, ...stalled, fails: true, message: MESSAGE },
      { where: { ...PLACE, attemptNumber: 1 }, ...stalled, fails: true, message: MESSAGE },
    ]);
    expect(events.filter(({ type }) => type === "retry")).toMatchObject([
      { error: { code: "PARTITION_STALLED", where: { ...PLACE, attemptNumber: 0 }, message: MESSAGE } },
    ]);
    expect(events.at(-1)).toMatchObject({
      type: "error",
      code: "PARTITION_STALLED",
      where: { ...PLACE, attemptNumber: 1 },
      message: MESSAGE,
    });
    const { stdout: batches } = await millrace(["batches", "counter", "--home", home, "--json"]);
    expect(eventsOf(batches).at(-1)).toMatchObject({
      batchId: 1,
      state: "aborted",
      error: { code: "PARTITION_STALLED", message: MESSAGE },
      progress: null,
    });

    const again = await millrace([...args, ...fail], { COUNTER_FAULT: "hang once" });
    expect(again.code).toBe(0);
    expect(eventsOf(again.stdout)).toContainEqual(
      expect.objectContaining({ type: "batch", batchId: 1, attempt: 2, state: "committed" }),
    );
    expect(await numbers(home)).toEqual(Array.from({ length: 60 }, (_, n) => n));
    const table = join(home, "counter/table");
    expect(stagedFiles(table)).toEqual(namedFiles(table));
  });
});

describe("a run", () => {
  it("A run prints each partition's figures and each batch's progress, which the ledger keeps", async () => {
    const home = temporaryFolder();
    const { stdout } = await millrace(["run", COUNTER, "--home", home, "--json"]);
    const events = eventsOf(stdout);
    const figures = {
      rows: 10,
      bytes: expect.any(Number) as number,
      rowsPerSecond: expect.any(Number) as number,
    };
    const written = events.filter((event) => "state" in event && event.state === "written");
    expect(written).toHaveLength(6);
    expect(written).toContainEqual({
      type: "partition",
      batchId: 0,
      attempt: 1,
      partition: 1,
      attemptNumber: 0,
      state: "written",
      milliseconds: expect.any(Number) as number,
      ...figures,
    });
    const records = events.flatMap((event) =>
      event.type === "batchProgress" && "progress" in event ? [event.progress] : [],
    );
    expect(records).toMatchObject([
      { name: "counter", batchId: 0, numInputRows: 20 },
      { name: "counter", batchId: 1, numInputRows: 20, inputRowsPerSecond: expect.any(Number) as number },
      { name: "counter", batchId: 2, sources: [{ startOffset: { n: 40 }, endOffset: { n: 60 } }] },
    ]);
    const { stdout: batches } = await millrace(["batches", "counter", "--home", home, "--json"]);
    expect(eventsOf(batches)).toMatchObject(records.map((progress) => ({ progress })));
  });

  it("A run says which method of the source does not answer while it plans a batch", async () => {
    const home = temporaryFolder();
    const running = startMillrace(["run", COUNTER, "--home", home, "--stall-after", "1s"], {
      COUNTER_FAULT: "hang in planning",
    });
    await printed(running, "warning PLANNING_STALLED: latestOffset() has not answered for 1s");
    killTree(running.process);
    await running.ended;
  });

  it("A run says which call does not answer at the end of a batch", async () => {
    const home = temporaryFolder();
    const running = startMillrace(["run", COUNTER, "--home", home, "--stall-after", "1s"], {
      COUNTER_FAULT: "hang in commit",
    });
    await printed(
      running,
      'warning COMMIT_STALLED: commit() of the source has not answered for 1 s, at the end of batch 0 of "counter"',
    );
    killTree(running.process);
    await running.ended;
  });

  it.each(["soon", "10ms"])("A run with --stall-after %s is refused with exit code 2", async (after) => {
    const { code, stderr } = await millrace(["run", COUNTER, "--stall-after", after]);
    expect(stderr).toContain("--stall-after");
    expect(code).toBe(2);
  });
});
