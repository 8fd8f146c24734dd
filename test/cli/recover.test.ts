import { renameSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Project } from "./project.ts";

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

const PLACES = [
  { place: "in the home", env: {} },
  { place: "in a folder of its own", env: { TABLE: "lake" } },
] as const;

/**
 * Creates a project whose batches 0 to 2 have ten rows each. `ledger-N` and `table-N` are copies of
 * after row N.
 */
async function withThreeBatches(env: Record<string, string> = {}): Promise<Project> {
  const project = new Project(env);
  for (const count of [10, 20, 30]) {
    await project.runTo(count);
    project.keepLedger(`ledger-${count}`);
    project.copy(project.table, `table-${count}`);
  }
  return project;
}

/** Follows the errors, and expects every row up to `count` once, also after a further run. */
async function expectAll(project: Project, count: number, steps: readonly string[]): Promise<void> {
  project.write("count", String(count));
  expect(await project.settle()).toEqual(steps);
  expect(await project.rows()).toEqual(upTo(count));
  await project.runTo(count + 10);
  expect(await project.rows()).toEqual(upTo(count + 10));
}

const ADOPTED = ["LEDGER_BEHIND_SINK", "adopt"];
const REWOUND = ["SINK_BEHIND_LEDGER", "rewind"];

describe.each(PLACES)("a table $place after a disaster", ({ env }) => {
  it("Each row is there once after a ledger of two batches ago was restored", async () => {
    const project = await withThreeBatches(env);
    project.restoreLedger("ledger-10");
    await expectAll(project, 40, ADOPTED);
  });

  it("Each row is there once after the ledger was removed, emptied, or replaced by garbage", async () => {
    const project = await withThreeBatches(env);
    project.restoreLedger();
    await expectAll(project, 40, ADOPTED);
    project.restoreLedger();
    project.write(".millrace/ledger.sqlite", "");
    await expectAll(project, 60, ADOPTED);
    project.restoreLedger();
    project.write(".millrace/ledger.sqlite", "this is not a ledger ".repeat(500));
    await expectAll(project, 80, ["LEDGER_DAMAGED", "adopt"]);
  });

  it("Each row is there once after a ledger was restored in which a batch is open that has landed since, with others", async () => {
    const project = new Project(env);
    await project.runTo(10);
    await project.killHalfway(20);
    project.keepLedger("backup");
    await project.runTo(30);
    await project.runTo(40);
    project.restoreLedger("backup");
    await expectAll(project, 50, ADOPTED);
  });

  it("Each row is there once after the journal of writes of a killed run was removed", async () => {
    const project = new Project(env);
    await project.runTo(10);
    await project.killHalfway(20);
    project.remove(".millrace/ledger.sqlite-wal");
    project.remove(".millrace/ledger.sqlite-shm");
    project.write("count", "30");
    await project.settle();
    expect(await project.rows()).toEqual(upTo(30));
  });

  it("Each row is there once after the table was restored to an earlier state, and after it was removed", async () => {
    const project = await withThreeBatches(env);
    project.copy("table-10", project.table);
    await expectAll(project, 40, REWOUND);
    project.remove(project.table);
    await expectAll(project, 60, REWOUND);
  });

  it("Each row is there once after table and ledger were restored from different times", async () => {
    const older = await withThreeBatches(env);
    older.restoreLedger("ledger-10");
    older.copy("table-20", older.table);
    await expectAll(older, 40, ADOPTED);
    older.restoreLedger("ledger-20");
    older.copy("table-10", older.table);
    await expectAll(older, 40, REWOUND);
  });

  it("Each row is there once after the table was restored or removed while a batch was open", async () => {
    const project = await withThreeBatches(env);
    await project.killHalfway(40);
    project.copy("table-10", project.table);
    // The rows that a skip leaves out would hide those that the table lacks.
    const skip = await project.millrace(["skip", "recover", "--yes"]);
    expect(skip.stderr).toContain("error SINK_BEHIND_LEDGER");
    expect(skip.stderr).toContain("`millrace adopt recover`");
    await expectAll(project, 50, ["SINK_BEHIND_LEDGER", "adopt"]);
    await project.killHalfway(70);
    project.remove(project.table);
    await expectAll(project, 80, ["SINK_BEHIND_LEDGER", "adopt"]);
  });

  it("A ledger from a backup between commit and acknowledgement makes a queue forget only what the table has", async () => {
    const project = new Project({ ...env, SOURCE: "queue" });
    await project.runTo(10);
    project.write("deaf", "1");
    project.write("count", "20");
    expect((await project.run()).code).toBe(1);
    project.keepLedger("backup");
    project.copy(project.table, "table");
    project.remove("deaf");
    await project.runTo(30);
    project.restoreLedger("backup");
    await expectAll(project, 40, ADOPTED);
    expect(project.read("deleted")).toBe("50");
  });

  it("A queue is not told of a batch that the table has lost since", async () => {
    const project = new Project({ ...env, SOURCE: "queue" });
    await project.runTo(10);
    project.copy(project.table, "table");
    project.write("deaf", "1");
    project.write("count", "20");
    expect((await project.run()).code).toBe(1);
    project.copy("table", project.table);
    project.remove("deaf");
    const refused = await project.run();
    expect(refused.stderr).toContain("error SINK_BEHIND_LEDGER");
    expect(project.read("deleted")).toBe("10");
    await expectAll(project, 30, REWOUND);
  });
});

