import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { killTree, millrace, startMillrace } from "../support/process.ts";
import { namedFiles, stagedFiles } from "../support/table.ts";

const PIPELINE = join(PACKAGE, "test/e2e/pipelines/files.ts");
const ROWS = 20;

/** Moves a complete file into the folder, like the command `mv`. */
function put(folder: string, number: number): void {
  const compressed = number % 3 === 0;
  const name = join(folder, `${number % 4}`, `${(number * 7) % 50}.jsonl${compressed ? ".gz" : ""}`);
  const lines = Array.from({ length: ROWS }, (_, i) => `{"id":${number * ROWS + i},"word":"number ${i}"}\n`);
  const body = Buffer.from(lines.join(""));
  mkdirSync(dirname(name), { recursive: true });
  writeFileSync(`${name}.part`, compressed ? gzipSync(body) : body);
  renameSync(`${name}.part`, name);
}

describe("kill -9 while files are read", () => {
  it("A run that is killed while new files come loses no file and reads none twice", async () => {
    const [home, path] = [temporaryFolder(), temporaryFolder()];
    const args = ["run", PIPELINE, "--home", home];
    const env = { FILES_PATH: path };
    let files = 0;
    for (let kill = 0; kill < 10; kill++) {
      for (let i = 0; i < 4; i++) put(path, files++);
      const running = startMillrace(args, env);
      await setTimeout(250 + Math.random() * 500);
      killTree(running.process);
      await running.ended;
    }
    const last = await millrace(args, env);
    expect(last.code, last.stderr).toBe(0);
    const { stdout } = await millrace(["cat", "files", "--home", home, "--json"]);
    const ids = stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { id: number }).id)
      .sort((a, b) => a - b);
    expect(ids).toEqual(Array.from({ length: files * ROWS }, (_, id) => id));
    expect((await millrace(["vacuum", "--older-than", "0s", "--home", home], env)).code).toBe(0);
    const table = join(home, "files/table");
    expect(stagedFiles(table)).toEqual(namedFiles(table));
    // A run after the vacuum finds no new data, so the vacuum has not removed needed records.
    expect((await millrace([...args, "--json"], env)).stdout).toContain('"batches":0');
  });
});
