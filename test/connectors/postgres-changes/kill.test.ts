import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Database, PostgresServer } from "../../postgres/databases.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { PACKAGE } from "../../support/package.ts";
import { killTree, millrace, startMillrace } from "../../support/process.ts";

const MERGES = join(PACKAGE, "test/postgres/pipelines/merges.ts");
const KILLS = 5;
const TIMEOUT = 180_000;

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

/** Kills runs at random moments, and lets the last one end. */
async function killRuns(db: Database, env: Record<string, string>): Promise<void> {
  const home = temporaryFolder();
  const all = { ...db.env, ...env };
  for (let kill = 0; kill < KILLS; kill++) {
    const running = startMillrace(["run", MERGES, "--home", home], all);
    await expect.poll(() => running.stderr(), { timeout: 60_000 }).toContain("batch");
    await setTimeout(Math.random() * 400);
    killTree(running.process);
    await running.ended;
  }
  const { code, stderr } = await millrace(["run", MERGES, "--home", home], all);
  expect(code, stderr).toBe(0);
}

describe("kill -9 of a run that changes rows", () => {
  it("A merge that is killed at random moments adds each payment once for each of its batches", {
    timeout: TIMEOUT,
  }, async () => {
    const db = await server.database();
    await db.query(`CREATE TABLE accounts (id int PRIMARY KEY, v bigint NOT NULL);
      INSERT INTO accounts SELECT n, 1000 FROM generate_series(1, 400) AS n;
      CREATE TABLE payments (id int PRIMARY KEY, d bigint NOT NULL);
      INSERT INTO payments SELECT n, n FROM generate_series(201, 600) AS n`);
    await killRuns(db, { MERGES: "command" });
    // Batches of a pipeline have the ids 0, 1, 2 and so on.
    const [[newest] = []] = await db.query("SELECT max(batch_id) FROM millrace_batches");
    const batches = Number(newest) + 1;
    expect(batches).toBeGreaterThan(0);
    const expected = Array.from({ length: 600 }, (_, i) => {
      const id = i + 1;
      return [String(id), String((id <= 400 ? 1000 : 0) + (id > 200 ? batches * id : 0))];
    });
    expect(await db.query("SELECT id, v FROM accounts ORDER BY id")).toEqual(expected);
  });

  it("A stream of changes that is killed at random moments ends with the newest state of each key", {
    timeout: TIMEOUT,
  }, async () => {
    const db = await server.database();
    await db.query(`CREATE TABLE newest (id int PRIMARY KEY, seq bigint NOT NULL, word text);
      CREATE TABLE feed (pos bigserial PRIMARY KEY, id int NOT NULL, seq bigint NOT NULL, op text, word text);
      INSERT INTO feed (id, seq, op, word)
        SELECT random() * 150, n, CASE WHEN random() < 0.3 THEN 'delete' END, 'w' || n
        FROM generate_series(1, 3000) AS n ORDER BY random()`);
    await killRuns(db, { MERGES: "stream" });
    const last = "SELECT DISTINCT ON (id) id, seq, op, word FROM feed ORDER BY id, seq DESC";
    const model = `SELECT id, seq, word FROM (${last}) AS changes WHERE op IS NULL ORDER BY id`;
    expect(await db.query("SELECT id, seq, word FROM newest ORDER BY id")).toEqual(await db.query(model));
  });
});
