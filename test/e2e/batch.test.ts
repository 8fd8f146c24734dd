import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { type Ended, killTree, millrace, startMillrace } from "../support/process.ts";
import { namedFiles, stagedFiles } from "../support/table.ts";

const BATCH = join(PACKAGE, "test/e2e/pipelines/batch.ts");

const run = async (home: string, env: Record<string, string>, ...flags: string[]): Promise<Ended> =>
  await millrace(["run", BATCH, "--home", home, "--json", ...flags], env);

const eventsOf = ({ stdout }: Ended): { readonly type: string }[] =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { type: string });

async function numbers(home: string): Promise<number[]> {
  const { stdout } = await millrace(["cat", "batch", "--home", home, "--json"]);
  const lines = stdout.split("\n").filter((line) => line !== "");
  return lines.map((line) => (JSON.parse(line) as { n: number }).n).sort((a, b) => a - b);
}

const from5To = (max: number) => Array.from({ length: max - 5 }, (_, i) => i + 5);

const vacuum = async (home: string, olderThan: string) =>
  JSON.parse(
    (await millrace(["vacuum", "batch", "--home", home, "--older-than", olderThan, "--json"])).stdout,
  ) as object;

describe("a batch pipeline that runs embedded", () => {
  it("A batch pipeline has one batch per run, with the rows that pass its filter", async () => {
    const home = temporaryFolder();
    const first = await run(home, { BATCH_MODE: "append" });
    expect(first.code, first.stderr).toBe(0);
    const events = eventsOf(first);
    expect(events[0]).toMatchObject({ type: "started", pipeline: "batch", trigger: "once" });
    expect(events.at(-1)).toMatchObject({ type: "ended", batches: 1, rows: 35 });
    expect(await numbers(home)).toEqual(from5To(40));
    expect((await run(home, { BATCH_MODE: "append", BATCH_MAX: "10" })).code).toBe(0);
    expect(await numbers(home)).toEqual([...from5To(40), ...from5To(10)].sort((a, b) => a - b));
  });

  it("The next run finishes a batch whose run was killed, with each row once, under id 0", async () => {
    const home = temporaryFolder();
    const args = ["run", BATCH, "--home", home, "--json", "--max-concurrency", "2"];
    const killed = startMillrace(args, { BATCH_MODE: "append", BATCH_FAULT: "hang" });
    // Row 30 is in the last partition. The other thread has recorded all earlier partitions by
    // then.
    for (let i = 0; i < 1000 && !killed.stderr().includes("read 30"); i++) await setTimeout(10);
    expect(killed.stderr()).toContain("read 30");
    killTree(killed.process);
    await killed.ended;
    expect(namedFiles(join(home, "batch/table"))).toEqual([]);

    const resumed = await run(home, { BATCH_MODE: "append", BATCH_MAX: "100" });
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(resumed.stderr).not.toContain("planning");
    expect(resumed.stderr).not.toContain("read 0\n");
    const events = eventsOf(resumed);
    expect(events.filter(({ type }) => type === "planned")).toMatchObject([{ batchId: 0, resumed: true }]);
    expect(events.filter(({ type }) => type === "batch")).toMatchObject([{ batchId: 0, state: "committed" }]);
    expect(await numbers(home)).toEqual(from5To(40));
  });

  it("A batch pipeline is aborted if a task fails for good, and then replayed as the same batch", async () => {
    const home = temporaryFolder();
    const failed = await run(home, { BATCH_MODE: "append", BATCH_FAULT: "fail" }, "--max-attempts", "1");
    expect(failed.code).toBe(1);
    expect(eventsOf(failed).at(-1)).toMatchObject({ type: "error", code: "SOURCE_FAILED" });
    const replayed = await run(home, { BATCH_MODE: "append" });
    expect(eventsOf(replayed).filter(({ type }) => type === "batch")).toMatchObject([
      { batchId: 0, attempt: 2 },
    ]);
    expect(await numbers(home)).toEqual(from5To(40));
  });

  it("A batch pipeline refuses a trigger that only streams have", async () => {
    const { code, stdout } = await run(temporaryFolder(), { BATCH_MODE: "append" }, "--available-now");
    expect(code).toBe(2);
    expect(stdout).toContain('"code":"TRIGGER_INVALID"');
    expect((await run(temporaryFolder(), { BATCH_MODE: "append" }, "--once")).code).toBe(0);
  });
});

