import { mkdirSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { expect, it } from "vitest";
import { killTree, startMillrace } from "../support/process.ts";
import { Project } from "./project.ts";

const FILES = (schema: string, calls: string) => `
import { pipeline } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";
import { Files } from "millrace/connectors/files";
export default pipeline("bad").readStream.format(Files).options({ path: "landing", format: "csv", settleSeconds: 0 })
  .schema("${schema}").writeStream.format(ArrowTable)${calls};
`;

/** Twenty partitions of rows, of which each fiftieth has no number. */
const NUMBERS = `
import { DataSource, DataSourceStreamReader, pipeline } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";
import { setTimeout } from "node:timers/promises";
const ROWS = 20_000;
const PARTITIONS = 20;
class Reader extends DataSourceStreamReader<{ n: number }, { from: number; to: number }> {
  override initialOffset = () => ({ n: 0 });
  override latestOffset = () => ({ n: ROWS });
  override partitions(start: { n: number }, end: { n: number }) {
    const size = ROWS / PARTITIONS;
    return Array.from({ length: (end.n - start.n) / size }, (_, i) => ({ from: i * size, to: (i + 1) * size }));
  }
  override async *read({ from, to }: { from: number; to: number }): AsyncGenerator<any> {
    for (let id = from; id < to; id++) {
      if (id % 250 === 0) await setTimeout(5);
      yield { id, total: id % 50 === 7 ? "N/A" : "1.50" };
    }
  }
}
class Source extends DataSource {
  override schema = () => "id bigint, total decimal(12,2)";
  override streamReader = () => new Reader();
}
export default pipeline("bad").readStream.format(Source).writeStream.format(ArrowTable).onBadRow("quarantine");
`;

type JsonRow = Readonly<Record<string, unknown>>;

async function jsonRows(project: Project, ...args: string[]): Promise<readonly JsonRow[]> {
  const { code, stdout, stderr } = await project.millrace([...args, "--json"]);
  expect(code, stderr).toBe(0);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as JsonRow);
}

function landed(): Project {
  const project = new Project();
  project.write("pipeline.ts", FILES("id bigint, total decimal(12,2)", ""));
  mkdirSync(project.path("landing"));
  project.write("landing/a.csv", "id,total\n1,1.50\n2,N/A\n3,2.50\n");
  return project;
}

it("One wrong value fails the batch, and the error names the way to go on with the other rows", async () => {
  const project = landed();
  const { code, stderr } = await project.run();
  expect(code).toBe(1);
  expect(stderr).toContain('`.onBadRow("quarantine")`');
  expect(stderr).toContain("a.csv");
});

it("A row that is dropped is told, and the others are written", async () => {
  const project = landed();
  project.write("pipeline.ts", FILES("id bigint, total decimal(12,2)", '.onBadRow("drop")'));
  const { code, stderr } = await project.run();
  expect(code, stderr).toBe(0);
  expect(stderr).toContain("1 bad row dropped");
  expect((await jsonRows(project, "cat", "bad")).map(({ id }) => id)).toEqual([1, 3]);
});

