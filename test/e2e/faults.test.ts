import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Feed, type FeedOptions, startFeed } from "../../examples/earthquakes/feed.ts";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { EARTHQUAKES, killTree, millrace, type Running, startMillrace } from "../support/process.ts";
import { ROOT } from "../support/root.ts";
import { namedFiles, stagedFiles } from "../support/table.ts";

const COUNTER = join(PACKAGE, "test/e2e/pipelines/counter.ts");

async function feedWith(options: FeedOptions): Promise<Feed> {
  const feed = await startFeed(options);
  onTestFinished(() => feed.close());
  return feed;
}

interface Row {
  readonly n: number;
}

async function numbers(home: string): Promise<number[]> {
  const { stdout } = await millrace(["cat", "counter", "--home", home, "--json"]);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as Row).n)
    .sort((a, b) => a - b);
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

/** Waits until a run has printed `text` to stderr. */
async function printed(running: Running, text: string): Promise<void> {
  for (let i = 0; i < 1000 && !running.stderr().includes(text); i++) await setTimeout(10);
  expect(running.stderr()).toContain(text);
}

/** Waits until the open batch has this many finished tasks. */
async function hasWritten(home: string, tasks: number): Promise<void> {
  for (let i = 0; i < 100; i++) {
    const { stdout } = await millrace(["status", "--home", home, "--json"]);
    if ((JSON.parse(stdout) as { openBatch: { tasksDone: number } | null }).openBatch?.tasksDone === tasks)
      return;
  }
  throw new Error(`the open batch never had ${tasks} finished tasks`);
}

/** Opens the ledger of a home in a new process and returns the exit code of the process. */
async function openLedger(home: string): Promise<number | null> {
  const script = `
    import { SqliteLedger } from ${JSON.stringify(join(PACKAGE, "dist/shared/platform/embedded/sqlite-ledger.js"))};
    new SqliteLedger(${JSON.stringify(join(home, "ledger.sqlite"))});`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "ignore" });
  return await new Promise((resolve) => child.once("exit", resolve));
}

describe("a feed that always answers 500 for one page", () => {
  it("A feed that always answers 500 for one page aborts the batch, which is later replayed as it was", async () => {
    let isBroken = true;
    const feed = await feedWith({
      fault: (query) =>
        // The request begins a second before the partition.
        isBroken && query.get("starttime") === "2018-02-01T11:59:59.000Z"
          ? { status: 500, retryAfter: "0" }
          : undefined,
    });
    const home = temporaryFolder();
    const run = () => millrace(["run", EARTHQUAKES, "--home", home, "--json"], { EARTHQUAKES_URL: feed.url });
    const table = join(home, "earthquakes/table");
    for (const attempt of [1, 2]) {
      const { code, stdout } = await run();
      expect(code).toBe(1);
      const events = stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as { type: string });
      expect(events.findLast((event) => event.type === "batch")).toMatchObject({
        batchId: 1,
        attempt,
        state: "aborted",
      });
      expect(events.at(-1)).toMatchObject({
        type: "error",
        code: "HTTP_STATUS",
        where: { pipeline: "earthquakes", batchId: 1, partition: 2, attempt, attemptNumber: 2, status: 500 },
      });
      expect(JSON.stringify(events.at(-1))).toContain(`${feed.url}?starttime=2018-02-01T11`);
      expect(stagedFiles(table)).toEqual(namedFiles(table));
      expect(namedFiles(table)).toHaveLength(4);
    }
    isBroken = false;
    const { code, stdout } = await run();
    expect(code).toBe(0);
    expect(stdout).toContain(
      '"type":"planned","batchId":1,"attempt":3,"start":{"time":"2018-02-01T00:00:00.000Z"},"end":{"time":"2018-02-02T00:00:00.000Z"}',
    );
    expect(stdout).toContain('"batches":7,"rows":1509');
    expect(stagedFiles(table)).toEqual(namedFiles(table));
  });
});

