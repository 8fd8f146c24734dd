import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { SqliteLedger } from "../../shared/platform/embedded/sqlite-ledger.ts";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { killTree, millrace, type Running, startMillrace } from "../support/process.ts";

const COUNTER = join(PACKAGE, "test/e2e/pipelines/counter.ts");

/** Creates a home in which the counter has committed batches 0 to 2 with the rows 0 to 59. */
async function homeWithThreeBatches(): Promise<string> {
  const home = temporaryFolder();
  expect((await millrace(["run", COUNTER, "--home", home])).code).toBe(0);
  return home;
}

/** Creates a home whose batch 1 was aborted. */
async function homeWithOpenBatch(): Promise<string> {
  const home = temporaryFolder();
  // The tasks run one at a time, because the failure of the second task would stop the first.
  const args = ["run", COUNTER, "--home", home, "--max-attempts", "1", "--max-concurrency", "1"];
  expect((await millrace(args, { COUNTER_FAULT: "fail always" })).code).toBe(1);
  return home;
}

/** Runs a command with `--json` and returns its output as an object. */
async function json(args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await millrace([...args, "--json"]);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

async function rows(home: string): Promise<number[]> {
  const { stdout } = await millrace(["cat", "counter", "--home", home, "--json"]);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { n: number }).n)
    .sort((a, b) => a - b);
}

