import { afterAll, beforeAll, expect, it } from "vitest";
import type { PostgresServer } from "../postgres/databases.ts";
import { borrowPostgres } from "../postgres/shared.ts";
import { killTree, startMillrace } from "../support/process.ts";
import { Project } from "./project.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

const PIPELINE = `
import { pipeline } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";
import { Postgres } from "millrace/connectors/postgres";
export default pipeline("copy").readStream.format(Postgres)
  .options({ table: "t", cursorColumn: "id", startAfter: 500, maxRowsPerBatch: 50 })
  .writeStream.format(ArrowTable);
`;

it("A backfill of a table's older numbers is killed and goes on, and its rows join those of the stream", {
  timeout: 120_000,
}, async () => {
  const db = await server.database();
  await db.query(`CREATE TABLE t (id bigserial PRIMARY KEY, word text);
    INSERT INTO t (word) SELECT 'w' || n FROM generate_series(1, 1000) AS n`);
  const project = new Project(db.env);
  project.write("pipeline.ts", PIPELINE);
  expect((await project.run()).code).toBe(0);
  const command = ["backfill", "pipeline.ts", "--from", "1", "--to", "501", "--chunk", "20"];
  for (let kill = 0; kill < 2; kill++) {
    const running = startMillrace(command, project.env, project.folder);
    await expect.poll(() => running.stderr(), { timeout: 30_000 }).toContain(`batch ${kill + 1}`);
    killTree(running.process);
    await running.ended;
  }
  const { code, stderr } = await project.millrace(command);
  expect(code, stderr).toBe(0);
  const cat = await project.millrace(["cat", "copy", "--json"]);
  const ids = cat.stdout.split("\n").filter((line) => line !== "");
  const sorted = ids.map((line) => Number((JSON.parse(line) as { id: string }).id)).sort((a, b) => a - b);
  expect(sorted).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1));

  expect((await project.millrace(command)).code).toBe(2);
  const live = ["backfill", "pipeline.ts", "--from", "500", "--to", "502", "--chunk", "9", "--again"];
  const refused = await project.millrace(live);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("the pipeline itself reads from");
  const late = ["backfill", "pipeline.ts", "--from", "1001", "--to", "1003", "--chunk", "9", "--over-live"];
  expect((await project.millrace(late)).stderr).toContain("complete up to 1001");
});
