import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { killTree, millrace, startMillrace } from "../support/process.ts";

const PIPELINE = join(PACKAGE, "test/e2e/pipelines/steps.ts");
const ROWS = 50;

describe("kill -9 while steps change rows", () => {
  it("Runs that are killed leave each row that the steps make once", async () => {
    const [home, path] = [temporaryFolder(), temporaryFolder()];
    const args = ["run", PIPELINE, "--home", home];
    const env = { FILES_PATH: path };
    let files = 0;
    for (let kill = 0; kill < 6; kill++) {
      for (let i = 0; i < 4; i++, files++) {
        const lines = Array.from({ length: ROWS }, (_, n) => `{"id":${files * ROWS + n},"word":"w"}\n`);
        writeFileSync(join(path, `${files}.jsonl`), lines.join(""));
      }
      const running = startMillrace(args, env);
      await setTimeout(300 + Math.random() * 700);
      killTree(running.process);
      await running.ended;
    }
    const last = await millrace(args, env);
    expect(last.code, last.stderr).toBe(0);
    const { stdout } = await millrace(["cat", "steps", "--home", home, "--json"]);
    const rows = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { id: number; copy: number })
      .map(({ id, copy }) => id + copy)
      .sort((a, b) => a - b);
    expect(rows).toEqual(Array.from({ length: files * ROWS }, (_, n) => n));
  });

  it("An error of a step is shown with the row, the step, and the line of the user's code", async () => {
    const [home, path] = [temporaryFolder(), temporaryFolder()];
    writeFileSync(join(path, "0.jsonl"), '{"id":1,"word":"w"}\n{"id":2,"word":"secret"}\n');
    const file = join(temporaryFolder(), "failing.ts");
    writeFileSync(
      file,
      `import { pipeline } from ${JSON.stringify(join(PACKAGE, "dist/shared/index.js"))};
import { ArrowTable } from ${JSON.stringify(join(PACKAGE, "dist/shared/connectors/arrow-table/index.js"))};
import { Files } from ${JSON.stringify(join(PACKAGE, "dist/shared/connectors/files/index.js"))};
export default pipeline("failing").readStream.format(Files)
  .options({ path: process.env["FILES_PATH"] ?? "", format: "jsonl", pattern: "*.jsonl", settleSeconds: 0 })
  .schema("id bigint NOT NULL, word string")
  .map(function shout(row) {
    if (row.id === 2n) throw new RangeError("cannot shout " + row.word);
    return row;
  })
  .writeStream.format(ArrowTable);
`,
    );
    const run = await millrace(["run", file, "--home", home], { FILES_PATH: path });
    expect(run.code).not.toBe(0);
    expect(run.stderr).toContain("error STEP_FAILED: row 2: step 1 map(shout) failed: RangeError");
    expect(run.stderr).toContain("row 2, step 1 map(shout)");
    expect(run.stderr).toContain("cannot shout secret");
    expect(run.stderr).toContain("failing.ts:8");
    const batch = await millrace(["batch", "0", "failing", "--home", home, "--json"]);
    expect(batch.stdout).toContain("STEP_FAILED");
    // The log file has what the user's code said; the ledger has not.
    const { log, ...recorded } = JSON.parse(batch.stdout) as { readonly log: { readonly cause: string } };
    expect(log.cause).toContain("cannot shout secret");
    expect(JSON.stringify(recorded)).not.toContain("secret");
  });
});
