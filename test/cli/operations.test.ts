import { describe, expect, it } from "vitest";
import { killTree } from "../support/process.ts";
import { Project } from "./project.ts";

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);
const PERSON = ["--by", "ann@desk", "--why", "the queue is ill"];
const DAY = 86_400_000;

/** Makes the second task of the batch up to `count` fail, once in one run. */
async function withPoison(env: Record<string, string> = {}): Promise<Project> {
  const project = new Project(env);
  await project.runTo(10);
  project.write("poison", "15");
  project.write("count", "20");
  expect((await project.run("--max-attempts", "1")).code).toBe(1);
  return project;
}

/** Everything that a command could change: the ledger's records and the files of the home. */
async function stateOf(project: Project): Promise<string> {
  const tables = ["heads", "batches", "journal", "tasks"].map((table) =>
    project.sql(`SELECT * FROM ${table}`),
  );
  return JSON.stringify([tables, await project.rows()]);
}

describe("skip", () => {
  it("A batch that fails in each attempt names skip, which leaves its rows out and lets the pipeline go on", async () => {
    const project = await withPoison();
    project.write("count", "30");
    const { stderr } = await project.run("--max-attempts", "1");
    expect(stderr).toContain("This was attempt 2 of batch 1.");
    expect(await project.settle("pipeline.ts", "--max-attempts", "1")).toEqual(["SOURCE_FAILED", "skip"]);
    expect(await project.rows()).toEqual([...upTo(10), ...upTo(30).slice(20)]);
    const batches = (await project.millrace(["batches", "recover"])).stdout;
    expect(batches).toMatch(/^ +1 .+ 10 +20 +0 +0 B? .* committed/m);
  });

  it("The command `skip` shows what it does, does nothing without a yes, and is in the journal afterwards", async () => {
    const project = await withPoison();
    const before = await stateOf(project);
    const args = ["skip", "recover", "--batch", "1", ...PERSON];
    const shown = await project.millrace(args);
    expect(shown.stdout).toMatch(
      /batch +1, attempt 1, aborted, 10 → 20\n +in the sink +no\n +rows +stay in the/,
    );
    expect(shown.stderr).toContain("error USAGE");
    expect(shown.code).toBe(2);
    expect(await project.millrace([...args, "--dry-run"])).toMatchObject({ code: 0, stdout: shown.stdout });
    expect(await project.json(...args, "--dry-run")).toMatchObject({ dryRun: true, hasLanded: false });
    expect(await stateOf(project)).toBe(before);
    expect(await project.json(...args, "--yes")).toMatchObject({
      pipeline: "recover",
      action: "skip",
      by: "ann@desk",
      batchId: 1,
      start: { n: 10 },
      end: { n: 20 },
      rows: "kept",
      dryRun: false,
    });
    expect(await project.json("status", "recover")).toMatchObject({
      state: "idle",
      offset: { n: 20 },
      openBatch: null,
      lastAction: { action: "skip", batchId: 1, by: "ann@desk", why: "the queue is ill" },
    });
    const again = await project.millrace(args);
    expect(again.stderr).toContain("error BATCH_NOT_OPEN");
    expect(again.code).toBe(2);
  });

  it("A skip names the batch that must be open, and refuses another one", async () => {
    const project = await withPoison();
    const { code, stderr } = await project.millrace(["skip", "recover", "--batch", "0", "--yes"]);
    expect(stderr).toMatch(/error BATCH_NOT_OPEN: .*batch 0/);
    expect(stderr).toContain("Batch 1 is open.");
    expect(code).toBe(2);
  });

  it("A skip of rows that only a queue has is refused, until they may be lost", async () => {
    const project = await withPoison({ SOURCE: "queue" });
    const refused = await project.millrace(["skip", "recover", "--yes"]);
    expect(refused.stderr).toContain("error SKIP_REFUSED");
    expect(refused.stderr).toContain("`millrace skip recover --discard`");
    expect(refused.code).not.toBe(0);
    expect(project.read("deleted")).toBe("10");
    const done = await project.millrace(["skip", "recover", "--discard", "--yes"]);
    expect(done.stdout).toMatch(/rows +are LOST/);
    expect(done.code).toBe(0);
    expect(project.read("deleted")).toBe("20");
    await project.runTo(30);
    expect(await project.rows()).toEqual([...upTo(10), ...upTo(30).slice(20)]);
  });

  it("A source that sets rows aside is asked to before they are skipped, and the command tells where they are", async () => {
    const project = await withPoison({ SOURCE: "careful" });
    expect(await project.json("skip", "recover", "--dry-run")).not.toHaveProperty("aside");
    expect(project.read("aside")).toBe("");
    expect(await project.json("skip", "recover", "--yes")).toMatchObject({
      rows: "setAside",
      aside: "the file aside",
    });
    expect(project.read("aside")).toBe('[{"n":10},{"n":20}]');
    expect(project.read("deleted")).toBe("20");
  });

  it("A skip of a batch whose commit landed and whose answer was lost finishes it with its rows", async () => {
    const project = new Project();
    await project.runTo(10);
    await project.killHalfway(20);
    project.keepLedger("backup");
    await project.runTo(20);
    project.restoreLedger("backup");
    const { stdout, code } = await project.millrace(["skip", "recover", "--yes"]);
    expect(stdout).toMatch(/in the sink +yes/);
    expect(stdout).toContain("batch 1 is committed");
    expect(code).toBe(0);
    await project.runTo(30);
    expect(await project.rows()).toEqual(upTo(30));
  });

  it("A skip needs neither the plan, the staged files nor the records of tasks", async () => {
    const project = new Project();
    await project.runTo(10);
    await project.killHalfway(20);
    project.remove(".millrace/recover/batches");
    project.remove(".millrace/recover/table/data");
    project.sql("DELETE FROM tasks WHERE batch_id = 1");
    expect((await project.millrace(["skip", "recover", "--yes"])).code).toBe(0);
    await project.runTo(30);
    const log = project.read(".millrace/recover/table/_log/00000000000000000001.json");
    expect(JSON.parse(log)).toMatchObject({ batchId: 1, add: [], start: { n: 10 }, end: { n: 20 } });
  });

  it("A decided batch that is older than its records names skip, after which the pipeline goes on", async () => {
    const project = new Project();
    await project.runTo(10);
    await project.killHalfway(20);
    const old = 100 * DAY;
    project.sql(
      `UPDATE batches SET state = 'committing', last_tried_attempt = 1, planned_at = planned_at - ${old},
        first_planned_at = first_planned_at - ${old} WHERE batch_id = 1`,
    );
    project.sql("DELETE FROM tasks WHERE batch_id = 1");
    project.write("count", "30");
    expect(await project.settle()).toEqual(["BATCH_TOO_OLD", "skip"]);
    expect(await project.rows()).toEqual([...upTo(10), ...upTo(30).slice(20)]);
  });
});

