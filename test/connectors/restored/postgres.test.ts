import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Postgres } from "../../../shared/connectors/postgres/index.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { LocalHome, Numbers, type Target } from "./numbers.ts";
import { restored } from "./restored.suite.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

/** A table whose rows are appended, so that a row that is written twice is there twice. */
async function newTarget(): Promise<Target> {
  const { query, env } = await server.database();
  await query("CREATE TABLE t (id bigint NOT NULL, word text)");
  return {
    sink: { dataSource: Postgres, options: { table: "t" } },
    env,
    ids: async () => (await query("SELECT id FROM t ORDER BY id")).map(([id]) => Number(id)),
    backUp: async () => {
      await query("CREATE TABLE saved_t AS TABLE t; CREATE TABLE saved_batches AS TABLE millrace_batches");
      return async () =>
        void (await query(`TRUNCATE t, millrace_batches; INSERT INTO t TABLE saved_t;
          INSERT INTO millrace_batches TABLE saved_batches`));
    },
  };
}

describe("a PostgreSQL table", () => {
  restored(newTarget, async () => new LocalHome());
});

describe("a WAL that was lost", () => {
  it("A ledger whose WAL was lost plans nothing that PostgreSQL has under another plan", async () => {
    const target = await newTarget();
    const numbers = new Numbers(target);
    const first = new LocalHome();
    await numbers.batch(first, 10);
    const home = first.reopened();
    await numbers.batch(home, 20);
    await expect(numbers.batch(home.copyWithoutWal(), 30)).rejects.toMatchObject({
      code: "LEDGER_BEHIND_SINK",
    });
    expect(await target.ids()).toHaveLength(20);
    expect(numbers.acknowledged).toEqual([10, 20]);
  });
});
