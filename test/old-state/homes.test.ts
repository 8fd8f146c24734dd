import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { millrace } from "../support/process.ts";
import { newProject, type State } from "./project.ts";
import { type Accepted, startApi } from "./rest-server.ts";

/** Opens a fixture as a project, which is removed when the test ends. */
function opened(state: State) {
  const folder = newProject(state);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return {
    run: (env: Record<string, string> = {}) =>
      millrace(["run", "pipeline.ts", "--home", "home", "--json"], env, folder),
    command: (...args: string[]) => millrace([...args, "--home", "home"], {}, folder),
    /** The numbers in a table, sorted. */
    numbers: async (table: string) => {
      const { stdout } = await millrace(["cat", table, "--home", "home", "--json"], {}, folder);
      const lines = stdout.split("\n").filter((line) => line !== "");
      return lines.map((line) => (JSON.parse(line) as { n: number }).n).sort((a, b) => a - b);
    },
    acknowledged: () => readFileSync(join(folder, "acknowledged"), "utf8").trim().split("\n").map(Number),
    accepted: () => JSON.parse(readFileSync(join(folder, "accepted.json"), "utf8")) as Accepted[],
  };
}

const upTo = (end: number) => Array.from({ length: end }, (_, n) => n);

describe("a home that an older version wrote", () => {
  it.each([
    ["nothing is open", "committed"],
    ["one of two tasks is recorded", "planned"],
    ["a decided commit was not tried", "committing"],
    ["a commit landed that the ledger does not know", "landed"],
    ["an attempt was aborted", "aborted"],
    ["an attempt was decided to be aborted", "aborting"],
    ["the source was not told of a batch", "unacknowledged"],
  ])("Each row is in the table once after a run in an older home in which %s", async (_what, state) => {
    const project = opened({ pipeline: "home", fixture: `home/${state}`, count: 60 });
    const { code, stderr, stdout } = await project.run();
    expect(code, stderr + stdout).toBe(0);
    expect(await project.numbers("old")).toEqual(upTo(60));
    expect([...new Set(project.acknowledged())]).toEqual([20, 40, 60]);
  });

  it.each(["committed", "planned", "committing", "landed"])(
    "Each row is in a table outside an older home once after a run that found the state %s",
    async (state) => {
      const project = opened({ pipeline: "lake", fixture: `lake/${state}`, count: 60 });
      const { code, stderr, stdout } = await project.run();
      expect(code, stderr + stdout).toBe(0);
      expect(await project.numbers("./lake")).toEqual(upTo(60));
    },
  );

  it("A pipeline that an older version paused and moved back reads again from there", async () => {
    const project = opened({ pipeline: "home", fixture: "home/rewound", count: 60 });
    const waiting = await project.run();
    expect(waiting.code, waiting.stderr).toBe(0);
    expect(waiting.stdout).toContain('{"type":"paused","by":"ada","why":"rows were wrong"');
    expect(await project.numbers("old")).toEqual(upTo(40));
    expect((await project.command("resume", "old")).code).toBe(0);
    const { code, stderr } = await project.run();
    expect(code, stderr).toBe(0);
    const twice = upTo(60).flatMap((n) => (n >= 20 && n < 40 ? [n, n] : [n]));
    expect(await project.numbers("old")).toEqual(twice);
  });

  it("A batch pipeline that an older version left open writes each row once", async () => {
    const project = opened({ pipeline: "batch", fixture: "batch/planned", count: 40 });
    const { code, stderr } = await project.run();
    expect(code, stderr).toBe(0);
    expect(await project.numbers("old")).toEqual(upTo(40));
  });

  it("An API gets the requests of an older version's open batch under the keys that it has seen", async () => {
    const project = opened({ pipeline: "rest", fixture: "rest/sending", count: 60 });
    const api = await startApi({ before: project.accepted() });
    onTestFinished(() => api.stop());
    const { code, stderr } = await project.run({ OLD_API: api.url, OLD_ROWS: "3" });
    expect(code, stderr).toBe(0);
    const rows = api.accepted.flatMap(({ body }) => JSON.parse(body) as { n: number }[]);
    expect(rows.map(({ n }) => n).sort((a, b) => a - b)).toEqual(upTo(60));
  });
});
