import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { millrace } from "../support/process.ts";

/** The pipeline of these tests. The first attempt of the task of partition 2 has the fault. */
const SLOW = join(PACKAGE, "test/e2e/pipelines/slow.ts");
const FORTY = Array.from({ length: 40 }, (_, n) => n);
const SPECULATE = ["--speculate", "--max-concurrency", "4", "--json"];

interface Event {
  readonly type: string;
  readonly partition?: number;
  readonly attemptNumber?: number;
  readonly state?: string;
}

async function run(args: readonly string[], env: Record<string, string>) {
  const home = temporaryFolder();
  const { code, stdout, stderr } = await millrace(["run", SLOW, "--home", home, ...args], env);
  const events = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Event);
  return { home, code, stderr, events };
}

const begun = (events: readonly Event[]) =>
  events
    .filter(({ type }) => type === "speculation")
    .map(({ partition, attemptNumber }) => `${partition}.${attemptNumber}`);

describe("a run with --speculate", () => {
  it.each(["hang", "hang and heed nothing"])(
    "A run whose source is told to %s in one task ends, with each row once",
    async (fault) => {
      const { home, code, events } = await run(SPECULATE, { SLOW_FAULT: fault });
      expect(code).toBe(0);
      expect(begun(events)).toContain("2.1");
      const written = events.filter(({ type, state }) => type === "partition" && state === "written");
      expect(written.map(({ partition }) => partition).sort()).toEqual([0, 1, 2, 3]);
      expect(written.find(({ partition }) => partition === 2)?.attemptNumber).toBe(1);
      const { stdout } = await millrace(["cat", "slow", "--home", home, "--json"]);
      const rows = stdout.trimEnd().split("\n");
      expect(rows.map((line) => (JSON.parse(line) as { n: number }).n).sort((a, b) => a - b)).toEqual(FORTY);
    },
  );

  /** The calls of partition 2, in order. */
  const calls = (folder: string) =>
    readFileSync(join(folder, "calls"), "utf8")
      .trimEnd()
      .split("\n")
      .filter((line) => / 2\.\d+$/.test(line));
  const rows = (folder: string) => JSON.parse(readFileSync(join(folder, "rows"), "utf8")) as number[];

  it("A slow commit that was authorized keeps the second attempt from its own, and wins", async () => {
    const folder = temporaryFolder();
    const { code, events } = await run(SPECULATE, { SLOW_FOLDER: folder, SLOW_FAULT: "wait in commit" });
    expect(code).toBe(0);
    expect(begun(events)).toContain("2.1");
    expect(calls(folder)).toEqual(["commit 2.0", "abort 2.1", "committed 2.0"]);
    expect(rows(folder)).toEqual(FORTY);
  });

  it("An attempt whose thread dies in its commit gives its right to the next one", async () => {
    const folder = temporaryFolder();
    const env = { SLOW_FOLDER: folder, SLOW_FAULT: "die in commit" };
    const { code } = await run(["--max-concurrency", "4", "--json"], env);
    expect(code).toBe(0);
    expect(calls(folder)).toEqual(["commit 2.0", "commit 2.1", "committed 2.1"]);
    expect(rows(folder)).toEqual(FORTY);
  });
});
