import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { killTree, millrace, startMillrace } from "../support/process.ts";

const SIMPLE = join(PACKAGE, "test/e2e/pipelines/simple.ts");

const linesOf = (home: string, batchId: number): unknown[] =>
  readFileSync(join(home, `simple/lines/${batchId}.jsonl`), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);

const rows = (word: string, from: number) => [0, 1, 2, 3].map((i) => ({ n: from + i, word }));

describe("a simple reader and a writer of rows that run embedded", () => {
  it("A killed run's rows of a simple reader are written by the next run although the source changed", async () => {
    const home = temporaryFolder();
    const args = ["run", SIMPLE, "--home", home, "--json"];
    const killed = startMillrace(args, { SIMPLE_WORD: "first", SIMPLE_FAULT: "hang" });
    for (let i = 0; i < 1000 && !killed.stderr().includes("writing 4"); i++) await setTimeout(10);
    expect(killed.stderr()).toContain("read 0\n");
    killTree(killed.process);
    await killed.ended;

    const resumed = await millrace(args, { SIMPLE_WORD: "second" });
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(resumed.stderr).not.toContain("read");
    expect(resumed.stdout).toContain('"resumed":true');
    expect(linesOf(home, 0)).toEqual(rows("first", 0));

    // Each run has one batch, because a simple reader does not support availableNow.
    for (const batchId of [1, 2]) {
      expect((await millrace(args, { SIMPLE_WORD: "second" })).code).toBe(0);
      expect(linesOf(home, batchId)).toEqual(rows("second", batchId * 4));
    }
    const idle = await millrace(args, { SIMPLE_WORD: "third" });
    expect(idle.stdout).toContain('{"type":"idle"}');
    expect(idle.stderr).toContain("read 12\n");
  });
});
