import { chmodSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fenceOf } from "../../shared/engine/acquire.ts";
import { SqliteLedger } from "../../shared/platform/embedded/sqlite-ledger.ts";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { millrace } from "../support/process.ts";

const COUNTER = join(PACKAGE, "test/e2e/pipelines/counter.ts");

/**
 * Creates a home in which the tasks of the counter's batch 1 have reported progress. Partition 0 is
 * already written.
 */
async function homeAtWork(): Promise<string> {
  const home = temporaryFolder();
  const args = ["run", COUNTER, "--once", "--home", home];
  await millrace(args);
  await millrace([...args, "--max-attempts", "1"], { COUNTER_FAULT: "fail always" });
  const ledger = new SqliteLedger(join(home, "ledger.sqlite"));
  const { head } = await ledger.acquire({
    pipeline: "counter",
    owner: { id: "elsewhere", description: "process 7 on desk" },
    now: Date.now(),
    leaseMilliseconds: 1,
    newIncarnation: "",
  });
  const fence = fenceOf(head);
  const aborted = await ledger.batch("counter", 1);
  if (aborted === undefined) throw new Error("there is no batch 1");
  const batch = await ledger.replan(fence, aborted, Date.now());
  const task = { partition: 0, message: null, rows: 10, bytes: 214, milliseconds: 4000, attemptNumber: 0 };
  await ledger.recordTask({ ...batch, partition: 0 }, { ...task, writerId: "w", recordedAt: Date.now() });
  const told = { attemptNumber: 1, startedAt: Date.now() - 90_000, reportedAt: Date.now() - 5000 } as const;
  for (const partition of [0, 1])
    await ledger.reportProgress(
      { ...batch, partition },
      { ...told, partition, rows: 850, bytes: 0, waitsFor: "source", progressedAt: Date.now() - 60_000 },
    );
  ledger.close();
  return home;
}

describe("a batch that is being written", () => {
  const json = async (home: string, ...args: string[]) =>
    JSON.parse((await millrace([...args, "--home", home, "--json"])).stdout) as object;

  it("The command `batch` shows rows, bytes, rate and offsets of each partition, finished or not", async () => {
    const home = await homeAtWork();
    const { stdout } = await millrace(["batch", "1", "--home", home]);
    expect(stdout).toMatch(/^ +0 +10 +214 B +4\.0 s +2\.5 +0 +\{"from":20,"to":30\}$/m);
    expect(stdout).toMatch(
      // The line fits 80 columns; --json has the rest.
      /^ +1 +850 +1 m 25 s +10 +source +55\.0 s +\S+ s ago +\{"from":30,"t/m,
    );
    expect(await json(home, "batch", "1")).toMatchObject({
      state: "planned",
      tasks: [
        {
          partition: 0,
          rows: 10,
          rowsPerSecond: 2.5,
          startedAt: expect.any(String) as string,
          value: { from: 20, to: 30 },
        },
      ],
      running: [
        {
          partition: 1,
          rows: 850,
          rowsPerSecond: 10,
          waitsFor: "source",
          progressedAt: expect.any(String) as string,
          value: { from: 30, to: 40 },
        },
      ],
      unfinished: [1],
    });
  });

  it("The command `status` lists partitions that run for long, and since when they stand still", async () => {
    const home = await homeAtWork();
    const { stdout } = await millrace(["status", "--home", home]);
    expect(stdout).toMatch(
      /^ +partition 1 +850 rows, 0 B, 10 rows\/s; nothing from the source for 55\.0 s$/m,
    );
    expect(await json(home, "status")).toMatchObject({
      openBatch: { tasksDone: 1, running: [{ partition: 1, waitsFor: "source", rows: 850 }] },
    });
  });

  it("A user without write access can look at a batch that is being written", async () => {
    const home = await homeAtWork();
    chmodSync(join(home, "ledger.sqlite"), 0o444);
    chmodSync(home, 0o555);
    try {
      expect(await json(home, "status")).toMatchObject({ pipeline: "counter", openBatch: { batchId: 1 } });
      expect(await json(home, "batch", "0")).toMatchObject({ state: "committed" });
    } finally {
      chmodSync(home, 0o755);
    }
  });
});
