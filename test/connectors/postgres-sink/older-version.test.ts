import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UNKNOWN_PLAN } from "../../../shared/contract/batch-identity.ts";
import type { BatchContext } from "../../../shared/contract/context.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { Desk } from "../../postgres/desk.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { row, rowsOf } from "./words.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

const OLD_TABLE =
  "CREATE TABLE millrace_batches (pipeline text, incarnation text, batch_id bigint NOT NULL, committed_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (pipeline, incarnation))";
/** The statement with which the older version records a batch. */
const OLD_RECORD = `INSERT INTO millrace_batches AS last (pipeline, incarnation, batch_id) VALUES ($1, $2, $3)
  ON CONFLICT (pipeline, incarnation) DO UPDATE SET batch_id = excluded.batch_id, committed_at = now()
  WHERE last.batch_id < excluded.batch_id RETURNING batch_id`;

/** Returns a database in which the older version has committed batches 0 to 4. */
async function oldDesk(): Promise<Desk> {
  const d = await Desk.open(server);
  await d.db.query(`${OLD_TABLE}; CREATE TABLE t (id bigint NOT NULL, word text);
    INSERT INTO millrace_batches VALUES ('orders', 'life-0', 9, '2026-01-01'), ('orders', 'life-1', 4, '2026-02-01')`);
  return d;
}

/** What the engine says about batch 5 if the older version committed batch 4. */
const afterUpgrade: Partial<BatchContext> = {
  batchId: 5,
  follows: { incarnation: "life-1", batchId: 4, planId: UNKNOWN_PLAN },
};

describe("a table of the older version", () => {
  it("A table of the older version is changed in place by the next commit, which follows its newest batch", async () => {
    const d = await oldDesk();
    await d.land([[row(1)]], {}, afterUpgrade);
    await d.land([[row(2)]], {}, { batchId: 6 });
    expect(await rowsOf(d)).toHaveLength(2);
    expect(
      await d.db.query(
        "SELECT incarnation, batch_id, format, sequence, plan_id, start_offset, end_offset FROM millrace_batches ORDER BY 1",
      ),
    ).toEqual([
      ["life-0", "9", "1", "0", null, null, null],
      ["life-1", "6", "3", "2", "plan-6", '{"n":60}', '{"n":70}'],
    ]);
  });

  it("A table of the older version tells its newest batch by the clock, without a change of the table", async () => {
    const d = await oldDesk();
    const writer = await d.writer();
    expect(await writer.newestBatch(d.context())).toEqual({
      incarnation: "life-1",
      batchId: 4,
      planId: UNKNOWN_PLAN,
    });
    expect(
      await d.db.query(
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'millrace_batches'::regclass AND attnum > 0",
      ),
    ).toEqual([["4"]]);
  });

  it("A batch that the older version had open is committed once", async () => {
    const d = await oldDesk();
    const open = { ...afterUpgrade, planId: UNKNOWN_PLAN };
    const writer = await d.writer();
    const messages = [await d.stage(writer, [row(1)], undefined, open)];
    expect(await writer.hasCommitted(5, d.context(open))).toBe(false);
    for (let call = 0; call < 2; call++) await writer.commit(messages, 5, d.context(open));
    expect(await rowsOf(d)).toHaveLength(1);
  });

  it("A batch that the older version had open and committed is not committed again", async () => {
    const d = await oldDesk();
    const follows = { incarnation: "life-1", batchId: 3, planId: UNKNOWN_PLAN };
    await d.land([[row(1)]], {}, { batchId: 4, planId: UNKNOWN_PLAN, follows });
    expect(await rowsOf(d)).toEqual([]);
  });

  it("The server refuses a commit of the older version once the table has changed", async () => {
    const d = await oldDesk();
    await d.db.query(OLD_RECORD, ["orders", "life-1", 5]);
    await d.land([[row(1)]], {}, { ...afterUpgrade, batchId: 6, follows: { ...identity(5) } });
    await expect(d.db.query(OLD_RECORD, ["orders", "life-1", 7])).rejects.toMatchObject({ code: "23502" });
    await expect(d.db.query(OLD_RECORD, ["orders", "life-9", 0])).rejects.toMatchObject({ code: "23502" });
  });

  it("Commits of many pipelines at once change the table once", async () => {
    const d = await oldDesk();
    await Promise.all(
      Array.from({ length: 6 }, (_, n) => d.land([[row(n)]], {}, { pipeline: `p${n}`, batchId: 0 })),
    );
    expect(await rowsOf(d)).toHaveLength(6);
  });

  it("A user who may not change the table is told the statements to run, and the commit works after them", async () => {
    const d = await oldDesk();
    await d.db.query(`CREATE ROLE writer_${d.db.name} LOGIN PASSWORD 'x';
      GRANT SELECT, INSERT, UPDATE ON t, millrace_batches TO writer_${d.db.name}`);
    d.env = { ...d.env, PGUSER: `writer_${d.db.name}`, PGPASSWORD: "x" };
    const error = (await d.land([[row(1)]], {}, afterUpgrade).catch((thrown: unknown) => thrown)) as {
      code: string;
      hint: string;
    };
    expect(error.code).toBe("POSTGRES_FAILED");
    const [, statements = ""] = /`(ALTER[^`]+)`/.exec(error.hint) ?? [];
    expect(await rowsOf(d)).toEqual([]);
    await d.db.query(statements);
    await d.land([[row(1)]], {}, afterUpgrade);
    expect(await rowsOf(d)).toHaveLength(1);
  });

  it("A user who may not create the table is told the statement to run", async () => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id bigint NOT NULL, word text); REVOKE CREATE ON SCHEMA public FROM public;
      CREATE ROLE writer_${d.db.name} LOGIN PASSWORD 'x'; GRANT SELECT, INSERT ON t TO writer_${d.db.name}`);
    d.env = { ...d.env, PGUSER: `writer_${d.db.name}`, PGPASSWORD: "x" };
    await expect(d.land([[row(1)]])).rejects.toMatchObject({
      code: "POSTGRES_FAILED",
      hint: expect.stringMatching(/`CREATE TABLE .*format integer NOT NULL/) as string,
    });
  });
});

describe("a table of a newer version", () => {
  it("A row of a newer format is refused, and nothing is written", async () => {
    const d = await Desk.open(server);
    await d.land([[row(1)]]);
    await d.db.query("UPDATE millrace_batches SET format = 4");
    await expect(d.land([[row(2)]], {}, { batchId: 1 })).rejects.toMatchObject({ code: "TABLE_VERSION" });
    expect(await rowsOf(d)).toHaveLength(1);
  });
});

function identity(batchId: number) {
  return { incarnation: "life-1", batchId, planId: UNKNOWN_PLAN };
}
