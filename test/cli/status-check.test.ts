import { describe, expect, it } from "vitest";
import { millrace } from "../support/process.ts";
import { Project } from "./project.ts";

const HOUR = 3_600_000;

/** Moves all times of the ledger that `status --check` looks at an hour back. */
function waitAnHour(project: Project): void {
  const back = (column: string) => `${column} = ${column} - ${HOUR}`;
  project.sql(`UPDATE heads SET ${back("last_idle_at")}`);
  project.sql(`UPDATE batches SET ${[back("planned_at"), back("finished_at")].join(", ")}`);
  project.sql(`UPDATE tasks SET task = json_set(task, '$.recordedAt', (task ->> 'recordedAt') - ${HOUR})`);
  project.sql(
    `UPDATE task_progress SET running = json_set(running, '$.progressedAt', (running ->> 'progressedAt') - ${HOUR})`,
  );
}

const check = (project: Project, ...args: string[]) => project.millrace(["status", "--check", ...args]);

/** A project whose batch 1 has failed. */
async function failing(): Promise<Project> {
  const project = new Project();
  await project.runTo(4);
  project.write("poison", "6");
  project.write("count", "8");
  expect((await project.run("--max-attempts", "1")).code).toBe(1);
  return project;
}

describe("status --check", () => {
  it("A check of a pipeline that has committed its batches says when, and ends with 0", async () => {
    const project = new Project();
    await project.runTo(4);
    expect(await check(project)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^recover: ok: committed \d+ s ago\n$/) as string,
      stderr: "",
    });
    await project.run();
    expect((await check(project, "recover")).stdout).toMatch(/^recover: ok: nothing new \d+ s ago\n$/);
  });

  it("A check of a pipeline whose batch has failed says why in one line, and ends with 13", async () => {
    const project = await failing();
    const { code, stdout } = await check(project, "recover");
    expect(code).toBe(13);
    expect(stdout).toMatch(
      /^recover: failing: batch 1, first planned \d+ s ago, attempt 1 is aborted: \w+: .*\n$/,
    );
    project.remove("poison");
    await project.run();
    expect((await check(project)).code).toBe(0);
  });

  it("A check of a pipeline whose last run could not plan ends with 13 until one can", async () => {
    const project = new Project();
    const source = project.read("pipeline.ts");
    await project.runTo(4);
    project.write(
      "pipeline.ts",
      source.replace(
        "latestOffset(): Position {",
        'latestOffset(): Position { throw new Error("words of a row");',
      ),
    );
    expect((await project.run()).code).toBe(1);
    const { code, stdout } = await check(project);
    expect(code).toBe(13);
    expect(stdout).toMatch(/^recover: failing: no batch could be planned \d+ s ago: SOURCE_FAILED: /);
    expect(stdout).not.toContain("words of a row");
    expect((await project.millrace(["status"])).stdout).toMatch(/not planned +at .*SOURCE_FAILED/);
    project.write("pipeline.ts", source);
    await project.run();
    expect((await check(project)).code).toBe(0);
  });

  it("A check calls a pipeline late that committed nothing and looked for nothing for too long", async () => {
    const project = new Project();
    await project.runTo(4);
    waitAnHour(project);
    expect((await check(project)).code).toBe(0);
    expect((await check(project, "--late-after", "2h")).code).toBe(0);
    const { code, stdout } = await check(project, "--late-after", "10m");
    expect(code).toBe(11);
    expect(stdout).toMatch(
      /^recover: late: nothing was committed or looked for since 1 h ago \(--late-after 10m\)\n$/,
    );
    await project.run();
    expect((await check(project, "--late-after", "10m")).code).toBe(0);
  });

  it("A check calls an open batch late whose run was killed, but not one whose tasks move rows", async () => {
    const project = new Project();
    await project.runTo(4);
    await project.killHalfway(8);
    expect((await check(project, "--late-after", "10m")).code).toBe(0);
    waitAnHour(project);
    expect((await check(project, "--late-after", "10m")).code).toBe(11);
    project.sql("UPDATE tasks SET task = json_set(task, '$.recordedAt', unixepoch() * 1000)");
    expect((await check(project, "--late-after", "10m")).code).toBe(0);
  });

  it("A check of a paused pipeline ends with 12, whatever else is wrong, and says who paused it", async () => {
    const project = await failing();
    await project.millrace(["pause", "recover", "--by", "ann@desk", "--why", "the source is ill"]);
    waitAnHour(project);
    const { code, stdout } = await check(project, "--late-after", "10m");
    expect(code).toBe(12);
    expect(stdout).toMatch(
      /^recover: paused: by ann@desk at .* \(the source is ill\); before that, batch 1, .*\n$/,
    );
  });

  it("A check of all pipelines ends with the exit code of the worst, and has a line for each", async () => {
    const project = await failing();
    project.write("other.ts", project.read("pipeline.ts").replace('"recover"', '"other"'));
    project.remove("poison");
    expect((await project.millrace(["run", "other.ts"])).code).toBe(0);
    const { code, stdout } = await check(project);
    expect(code).toBe(13);
    expect(stdout.split("\n").map((line) => line.split(":").slice(0, 2).join())).toEqual([
      "other, ok",
      "recover, failing",
      "",
    ]);
    expect((await check(project, "other")).code).toBe(0);
  });

  it("A check with --json has one object a pipeline, with its exit code and its problems", async () => {
    const project = await failing();
    const { code, stdout } = await check(project, "--json");
    expect(code).toBe(13);
    expect(JSON.parse(stdout)).toMatchObject({
      pipeline: "recover",
      ok: false,
      exitCode: 13,
      problems: [{ kind: "failing", why: expect.stringContaining("batch 1") as string }],
      committedAt: expect.stringMatching(/Z$/) as string,
      nothingNewAt: null,
    });
  });

  it("A check of what is not there is no success", async () => {
    const project = new Project();
    expect((await check(project)).code).toBe(2);
    await project.runTo(4);
    expect((await check(project, "nobody")).code).toBe(2);
    expect((await millrace(["status", "--late-after", "soon"], {}, project.folder)).code).toBe(2);
  });
});

describe("run by name", () => {
  it("A pipeline that has run here runs again by its name, and a file of that name wins", async () => {
    const project = new Project();
    await project.runTo(4);
    project.write("count", "8");
    const { code, stderr } = await project.millrace(["run", "recover"]);
    expect(code, stderr).toBe(0);
    expect(await project.rows()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    project.write("recover", "not a pipeline");
    expect((await project.millrace(["run", "recover"])).stderr).toContain("PIPELINE_FILE_FAILED");
  });

  it("A run by a name whose file is gone, or that is not known, says so and ends with 2", async () => {
    const project = new Project();
    await project.runTo(4);
    project.remove("pipeline.ts");
    const gone = await project.millrace(["run", "recover"]);
    expect(gone.code).toBe(2);
    expect(gone.stderr).toMatch(/PIPELINE_FILE_NOT_FOUND: the file .*pipeline\.ts, which defined "recover"/);
    const unknown = await project.millrace(["run", "nobody"]);
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toMatch(
      /PIPELINE_NOT_FOUND: there is no file nobody, and no pipeline of that name/,
    );
  });
});
