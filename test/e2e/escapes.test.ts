import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { type Ended, millrace } from "../support/process.ts";

const HOSTILE = join(PACKAGE, "test/e2e/pipelines/hostile.ts");
const EVIL = "\u001b]0;owned\u0007\u009b2J\u202e\u2066\r";

function expectHarmless({ stdout, stderr }: Ended): void {
  expect(stdout + stderr).not.toMatch(/[^\P{Cc}\n]|\p{Bidi_Control}/u);
}

it("No command lets names, rows, offsets, errors or arguments control the terminal, with and without --json", async () => {
  const home = temporaryFolder();
  const commands: readonly [readonly string[], Record<string, string>][] = [
    [["run", HOSTILE, "--max-attempts", "2"], { HOSTILE_FAILS: "own" }],
    [["status"], {}],
    [["batches"], {}],
    [["batch", "0"], {}],
    [["run", HOSTILE, "--max-attempts", "1"], { HOSTILE_FAILS: "row" }],
    [["run", HOSTILE], {}],
    [["cat", "hostile"], {}],
    [["status"], {}],
    [["batch", "0"], {}],
    [["pause", "hostile", "--why", EVIL, "--by", EVIL], {}],
    [["status"], {}],
    [["resume", "hostile", "--by", EVIL], {}],
    [["rewind", "hostile", "--to-batch", "0", "--dry-run"], {}],
    [["vacuum"], {}],
    [["status", EVIL], {}],
    [["cat", EVIL], {}],
    [["run", `${EVIL}.ts`], {}],
  ];
  for (const json of [[], ["--json"]]) {
    for (const [args, env] of commands) {
      const ended = await millrace([...args, ...json, "--home", home], env);
      expectHarmless(ended);
      if (json.length === 0) continue;
      for (const line of ended.stdout.trimEnd().split("\n"))
        expect(() => JSON.parse(line || "{}")).not.toThrow();
    }
  }
  const { stdout } = await millrace(["cat", "hostile", "--json", "--limit", "1", "--home", home]);
  expect(JSON.parse(stdout)).toEqual({ [EVIL]: EVIL, s: { a: EVIL } });
});

it("A command that does not exist, or an option, is told without its controls", async () => {
  for (const args of [[EVIL], ["run", `--${EVIL}`], ["batch", EVIL], ["run", "--max-attempts", EVIL]])
    expectHarmless(await millrace(args));
});
