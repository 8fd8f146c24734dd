import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { millrace } from "../support/process.ts";

const MISCHIEF = join(PACKAGE, "test/e2e/pipelines/mischief.ts");

interface Line {
  readonly type: string;
  readonly code?: string;
  readonly message?: string;
  readonly cause?: string;
  readonly also?: readonly { readonly code: string; readonly message: string }[];
}

async function run(env: Record<string, string>, home = temporaryFolder()) {
  const args = ["run", MISCHIEF, "--home", home, "--max-attempts", "1"];
  const ended = await millrace([...args, "--json"], env);
  const lines = ended.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
  return { ...ended, lines, last: lines.at(-1) };
}

describe("code of the user that ends the process", () => {
  it.each([
    ["load", "exit", "PROCESS_EXIT", "process.exit(0)"],
    ["latestOffset", "exit", "PROCESS_EXIT", "process.exit(0)"],
    ["latestOffset", "kill", "PROCESS_EXIT", "process.kill"],
    ["partitions", "exit", "PROCESS_EXIT", "process.exit(0)"],
    ["read", "exit", "PROCESS_EXIT", "process.exit(0)"],
    ["read", "kill", "PROCESS_EXIT", "process.kill"],
    ["write", "exit", "PROCESS_EXIT", "process.exit(0)"],
    ["commit", "exit", "PROCESS_EXIT", "process.exit(0)"],
    ["commit", "kill", "PROCESS_EXIT", "process.kill"],
    ["acknowledge", "exit", "PROCESS_EXIT", "process.exit(0)"],
    ["load", "rejection", "UNCAUGHT_ERROR", "a forgotten promise"],
    ["latestOffset", "rejection", "UNCAUGHT_ERROR", "a forgotten promise"],
    ["latestOffset", "callback", "UNCAUGHT_ERROR", "a callback that throws"],
    ["partitions", "rejection", "UNCAUGHT_ERROR", "a forgotten promise"],
    ["read", "rejection", "UNCAUGHT_ERROR", "a forgotten promise"],
    ["read", "callback", "UNCAUGHT_ERROR", "a callback that throws"],
    ["write", "rejection", "UNCAUGHT_ERROR", "a forgotten promise"],
    ["commit", "rejection", "UNCAUGHT_ERROR", "a forgotten promise"],
    ["commit", "callback", "UNCAUGHT_ERROR", "a callback that throws"],
    ["acknowledge", "rejection", "UNCAUGHT_ERROR", "a forgotten promise"],
  ])("In %s, %s ends the run with the code %s and names the cause", async (place, what, code, cause) => {
    const home = temporaryFolder();
    const env = { MISCHIEF: what, MISCHIEF_IN: place };
    const failed = await run(env, home);
    expect(failed).toMatchObject({ code: 1, last: { type: "error", code } });
    expect(`${failed.last?.message} ${failed.last?.cause}`).toContain(cause);
    if (place !== "load") expect(failed.lines.at(-2)).toMatchObject({ type: "ended" });
    expect(failed.stderr).toBe("");

    const next = await run({}, home);
    expect(next).toMatchObject({ code: 0, last: { type: "ended" } });
  });

  it("For people the error has the form of every error, with the place of the call", async () => {
    const env = { MISCHIEF: "exit", MISCHIEF_IN: "latestOffset" };
    const { code, stderr } = await millrace(["run", MISCHIEF, "--home", temporaryFolder()], env);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error PROCESS_EXIT: .* called process\.exit\(0\)$/m);
    expect(stderr).toMatch(/^ {2}where: pipeline mischief/m);
    expect(stderr).toMatch(/^ {8}at .*mischief\.[jt]s:\d+/m);
  });

  it("An abort that fails does not hide why the task failed, for people, scripts, status and batch", async () => {
    const home = temporaryFolder();
    const env = { MISCHIEF: "error", MISCHIEF_IN: "abort", MISCHIEF_TASK_FAILS: "1" };
    const { last } = await run(env, home);
    expect(last).toMatchObject({
      code: "SOURCE_FAILED",
      cause: "Error: the task fails",
      also: [{ code: "SINK_FAILED", message: "abort() failed: Error" }],
    });
    const text = await millrace(["run", MISCHIEF, "--home", home], env);
    expect(text.stderr).toMatch(
      /^error SOURCE_FAILED: .*^ {2}later: SINK_FAILED: abort\(\) failed: Error$.*abort fails/ms,
    );
    for (const args of [
      ["status", "mischief"],
      ["batch", "0", "mischief"],
    ]) {
      const shown = await millrace([...args, "--home", home]);
      expect(shown.stdout).toMatch(
        /SOURCE_FAILED: read\(\) failed: Error\n(?:.*\n)*? +later +SINK_FAILED: abort\(\) failed/,
      );
    }
  });

  it("A command that only loads the pipeline's file ends with the error, too", async () => {
    const home = temporaryFolder();
    await run({}, home);
    const env = { MISCHIEF: "exit", MISCHIEF_IN: "load" };
    const { code, stderr } = await millrace(["vacuum", "mischief", "--home", home], env);
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringMatching(/^error PROCESS_EXIT/) });
  });
});