async function printed(running: Running, text: string): Promise<void> {
  for (let i = 0; i < 1000 && !running.stderr().includes(text); i++) await setTimeout(10);
  expect(running.stderr()).toContain(text);
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

describe("pause and resume", () => {
  it("A pause keeps runs from working and tells who and why, and a resume lets the next run continue", async () => {
    const home = temporaryFolder();
    await millrace(["run", COUNTER, "--once", "--home", home]);
    const why = ["--why", "the source is ill", "--by", "ann@desk"];
    const paused = await millrace(["pause", "counter", "--home", home, ...why]);
    expect(paused.stdout).toMatch(/^counter: paused by ann@desk at \S+ \S+Z \(the source is ill\)\n$/);
    const run = await millrace(["run", COUNTER, "--home", home]);
    expect(run.stderr).toMatch(/paused by ann@desk at .* \(the source is ill\)/);
    expect(run).toMatchObject({ code: 0, stdout: "" });
    const text = (await millrace(["status", "--home", home])).stdout;
    expect(text).toContain("counter: paused");
    expect(text).toMatch(/last action +pause by ann@desk/);
    const action = { by: "ann@desk", why: "the source is ill", at: expect.any(String) as string };
    expect(await json(["status", "--home", home])).toMatchObject({
      state: "paused",
      paused: action,
      lastAction: { action: "pause", ...action },
    });
    expect((await millrace(["resume", "counter", "--home", home])).stdout).toContain("counter: resumed");
    expect((await millrace(["resume", "counter", "--home", home])).stdout).toBe("counter: is not paused\n");
    expect((await millrace(["run", COUNTER, "--home", home])).code).toBe(0);
    expect(await rows(home)).toEqual(upTo(60));
  });

  it("A run on an interval checks for a pause at each interval and leaves the pipeline to others meanwhile", async () => {
    const home = await homeWithThreeBatches();
    await millrace(["pause", "counter", "--home", home]);
    const running = startMillrace(["run", COUNTER, "--home", home, "--every", "2s", "--json"]);
    let stdout = "";
    running.process.stdout?.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    const told = async (type: string) => {
      while (!stdout.includes(`"type":"${type}"`)) await setTimeout(10);
    };
    await told("paused");
    const rewound = await json(["rewind", "counter", "--to-batch", "2", "--yes", "--home", home]);
    expect(rewound).toMatchObject({ from: { n: 60 }, to: { n: 40 } });
    expect(stdout).not.toContain('"type":"batch"');
    await millrace(["resume", "counter", "--home", home]);
    await told("batch");
    running.process.kill("SIGTERM");
    expect((await running.ended).code).toBe(143);
    expect(stdout).toMatch(/"type":"planned","batchId":3/);
  });
});

describe("rewind", () => {
  it("The command `rewind` shows its effect and does nothing without a yes", async () => {
    const home = await homeWithThreeBatches();
    const args = ["rewind", "counter", "--to-batch", "1", "--home", home];
    const shown = await millrace(args);
    expect(shown.stdout).toContain("offset 60 → 20");
    expect(shown.stdout).toContain("batches 1 to 2 (40 rows)");
    expect(shown.stdout).toContain("a second time, as batch 3 and on");
    expect(shown.stderr).toContain(
      "error USAGE: this changes the pipeline, and there is no terminal to ask on",
    );
    expect(shown.code).toBe(2);
    expect(await millrace([...args, "--dry-run"])).toMatchObject({ code: 0, stdout: shown.stdout });
    expect(await json(["status", "--home", home])).toMatchObject({ offset: { n: 60 }, lastAction: null });
  });

  it("A rewind to a batch makes the next run read from the batch's start, under new ids", async () => {
    const home = await homeWithThreeBatches();
    const args = [
      "rewind",
      "counter",
      "--to-batch",
      "1",
      "--yes",
      "--why",
      "rows were wrong",
      "--home",
      home,
    ];
    const done = await millrace(args);
    expect(done.stdout).toContain("counter: rewound; the next run begins with batch 3 at 20");
    expect((await millrace(["run", COUNTER, "--home", home])).code).toBe(0);
    expect(await rows(home)).toEqual([...upTo(60), ...upTo(60).slice(20)].sort((a, b) => a - b));
    const status = await json(["status", "--home", home]);
    expect(status).toMatchObject({
      lastCommittedBatchId: 4,
      lastAction: { action: "rewind", why: "rows were wrong", from: { n: 60 }, to: { n: 20 } },
    });
  });

  it("A rewind to an offset takes any offset and says if it cannot know which rows are read again", async () => {
    const home = await homeWithThreeBatches();
    const args = ["rewind", "counter", "--to-offset", '{"n":7}', "--home", home];
    expect((await millrace([...args, "--dry-run"])).stdout).toContain(
      "no batch that is recorded began there",
    );
    const done = await json([...args, "--yes"]);
    expect(done).toMatchObject({
      from: { n: 60 },
      to: { n: 7 },
      readAgain: [],
      nextBatchId: 3,
      dryRun: false,
    });
    expect((await millrace([...args, "--yes"])).stdout).toBe("counter: is there already\n");
  });

  it("A rewind to an offset that the source cannot read is refused, and moves nothing", async () => {
    const home = await homeWithThreeBatches();
    const args = ["rewind", "counter", "--to-offset", '{"m":7}', "--yes", "--home", home];
    const refused = await millrace(args);
    expect(refused.stderr).toContain('error OFFSET_UNREADABLE: the source cannot go on at {"m":7}');
    expect(refused.stderr).toContain("The offset stays as it was");
    expect(refused.code).toBe(2);
    expect(await json(["status", "--home", home])).toMatchObject({ offset: { n: 60 }, lastAction: null });
    const shown = await millrace([...args.filter((arg) => arg !== "--yes"), "--unchecked", "--dry-run"]);
    expect(shown.stdout).toContain("whether the source can read it was not tried");
    expect((await millrace([...args, "--unchecked"])).code).toBe(0);
    expect(await json(["status", "--home", home])).toMatchObject({ offset: { m: 7 } });
  });

  it("A rewind is refused while a batch is open and while a run is alive", async () => {
    const home = temporaryFolder();
    const running = startMillrace(["run", COUNTER, "--home", home, "--every", "1h"]);
    await printed(running, "batch 0 committed");
    const args = ["rewind", "counter", "--to-batch", "0", "--yes", "--home", home];
    const held = await millrace(args);
    expect(held.stderr).toContain("error LEASE_HELD");
    expect(held.code).toBe(3);
    running.process.kill("SIGTERM");
    await running.ended;
    await millrace(["run", COUNTER, "--once", "--home", home], { COUNTER_FAULT: "bad row" });
    const open = await millrace(args);
    expect(open.stderr).toContain("error BATCH_OPEN");
    expect(open.stderr).toContain("millrace replay");
    expect(open.code).toBe(2);
  });
});

describe("replay", () => {
  it("The command `replay` runs the open batch again as it was planned, and no other batch", async () => {
    const home = await homeWithOpenBatch();
    const { code, stderr } = await millrace(["replay", "counter", "--home", home]);
    expect(stderr).toContain("batch 1, attempt 2: 20 → 40");
    expect(stderr).not.toContain("batch 2");
    expect(code).toBe(0);
    const again = await millrace(["replay", "counter", "--home", home]);
    expect(again.stderr).toContain("error BATCH_NOT_OPEN");
    expect(again.code).toBe(2);
    expect(await rows(home)).toEqual(upTo(40));
  });
});

describe("batch", () => {
  it("The command `batch` shows an aborted batch: its error, its tasks and the unfinished ones", async () => {
    const home = await homeWithOpenBatch();
    const { stdout } = await millrace(["batch", "1", "--home", home]);
    expect(stdout).toContain("counter: batch 1\n");
    expect(stdout).toMatch(/state +aborted, attempt 1\n/);
    expect(stdout).toMatch(/error +SOURCE_FAILED: read\(\) failed: Error\n/);
    expect(stdout).toMatch(/not finished +1\n/);
    expect(stdout).toMatch(/partition {2}rows.*\n-.*\n +0 +10 /);
    expect(await json(["batch", "1", "counter", "--home", home])).toMatchObject({
      batchId: 1,
      state: "aborted",
      start: { n: 20 },
      end: { n: 40 },
      error: { code: "SOURCE_FAILED", hint: expect.any(String) as string },
      tasks: [{ partition: 0, rows: 10, attemptNumber: 0 }],
      unfinished: [1],
    });
  });

  it("The command `batch` cuts the tasks at --limit and says so", async () => {
    const home = await homeWithThreeBatches();
    const { stdout } = await millrace(["batch", "2", "--limit", "1", "--home", home]);
    expect(stdout.split("\n").slice(-3)).toEqual([
      expect.stringMatching(/^ +0 +10 /),
      "and 1 more: --limit",
      "",
    ]);
  });

  it("The command `batch` ends with exit code 2 if the batch does not exist", async () => {
    const home = await homeWithThreeBatches();
    const { code, stderr } = await millrace(["batch", "7", "--home", home]);
    expect(stderr).toContain('error BATCH_NOT_FOUND: pipeline "counter" has no batch 7');
    expect(code).toBe(2);
  });
});

describe("unlock", () => {
  it("The command `unlock` takes the lease from a run that may be alive, which can change nothing afterwards", async () => {
    const home = temporaryFolder();
    const running = startMillrace(["run", COUNTER, "--home", home], { COUNTER_FAULT: "hang" });
    await printed(running, "batch 1: 20");
    const args = ["unlock", "counter", "--home", home];
    const shown = await millrace([...args, "--dry-run"]);
    expect(shown.stdout).toContain(`process ${running.process.pid} on`);
    expect(shown.stdout).toMatch(/danger +if it is at work all the same, it loses the pipeline/);
    expect((await millrace(args)).code).toBe(2);
    expect((await millrace([...args, "--yes"])).stdout).toContain("counter: unlocked");
    const status = await json(["status", "--home", home]);
    expect(status).toMatchObject({ runner: null, lastAction: { action: "unlock" } });
    expect((await millrace(["run", COUNTER, "--home", home])).code).toBe(0);
    killTree(running.process);
    await running.ended;
    expect(await rows(home)).toEqual(upTo(60));
  });

  it("The command `unlock` does nothing if nobody holds the pipeline", async () => {
    const home = await homeWithThreeBatches();
    expect((await millrace(["unlock", "counter", "--home", home])).stdout).toBe("counter: nobody holds it\n");
  });
});

describe("a command that could mean several pipelines", () => {
  it("A command that could mean several pipelines asks for a name and lists them", async () => {
    const home = await homeWithThreeBatches();
    const ledger = new SqliteLedger(join(home, "ledger.sqlite"));
    const owner = { id: "a", description: "run a" };
    await ledger.acquire({ pipeline: "clicks", owner, now: 0, leaseMilliseconds: 1, newIncarnation: "i" });
    ledger.close();
    const { code, stderr } = await millrace(["batch", "0", "--home", home]);
    expect(stderr).toMatch(/error USAGE: there are several pipelines in .*: clicks, counter/);
    expect(code).toBe(2);
    const unknown = await millrace(["pause", "orders", "--home", home]);
    expect(unknown.stderr).toMatch(
      /error PIPELINE_NOT_FOUND: there is no pipeline "orders" in .*clicks, counter/,
    );
    expect(unknown.code).toBe(2);
  });
});

describe("flags that do not fit", () => {
  it.each<[string, readonly string[], string]>([
    [
      "rewind without a destination",
      ["rewind", "counter"],
      "rewind needs one of --to-batch, --to-start and --to-offset",
    ],
    ["an offset that is no object", ["rewind", "counter", "--to-offset", "7"], "It must be a JSON object"],
    [
      "two targets",
      ["status", "--stack", "a", "--table", "b"],
      "cannot be used with option '--table <name>'",
    ],
    [
      "a home and a stack",
      ["status", "--home", "a", "--stack", "b"],
      "cannot be used with option '--stack <name>'",
    ],
    ["a run in a table", ["run", "--table", "b"], "this command needs --stack"],
    ["a replay in a table", ["replay", "counter", "--table", "b"], "this command needs --stack"],
    ["a vacuum of a table", ["vacuum", "--table", "b"], "this command needs --stack"],
    ["an interval for a stack", ["run", "--stack", "a", "--every", "1s"], "cannot be used with option"],
  ])("A command refuses flags that do not fit with exit code 2: %s", async (_what, args, message) => {
    const isHere = args[0] === "rewind";
    const home = isHere ? ["--home", await homeWithThreeBatches()] : [];
    const { code, stderr } = await millrace([...args, ...home]);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});

describe("deploy", () => {
  it("The command `deploy` runs the nearest cdk, passes on the arguments after -- and exits with its code", async () => {
    const folder = temporaryFolder();
    const inside = join(folder, "packages/orders");
    mkdirSync(inside, { recursive: true });
    mkdirSync(join(folder, "node_modules/.bin"), { recursive: true });
    const cdk = join(folder, "node_modules/.bin/cdk");
    writeFileSync(cdk, '#!/bin/sh\necho "cdk $* in $PWD"\nexit 7\n');
    chmodSync(cdk, 0o755);
    const { code, stdout } = await millrace(["deploy", "--", "Orders", "--hotswap"], {}, inside);
    expect(stdout).toContain("cdk deploy Orders --hotswap in");
    expect(stdout).toContain("packages/orders");
    expect(code).toBe(7);
  });

  it("The command `deploy` says what to install if it finds no cdk", async () => {
    const { code, stderr } = await millrace(["deploy"], {}, temporaryFolder());
    expect(stderr).toContain("error CDK_NOT_FOUND");
    expect(stderr).toContain("npm install --save-dev aws-cdk");
    expect(code).toBe(2);
  });
});