describe("a source that yields a row that does not fit", () => {
  it("A row that does not fit fails the run at once with its number, field, expected type and value", async () => {
    const home = temporaryFolder();
    const { code, stderr } = await millrace(["run", COUNTER, "--home", home], { COUNTER_FAULT: "bad row" });
    expect(code).toBe(1);
    expect(stderr).toContain('error ROW_MISMATCH: row 4, field "word": expected string, found an integer');
    expect(stderr).toContain("found: 7");
    expect(stderr).toContain(
      "where: pipeline counter, batch 1, partition 1, batch attempt 1, task attempt 0, row 4, field word",
    );
    expect(stderr).not.toContain("retry");
  });

  it("The ledger does not keep the value of a row that does not fit", async () => {
    const home = temporaryFolder();
    await millrace(["run", COUNTER, "--home", home], { COUNTER_FAULT: "bad row" });
    const { stdout } = await millrace(["batches", "counter", "--home", home, "--json"]);
    const error = (JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as { error: object }).error;
    expect(error).toMatchObject({ code: "ROW_MISMATCH", where: { row: 4, field: "word" } });
    expect(error).not.toHaveProperty("found");
  });

  it("The error of a missing field says that null would fit", async () => {
    const { stderr } = await millrace(["run", COUNTER, "--home", temporaryFolder()], {
      COUNTER_FAULT: "missing field",
    });
    expect(stderr).toContain('row 4, field "word": expected string, found nothing');
    expect(stderr).toContain('give null where "word" has no value');
  });
});

describe("a task", () => {
  it("A task that fails twice succeeds at the third attempt", async () => {
    const home = temporaryFolder();
    const { code, stderr } = await millrace(["run", COUNTER, "--home", home], {
      COUNTER_FAULT: "fail twice",
    });
    expect(stderr.match(/retry in .*partition 1: (?:Error: the source is tired|as before)$/gm)).toHaveLength(
      2,
    );
    expect(code).toBe(0);
    expect(await numbers(home)).toEqual(upTo(60));
  });

  it("A task whose code tries to end the process fails like any other and is tried again", async () => {
    const home = temporaryFolder();
    const { code, stderr } = await millrace(["run", COUNTER, "--home", home, "--max-attempts", "2"], {
      COUNTER_FAULT: "exit",
    });
    expect(code).toBe(1);
    expect(stderr).toContain("retry in");
    expect(stderr).toContain("error PROCESS_EXIT");
    expect((await millrace(["run", COUNTER, "--home", home])).code).toBe(0);
    expect(await numbers(home)).toEqual(upTo(60));
  });
});

describe("a task that cannot be stopped", () => {
  it("A task that cannot be stopped is ended with its thread when another task has failed for good", async () => {
    const home = temporaryFolder();
    const { code, stderr } = await millrace(
      ["run", COUNTER, "--home", home, "--max-attempts", "1", "--max-concurrency", "2"],
      {
        COUNTER_FAULT: "stuck",
      },
    );
    expect(code).toBe(1);
    expect(stderr).toContain("error SOURCE_FAILED: read() failed: Error");
    expect(stderr).toContain("Error: the source is ill");
    expect((await millrace(["run", COUNTER, "--home", home])).code).toBe(0);
    expect(await numbers(home)).toEqual(upTo(60));
  });
});

describe("the output of a pipeline's own code", () => {
  it("The output of a pipeline's own code goes to stderr, so that stdout has only the run's JSON", async () => {
    const { stdout, stderr } = await millrace(["run", COUNTER, "--home", temporaryFolder(), "--json"]);
    for (const line of stdout.trimEnd().split("\n")) expect(() => JSON.parse(line) as unknown).not.toThrow();
    expect(stderr).toContain("planning");
    expect(stderr).toContain("reading");
  });
});