describe("adopt", () => {
  it("The command `adopt` takes a file if its home was lost, and shows where it goes on", async () => {
    const project = new Project({ TABLE: "lake" });
    await project.runTo(10);
    await project.runTo(20);
    project.remove(".millrace");
    const byName = await project.millrace(["adopt", "recover", "--yes"]);
    expect(byName.stderr).toMatch(/error PIPELINE_NOT_FOUND: .*\n.*name the pipeline's file/);
    const shown = await project.millrace(["adopt", "pipeline.ts", "--dry-run"]);
    expect(shown.stdout).toMatch(/in the sink +batch 1, incarnation \w+, up to 20\n +offset +none → 20\n/);
    expect(shown.code).toBe(0);
    expect(project.sql("SELECT * FROM heads")).toEqual([]);
    expect(await project.json("adopt", "pipeline.ts", "--yes", ...PERSON)).toMatchObject({
      action: "adopt",
      by: "ann@desk",
      newest: { batchId: 1, end: { n: 20 } },
      from: null,
      to: { n: 20 },
      nextBatchId: 2,
      openBatchId: null,
      dryRun: false,
    });
    const status = await project.json("status", "recover");
    expect(status).toMatchObject({
      offset: { n: 20 },
      lastAction: { action: "adopt", why: "the queue is ill" },
    });
    await project.runTo(30);
    expect(await project.rows()).toEqual(upTo(30));
  });

  it("The command `adopt` shows the open batch that it gives up, and changes nothing in a dry run", async () => {
    const project = await withPoison();
    const before = await stateOf(project);
    const shown = await project.millrace(["adopt", "recover", "--dry-run"]);
    expect(shown.stdout).toMatch(/given up +batch 1, which is open/);
    expect(await stateOf(project)).toBe(before);
    expect((await project.millrace(["adopt", "recover", "--yes"])).code).toBe(0);
    project.remove("poison");
    await project.runTo(30);
    expect(await project.rows()).toEqual(upTo(30));
    expect((await project.millrace(["batches", "recover"])).stdout).toMatch(/^ +1 .*aborted/m);
  });

  it("An adoption from the start, or at an offset, writes the rows from there a second time", async () => {
    const project = new Project();
    await project.runTo(10);
    await project.runTo(20);
    const at = await project.json("adopt", "recover", "--to-offset", '{"n":15}', "--yes");
    expect(at).toMatchObject({ to: { n: 15 } });
    await project.runTo(20);
    expect((await project.rows()).length).toBe(25);
    expect(await project.json("adopt", "recover", "--from-start", "--yes")).toMatchObject({ to: { n: 0 } });
    await project.runTo(20);
    expect((await project.rows()).length).toBe(45);
  });

  it("A rewind of a pipeline whose file is gone says how to go on without a trial", async () => {
    const project = new Project();
    await project.runTo(10);
    project.remove("pipeline.ts");
    const args = ["rewind", "recover", "--to-offset", '{"n":5}', "--yes"];
    const { code, stderr } = await project.millrace(args);
    expect(stderr).toContain("could not be tried on the source, and stays as it was");
    expect(stderr).toContain(`\`millrace rewind recover --to-offset '{"n":5}' --unchecked\``);
    expect(code).toBe(2);
    expect(await project.json(...args, "--unchecked")).toMatchObject({ to: { n: 5 } });
  });

  it("An adoption from a sink that has nothing of the pipeline asks where to go on", async () => {
    const project = new Project();
    project.write("count", "10");
    const { code, stderr } = await project.millrace(["adopt", "pipeline.ts", "--yes"]);
    expect(stderr).toContain("error NOT_SUPPORTED");
    expect(stderr).toContain("--from-start");
    expect(code).toBe(2);
    const unreadable = await project.millrace(["adopt", "pipeline.ts", "--to-offset", '{"m":15}', "--yes"]);
    expect(unreadable.stderr).toContain("error OFFSET_UNREADABLE");
    expect(unreadable.code).toBe(2);
    const both = ["adopt", "pipeline.ts", "--from-start", "--to-offset", "{}"];
    expect((await project.millrace(both)).stderr).toContain(
      "adopt takes one of --from-start and --to-offset",
    );
  });
});

describe("accept", () => {
  it("The command `accept` shows what the name stood for, changes nothing in a dry run, and is in the journal", async () => {
    const project = new Project({ TABLE: "lake" });
    await project.runTo(10);
    const before = await stateOf(project);
    const shown = await project.millrace(["accept", "recover", "--dry-run"]);
    expect(shown.stdout).toMatch(
      /was +a stream of Numbers into arrow-table\n +target +.*lake\n +file +.*pipeline\.ts/,
    );
    expect(await stateOf(project)).toBe(before);
    expect(await project.json("accept", "recover", "--yes", ...PERSON)).toMatchObject({
      action: "accept",
      by: "ann@desk",
      was: { kind: "stream", source: "Numbers" },
    });
    const { lastAction } = await project.json("status", "recover");
    expect(lastAction).toMatchObject({ action: "accept", by: "ann@desk" });
    await project.runTo(20);
    expect(await project.rows()).toEqual(upTo(20));
  });
});

describe("forget", () => {
  it("A forgotten pipeline keeps its rows, begins anew only after it was adopted, and changes nothing in a dry run", async () => {
    const project = await withPoison();
    const before = await stateOf(project);
    const shown = await project.millrace(["forget", "recover", "--dry-run"]);
    expect(shown.stdout).toMatch(/removed +its offset, batches and journal; staged files/);
    expect(await stateOf(project)).toBe(before);
    expect(await project.json("forget", "recover", "--yes", ...PERSON)).toMatchObject({
      pipeline: "recover",
      action: "forget",
      dryRun: false,
    });
    for (const table of ["heads", "batches", "journal", "tasks"])
      expect(project.sql(`SELECT * FROM ${table}`)).toEqual([]);
    const gone = await project.millrace(["forget", "recover", "--yes"]);
    expect(gone.stderr).toContain("error PIPELINE_NOT_FOUND");
    expect(gone.code).toBe(2);
    project.remove("poison");
    project.write("count", "30");
    expect(await project.settle()).toEqual(["LEDGER_BEHIND_SINK", "adopt"]);
    expect(await project.rows()).toEqual(upTo(30));
  });
});

describe("an operation by hand", () => {
  it("No operation takes a pipeline from a run that is at work", async () => {
    const project = new Project();
    await project.runTo(10);
    const running = await project.startHalfway(20);
    const before = await stateOf(project);
    for (const operation of ["skip", "adopt", "forget"]) {
      const { code, stderr } = await project.millrace([operation, "recover", "--yes"]);
      expect(stderr, operation).toContain("error LEASE_HELD");
      expect(code, operation).toBe(3);
    }
    expect(await stateOf(project)).toBe(before);
    killTree(running.process);
    await running.ended;
    await project.runTo(20);
    expect(await project.rows()).toEqual(upTo(20));
  });

  it.each([
    ["skip without a pipeline", ["skip"]],
    ["skip of a batch that is no number", ["skip", "recover", "--batch", "x"]],
    ["skip of a pipeline that never ran", ["skip", "nobody", "--yes"]],
    ["adopt of a pipeline that never ran", ["adopt", "nobody", "--yes"]],
    ["adopt of a file that is not there", ["adopt", "nobody.ts", "--yes"]],
    ["adopt at an offset that is no object", ["adopt", "recover", "--to-offset", "7"]],
    ["accept of a pipeline that never ran", ["accept", "nobody", "--yes"]],
    ["forget of a pipeline that never ran", ["forget", "nobody", "--yes"]],
    ["skip in a table alone", ["skip", "recover", "--table", "t"]],
  ])("A mistake in the command line ends with exit code 2: %s", async (_what, args) => {
    const { code, stderr } = await new Project().millrace(args);
    expect(stderr).toMatch(/^error/);
    expect(code).toBe(2);
  });
});