it("A row in quarantine is shown with its file and its values, and is written once after the fix", async () => {
  const project = landed();
  project.write("pipeline.ts", FILES("id bigint, total decimal(12,2)", '.onBadRow("quarantine")'));
  const first = await project.run();
  expect(first.code, first.stderr).toBe(0);
  expect(first.stderr).toContain("1 bad row in quarantine");

  const shown = await project.millrace(["quarantine", "bad"]);
  expect(shown.stdout).toContain("a.csv");
  expect(shown.stdout).toContain("ROW_MISMATCH");
  expect(shown.stdout).toContain("N/A");
  expect(shown.stdout).toContain("`millrace quarantine bad --retry`");
  expect(await jsonRows(project, "quarantine", "bad")).toMatchObject([
    { batchId: 0, reason: { code: "ROW_MISMATCH", where: { row: 2, field: "total" } } },
  ]);

  const inVain = await project.millrace(["quarantine", "bad", "--retry"]);
  expect(inVain.code, inVain.stderr).toBe(0);
  expect(inVain.stderr).toContain("1 bad row in quarantine");
  const [kept] = await jsonRows(project, "quarantine", "bad");
  expect(kept).toMatchObject({
    batchId: 1,
    reason: { where: { row: 2, path: expect.stringMatching(/\/a\.csv$/) } },
  });

  // The fix: an empty field and "N/A" are null.
  project.write(
    "pipeline.ts",
    FILES("id bigint, total decimal(12,2)", '.onBadRow("quarantine")').replace(
      "settleSeconds: 0",
      'settleSeconds: 0, nullValue: "N/A"',
    ),
  );
  const retry = await project.millrace(["quarantine", "bad", "--retry"]);
  expect(retry.code, retry.stderr).toBe(0);
  expect((await jsonRows(project, "cat", "bad")).map(({ id }) => id)).toEqual([1, 3, 2]);
  expect((await project.millrace(["quarantine", "bad"])).stdout).toContain("no row is in quarantine");
  expect((await project.millrace(["quarantine", "bad", "--retry"])).stdout).toContain(
    "no row is in quarantine",
  );
  expect((await jsonRows(project, "cat", "bad")).map(({ id }) => id)).toEqual([1, 3, 2]);
});

it("A person is shown twenty rows of a large quarantine, a program all of them", async () => {
  const project = landed();
  project.write(
    "landing/many.csv",
    `id,total\n${Array.from({ length: 40 }, (_, i) => `${i},N/A\n`).join("")}`,
  );
  project.write("pipeline.ts", FILES("id bigint, total decimal(12,2)", '.onBadRow("quarantine")'));
  const { code, stderr } = await project.run();
  expect(code, stderr).toBe(0);

  const { stdout } = await project.millrace(["quarantine", "bad"]);
  expect(stdout.match(/ROW_MISMATCH/g)).toHaveLength(20);
  expect(stdout).toContain("41 rows are in quarantine; all of them: `--limit 41`");
  expect(await jsonRows(project, "quarantine", "bad")).toHaveLength(41);
  expect(await jsonRows(project, "quarantine", "bad", "--limit", "3")).toHaveLength(3);
});

it("Good rows and quarantined rows together are each there once, whenever the run is killed", async () => {
  const project = new Project();
  project.write("pipeline.ts", NUMBERS);
  for (const milliseconds of [700, 900, 1100]) {
    const running = startMillrace(["run", "pipeline.ts"], project.env, project.folder);
    await setTimeout(milliseconds);
    killTree(running.process);
    await running.ended;
  }
  const { code, stderr } = await project.run();
  expect(code, stderr).toBe(0);
  const good = (await jsonRows(project, "cat", "bad")).map(({ id }) => Number(id));
  const kept = (await jsonRows(project, "quarantine", "bad")).map(({ row }) => (row as { id: number }).id);
  expect(kept).toHaveLength(400);
  expect(kept.every((id) => id % 50 === 7)).toBe(true);
  expect([...good, ...kept].sort((a, b) => a - b)).toEqual(Array.from({ length: 20_000 }, (_, id) => id));
});

it("A retry that is killed is finished by the next run, and each row stays there once", async () => {
  const project = new Project();
  project.write("pipeline.ts", NUMBERS);
  expect((await project.run()).code).toBe(0);
  const retry = startMillrace(["quarantine", "bad", "--retry"], project.env, project.folder);
  await setTimeout(900);
  killTree(retry.process);
  await retry.ended;
  const { code, stderr } = await project.run();
  expect(code, stderr).toBe(0);
  const kept = (await jsonRows(project, "quarantine", "bad")).map(({ row }) => (row as { id: number }).id);
  expect(new Set(kept).size).toBe(400);
  expect(kept).toHaveLength(400);
  expect(await jsonRows(project, "cat", "bad")).toHaveLength(19_600);
});