describe("an acknowledgement that fails", () => {
  it("An acknowledgement that fails fails the run, keeps the batch and is repeated first by the next run", async () => {
    const home = temporaryFolder();
    const failed = await millrace(["run", COUNTER, "--home", home], { COUNTER_FAULT: "commit offset" });
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain("error SOURCE_FAILED: commit() failed: Error");
    expect(failed.stderr).toContain("Error: cannot forget");
    expect(failed.stdout).toMatch(/^ +1 .*committed$/m);
    const status = async () =>
      JSON.parse((await millrace(["status", "--home", home, "--json"])).stdout) as object;
    expect(await status()).toMatchObject({
      lastCommittedBatchId: 1,
      unacknowledgedBatchId: 1,
      openBatch: null,
    });
    expect((await millrace(["run", COUNTER, "--home", home])).code).toBe(0);
    expect(await status()).toMatchObject({ lastCommittedBatchId: 2, unacknowledgedBatchId: null });
    expect(await numbers(home)).toEqual(upTo(60));
  });
});

describe("two runners at once on one home", () => {
  it("Two runners on one home do not disturb each other: one works, the other names it and exits with 3", async () => {
    const home = temporaryFolder();
    const env = { COUNTER_DELAY: "20" };
    const runs = await Promise.all([0, 1].map(() => millrace(["run", COUNTER, "--home", home], env)));
    expect(runs.map((run) => run.code).sort()).toEqual([0, 3]);
    const refused = runs.find((run) => run.code === 3);
    expect(refused?.stderr).toMatch(
      /error LEASE_HELD: pipeline "counter" is being run by process \d+ on \S+/,
    );
    expect(await numbers(home)).toEqual(upTo(60));
  });

  it("Two runners at once may both create the home", async () => {
    for (let round = 0; round < 5; round++) {
      const home = temporaryFolder();
      const opens = Array.from({ length: 6 }, () => openLedger(home));
      expect(await Promise.all(opens)).toEqual([0, 0, 0, 0, 0, 0]);
    }
  });

  it("Two runners at once leave one winner also if a run before them was killed", async () => {
    const home = temporaryFolder();
    const env = { COUNTER_DELAY: "20" };
    const killed = startMillrace(["run", COUNTER, "--home", home], env);
    await printed(killed, "batch 1");
    killTree(killed.process);
    await killed.ended;
    const runs = await Promise.all([0, 1, 2].map(() => millrace(["run", COUNTER, "--home", home], env)));
    expect(runs.map((run) => run.code).sort()).toEqual([0, 3, 3]);
    expect(await numbers(home)).toEqual(upTo(60));
  });
});

describe("SIGINT", () => {
  it("One SIGINT stops the tasks, keeps finished ones and exits with 130, and the next run resumes", async () => {
    const home = temporaryFolder();
    const running = startMillrace(["run", COUNTER, "--home", home, "--max-concurrency", "1"], {
      COUNTER_FAULT: "hang",
    });
    await printed(running, "batch 1: 20");
    await hasWritten(home, 1);
    running.process.kill("SIGINT");
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    expect(stderr).toContain("interrupted; batch 1 goes on with the next run");
    const resumed = await millrace(["run", COUNTER, "--home", home]);
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toContain("batch 1, resumed: 20 → 40, 1 of 2 partitions to write");
    expect(await numbers(home)).toEqual(upTo(60));
    const table = join(home, "counter/table");
    expect(stagedFiles(table)).toEqual(namedFiles(table));
  });

  it("One SIGINT while a task waits for its retry keeps the finished tasks, too", async () => {
    const home = temporaryFolder();
    const running = startMillrace(["run", COUNTER, "--home", home, "--max-attempts", "20"], {
      COUNTER_FAULT: "fail always",
    });
    await printed(running, "retry in");
    await hasWritten(home, 1);
    running.process.kill("SIGINT");
    expect((await running.ended).code).toBe(130);
    const resumed = await millrace(["run", COUNTER, "--home", home]);
    expect(resumed.stderr).toContain("batch 1, resumed: 20 → 40, 1 of 2 partitions to write");
    expect(await numbers(home)).toEqual(upTo(60));
  });

  it("One SIGINT stops a source that hangs in a task", async () => {
    const home = temporaryFolder();
    const running = startMillrace(["run", COUNTER, "--home", home], { COUNTER_FAULT: "hang" });
    await printed(running, "batch 1: 20");
    await setTimeout(200);
    running.process.kill("SIGINT");
    expect((await running.ended).code).toBe(130);
  });

  it("One SIGINT stops a source that hangs in planning, too", async () => {
    const home = temporaryFolder();
    const running = startMillrace(["run", COUNTER, "--home", home], { COUNTER_FAULT: "hang in planning" });
    await printed(running, "batch 0 committed");
    running.process.kill("SIGTERM");
    expect((await running.ended).code).toBe(143);
    expect((await millrace(["run", COUNTER, "--home", home])).code).toBe(0);
    expect(await numbers(home)).toEqual(upTo(60));
  });

  it("A second SIGINT leaves at once, and the next run resumes", async () => {
    const home = temporaryFolder();
    const running = startMillrace(["run", COUNTER, "--home", home], {
      COUNTER_FAULT: "stuck",
      COUNTER_DELAY: "30",
    });
    await printed(running, "batch 1: 20");
    running.process.kill("SIGINT");
    await printed(running, "stopping");
    await setTimeout(100);
    running.process.kill("SIGINT");
    expect((await running.ended).code).toBe(130);
    expect((await millrace(["run", COUNTER, "--home", home])).code).toBe(0);
    expect(await numbers(home)).toEqual(upTo(60));
  });

  it("A SIGINT ends a run that waits for its next interval", async () => {
    const running = startMillrace(["run", COUNTER, "--home", temporaryFolder(), "--every", "1h"]);
    await printed(running, "batch 0 committed");
    await setTimeout(100);
    running.process.kill("SIGINT");
    expect((await running.ended).code).toBe(130);
  });
});

