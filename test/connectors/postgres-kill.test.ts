import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Database, PostgresServer } from "../postgres/databases.ts";
import { PostgresProxy } from "../postgres/proxy.ts";
import { borrowPostgres } from "../postgres/shared.ts";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { filesBelow, killTree, millrace, startMillrace } from "../support/process.ts";

const COPY = join(PACKAGE, "test/postgres/pipelines/copy.ts");
const LATEST = "SELECT DISTINCT ON (id) id, seq, word FROM changes ORDER BY id, seq DESC";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

async function changes(rows: number): Promise<Database> {
  const db = await server.database();
  await db.query(`CREATE TABLE changes (seq bigserial PRIMARY KEY, id int NOT NULL, word text);
    INSERT INTO changes (id, word) SELECT random() * 100, 'w' || n FROM generate_series(1, ${rows}) AS n`);
  return db;
}

/**
 * Starts sessions that write several rows per transaction, and that roll some transactions back.
 * Returns a function that ends them.
 */
async function keepWriting(db: Database, sessions: number): Promise<() => Promise<void>> {
  let isWriting = true;
  const writers = Array.from({ length: sessions }, async () => {
    const session = await db.session();
    onTestFinished(() => session.end());
    while (isWriting) {
      await session.query("BEGIN");
      for (let i = 0; i < 4; i++) {
        await session.query("INSERT INTO changes (id, word) VALUES (random() * 100, 'live')");
        await setTimeout(Math.random() * 80);
      }
      await session.query(Math.random() < 0.2 ? "ROLLBACK" : "COMMIT");
    }
  });
  return async () => {
    isWriting = false;
    await Promise.all(writers);
  };
}

describe("kill -9", () => {
  it("A run killed at random moments loses and doubles no row while others write the source", {
    timeout: 180_000,
  }, async () => {
    const db = await changes(1000);
    const stopWriting = await keepWriting(db, 2);
    const home = temporaryFolder();
    const kinds = [{}, { COPY_KEY: "id" }];
    for (let kill = 0; kill < 5; kill++) {
      await Promise.all(
        kinds.map(async (kind) => {
          const running = startMillrace(["run", COPY, "--home", home], { ...db.env, ...kind });
          await expect.poll(() => running.stderr(), { timeout: 30_000 }).toContain("batch");
          await setTimeout(Math.random() * 1000);
          killTree(running.process);
          await running.ended;
        }),
      );
    }
    await stopWriting();
    for (const kind of kinds) {
      const { code, stderr } = await millrace(["run", COPY, "--home", home], { ...db.env, ...kind });
      expect(code, stderr).toBe(0);
    }
    expect(await db.query("SELECT seq, id, word FROM copies ORDER BY seq")).toEqual(
      await db.query("SELECT seq, id, word FROM changes ORDER BY seq"),
    );
    expect(await db.query("SELECT id, seq, word FROM latest ORDER BY id")).toEqual(await db.query(LATEST));
    for (const kind of kinds) {
      const vacuum = ["vacuum", COPY, "--older-than", "0s", "--home", home];
      expect((await millrace(vacuum, { ...db.env, ...kind })).code).toBe(0);
    }
    expect(filesBelow(home).filter((file) => file.includes("staging"))).toEqual([]);
  });

  it("A row that the table refuses is in the quarantine once, whenever runs are killed", {
    timeout: 180_000,
  }, async () => {
    const db = await changes(1500);
    await db.query("CREATE TABLE copies (seq bigint CHECK (seq % 50 <> 7), id int, word text)");
    const home = temporaryFolder();
    const env = { ...db.env, COPY_ON_BAD_ROW: "quarantine" };
    for (let kill = 0; kill < 6; kill++) {
      const running = startMillrace(["run", COPY, "--home", home], env);
      await expect.poll(() => running.stderr(), { timeout: 30_000 }).toContain("batch");
      await setTimeout(Math.random() * 400);
      killTree(running.process);
      await running.ended;
    }
    const { code, stderr } = await millrace(["run", COPY, "--home", home], env);
    expect(code, stderr).toBe(0);
    const kept = await millrace(["quarantine", "append", "--json", "--limit", "1000", "--home", home], env);
    expect(kept.code, kept.stderr).toBe(0);
    const rows = kept.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { row: { seq: unknown } });
    expect(rows.map(({ row }) => Object.values(row.seq as object)[0] as string)).toEqual(
      Array.from({ length: 30 }, (_, i) => String(i * 50 + 7)),
    );
    expect(await db.query("SELECT seq FROM copies ORDER BY seq")).toEqual(
      await db.query("SELECT seq FROM changes WHERE seq % 50 <> 7 ORDER BY seq"),
    );
  });

  it("A run that is killed in the middle of a commit writes nothing, and the next run writes the batch", async () => {
    const db = await changes(50);
    const home = temporaryFolder();
    await db.query("CREATE TABLE copies (seq bigint, id int, word text)");
    const locking = await db.session();
    onTestFinished(() => locking.end());
    await locking.query("BEGIN; LOCK TABLE copies IN SHARE MODE");
    const running = startMillrace(["run", COPY, "--home", home], db.env);
    const waiting =
      "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'millrace' AND wait_event_type = 'Lock'";
    await expect.poll(async () => (await db.query(waiting))[0]?.[0], { timeout: 30_000 }).toBe("1");
    killTree(running.process);
    await running.ended;
    await locking.query("ROLLBACK");
    const { code, stderr } = await millrace(["run", COPY, "--home", home], db.env);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain("batch 0, resumed");
    expect(await db.query("SELECT seq, id, word FROM copies ORDER BY seq")).toEqual(
      await db.query("SELECT seq, id, word FROM changes ORDER BY seq"),
    );
  });
});

describe("a run", () => {
  it("A run whose COMMIT gets no answer says so, and after a kill the next run goes on without the lock", async () => {
    const db = await changes(50);
    await db.query("CREATE TABLE copies (seq bigint, id int, word text)");
    const home = temporaryFolder();
    let hasInserted = false;
    const proxy = await PostgresProxy.start(server.port, {
      kind: "swallow statement",
      isBroken: (message) => {
        hasInserted ||= message.includes('INSERT INTO "public"."copies"');
        return hasInserted && message.includes("COMMIT\0");
      },
    });
    const limits = { COPY_IDLE_SECONDS: "3" };
    const running = startMillrace(["run", COPY, "--home", home, "--stall-after", "1s"], {
      ...db.env,
      ...limits,
      PGPORT: String(proxy.port),
    });
    const warning =
      'warning COMMIT_STALLED: commit() of the sink has not answered for 1 s, at the end of batch 0 of "append"';
    await expect.poll(() => running.stderr(), { timeout: 30_000 }).toContain(warning);
    killTree(running.process);
    await running.ended;
    const { code, stderr } = await millrace(["run", COPY, "--home", home], { ...db.env, ...limits });
    expect(code, stderr).toBe(0);
    expect(await db.query("SELECT seq, id, word FROM copies ORDER BY seq")).toEqual(
      await db.query("SELECT seq, id, word FROM changes ORDER BY seq"),
    );
  });

  it("A run with a wrong password says so in one line, keeps it out of the ledger and ends with code 1", async () => {
    const db = await changes(1);
    const home = temporaryFolder();
    const env = { ...db.env, PGPASSWORD: "wrong-secret" };
    const { code, stdout, stderr } = await millrace(["run", COPY, "--home", home], env);
    expect(code).toBe(1);
    expect(stderr).toContain("error POSTGRES_FAILED: connecting: SQLSTATE 28P01");
    expect(stdout + stderr).not.toContain("wrong-secret");
  });
});