describe("a home that was copied", () => {
  it.each([
    ["the original", ".millrace", "copy"],
    ["the copy", "copy", ".millrace"],
  ])("Each row is in the table once if both homes are run, and %s first", async (_first, one, other) => {
    const project = new Project({ TABLE: "lake" });
    await project.runTo(10);
    project.copy(".millrace", "copy");
    project.write("count", "20");
    expect((await project.run("--home", one)).code).toBe(0);
    project.write("count", "30");
    const second = await project.run("--home", other);
    expect(second.stderr).toContain("error LEDGER_BEHIND_SINK");
    expect(second.code).not.toBe(0);
    expect(await project.rows()).toEqual(upTo(20));
    const adopt = ["adopt", "recover", "--yes", "--home", other];
    expect((await project.millrace(adopt)).code).toBe(0);
    expect((await project.run("--home", other)).code).toBe(0);
    project.write("count", "40");
    expect((await project.run("--home", one)).stderr).toContain("error LEDGER_BEHIND_SINK");
    expect(await project.rows()).toEqual(upTo(30));
  });
});

describe("a pipeline that has changed under its name", () => {
  it("A project that was moved as a whole goes on without a word, in both kinds of tables", async () => {
    for (const { env } of PLACES) {
      const project = new Project(env);
      await project.killHalfway(20);
      const moved = `${project.folder}-moved`;
      renameSync(project.folder, moved);
      const run = () => project.millrace(["run", "pipeline.ts"], { PROJECT: moved }, moved);
      const { code, stderr } = await run();
      renameSync(moved, project.folder);
      expect(code, stderr).toBe(0);
      expect(stderr).not.toContain("warning");
      expect(await project.rows()).toEqual(upTo(20));
    }
  });

  it("A pipeline whose file was renamed goes on after it was accepted", async () => {
    const project = new Project();
    await project.runTo(10);
    renameSync(project.path("pipeline.ts"), project.path("orders.ts"));
    project.write("count", "20");
    expect(await project.settle("orders.ts")).toEqual(["PIPELINE_CHANGED", "accept"]);
    expect(await project.rows()).toEqual(upTo(20));
  });

  it("A copy of a pipeline's file that kept its name is refused, and changes nothing", async () => {
    const project = new Project();
    await project.runTo(10);
    project.copy("pipeline.ts", "another.ts");
    project.write("count", "20");
    const { stderr, code } = await project.millrace(["run", "another.ts"]);
    expect(stderr).toMatch(/error PIPELINE_CHANGED: .*its file was .*pipeline\.ts, and is .*another\.ts/);
    expect(code).not.toBe(0);
    await expectAll(project, 20, []);
  });

  it("A source whose class was renamed goes on after it was accepted", async () => {
    const project = new Project();
    await project.runTo(10);
    project.write("pipeline.ts", project.read("pipeline.ts").replaceAll("Numbers", "Integers"));
    await expectAll(project, 20, ["PIPELINE_CHANGED", "accept"]);
  });

  it("A sink whose path has changed gets the rows from then on after it was accepted", async () => {
    const project = new Project({ TABLE: "lake" });
    await project.runTo(10);
    project.env["TABLE"] = "other";
    project.write("count", "20");
    expect(await project.settle()).toEqual(["PIPELINE_CHANGED", "accept"]);
    expect(await project.rows("./other")).toEqual(upTo(20).slice(10));
    expect(await project.rows("./lake")).toEqual(upTo(10));
  });

  it("A relative path of a sink that means another folder is refused, and nothing is written there", async () => {
    const project = new Project({ TABLE: "lake" });
    await project.runTo(10);
    project.write("count", "20");
    const args = ["run", "../pipeline.ts", "--home", "../.millrace"];
    const { stderr } = await project.millrace(args, {}, join(project.folder, "node_modules"));
    expect(stderr).toMatch(/error PIPELINE_CHANGED: .*its target was .*lake, and is .*node_modules\/lake/);
    await expectAll(project, 20, []);
  });

  it("A pipeline with another name begins at the start, and the table tells both apart", async () => {
    const project = new Project({ TABLE: "lake" });
    await project.runTo(10);
    const text = project.read("pipeline.ts").replace('pipeline("recover")', 'pipeline("renamed")');
    project.write("pipeline.ts", text);
    expect(await project.settle()).toEqual([]);
    expect(await project.rows()).toEqual(upTo(10).flatMap((n) => [n, n]));
  });
});