describe("overwrite", () => {
  it("An overwrite leaves only the rows of the last run, and a vacuum removes old ones", async () => {
    const home = temporaryFolder();
    const table = join(home, "batch/table");
    expect((await run(home, { BATCH_MODE: "overwrite" })).code).toBe(0);
    const replaced = stagedFiles(table);
    expect(replaced).toHaveLength(4);
    expect((await run(home, { BATCH_MODE: "overwrite", BATCH_MAX: "12" })).code).toBe(0);
    expect(await numbers(home)).toEqual(from5To(12));

    // The files are kept because a reader may still be reading them.
    expect(await vacuum(home, "1h")).toMatchObject({ staged: { files: 0 } });
    expect(stagedFiles(table)).toEqual(expect.arrayContaining(replaced));
    expect(await vacuum(home, "0s")).toMatchObject({ staged: { files: 4 } });
    expect(stagedFiles(table).filter((file) => replaced.includes(file))).toEqual([]);
    expect(await numbers(home)).toEqual(from5To(12));
  });

  it("An overwrite that fails leaves the rows that were there", async () => {
    const home = temporaryFolder();
    await run(home, { BATCH_MODE: "overwrite", BATCH_MAX: "12" });
    const failed = await run(home, { BATCH_MODE: "overwrite", BATCH_FAULT: "fail" }, "--max-attempts", "1");
    expect(failed.code).toBe(1);
    expect(await numbers(home)).toEqual(from5To(12));
    expect((await run(home, { BATCH_MODE: "overwrite" })).code).toBe(0);
    expect(await numbers(home)).toEqual(from5To(40));
  });
});

describe("an existing target", () => {
  it("An existing target fails a pipeline without a save mode before any row is read", async () => {
    const home = temporaryFolder();
    expect((await run(home, {})).code).toBe(0);
    const second = await run(home, {});
    expect(second.code).toBe(1);
    expect(eventsOf(second).at(-1)).toMatchObject({
      type: "error",
      code: "TARGET_EXISTS",
      message: 'the target of "arrow-table" is there already',
      where: { pipeline: "batch" },
    });
    expect(second.stderr).not.toContain("planning");
    expect(await numbers(home)).toEqual(from5To(40));
    const batches = await millrace(["batches", "batch", "--home", home, "--json"]);
    expect(batches.stdout.trimEnd().split("\n")).toHaveLength(1);
  });

  it("The mode ignore leaves an existing target alone, and that is no failure", async () => {
    const home = temporaryFolder();
    expect((await run(home, { BATCH_MODE: "ignore" })).code).toBe(0);
    const second = await run(home, { BATCH_MODE: "ignore", BATCH_MAX: "100" });
    expect(second.code).toBe(0);
    expect(eventsOf(second)).toMatchObject([
      { type: "started" },
      { type: "idle", targetExists: true },
      { type: "ended" },
    ]);
    expect(second.stderr).not.toContain("planning");
    expect(await numbers(home)).toEqual(from5To(40));
  });

  it("A target removed by hand is written again in each mode", async () => {
    const home = temporaryFolder();
    const table = join(home, "batch/table");
    for (const mode of ["errorifexists", "ignore", "overwrite", "append"]) {
      expect((await run(home, { BATCH_MODE: mode })).code).toBe(0);
      expect(await numbers(home)).toEqual(from5To(40));
      rmSync(table, { recursive: true });
    }
  });
});

describe("a pipeline's file with an unknown mode", () => {
  it("A pipeline's file with an unknown mode is refused before any batch starts", async () => {
    const { code, stdout } = await run(temporaryFolder(), { BATCH_MODE: "upsert" });
    expect(code).toBe(2);
    expect(stdout).toContain('"code":"SAVE_MODE_INVALID"');
  });
});