describe("kill -9", () => {
  it("A run killed at random moments loses and doubles no row, and vacuum leaves only files in the log", async () => {
    const feed = await feedWith({ latency: 3 });
    const home = temporaryFolder();
    const env = { EARTHQUAKES_URL: feed.url };
    for (let kill = 0; kill < 12; kill++) {
      const running = startMillrace(["run", EARTHQUAKES, "--home", home], env);
      await setTimeout(150 + Math.random() * 450);
      killTree(running.process);
      await running.ended;
    }
    expect((await millrace(["run", EARTHQUAKES, "--home", home], env)).code).toBe(0);
    expect((await millrace(["vacuum", "--older-than", "0s", "--home", home], env)).code).toBe(0);
    const { stdout } = await millrace(["cat", "earthquakes", "--home", home, "--json"]);
    const ids = stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { id: string }).id);
    expect(ids).toHaveLength(1707);
    expect(new Set(ids).size).toBe(1707);
    const table = join(home, "earthquakes/table");
    expect(stagedFiles(table)).toEqual(namedFiles(table));
  });
});

describe("the command line", () => {
  it("The command says where it cannot create a home", async () => {
    const { code, stderr } = await millrace(["run", COUNTER, "--home", join(ROOT, "README.md/home")]);
    expect(stderr).toMatch(/error STORE_FAILED: the folder cannot be made: E(EXIST|NOTDIR)/);
    expect(code).toBe(1);
  });

  it.each([
    ["a file that is not there", ["run", "nowhere.ts"], "PIPELINE_FILE_NOT_FOUND"],
    ["a file without a pipeline", ["run", join(ROOT, "vitest.config.ts")], "PIPELINE_NOT_EXPORTED"],
    ["triggers that exclude each other", ["run", COUNTER, "--once", "--every", "1s"], "USAGE"],
    ["an interval that would be a busy loop", ["run", COUNTER, "--every", "0s"], "TRIGGER_INVALID"],
    ["an interval that is none", ["run", COUNTER, "--every", "soon"], "DURATION_INVALID"],
    ["a home that is not there", ["status", "--home", "/nowhere"], "HOME_NOT_FOUND"],
    ["a table that is not there", ["cat", "nowhere"], "TABLE_NOT_FOUND"],
    ["no words at all to run", ["run"], "missing required argument"],
    ["an unknown option", ["run", COUNTER, "--onec"], "Did you mean --once"],
  ])("The command refuses %s with exit code 2", async (_what, args, message) => {
    const { code, stderr } = await millrace(args);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});
