import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PostgresServer } from "../../postgres/databases.ts";
import { Desk, valuesOf } from "../../postgres/desk.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { ALL, deskOf } from "./sequence-table.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

const desk = () => deskOf(server);

describe("a row whose transaction commits after one with a larger number", () => {
  it("A row that commits after one with a larger number is awaited and not lost", async () => {
    const d = await desk();
    const [a, b] = [await d.session(), await d.session()];
    await a.query("BEGIN; INSERT INTO t (word) VALUES ('early')");
    await b.query("INSERT INTO t (word) VALUES ('late')");
    d.onSleep = async () => void (await a.query("COMMIT"));
    const { end, partitions } = await d.batch({});
    expect(end).toMatchObject({ id: "2" });
    expect(valuesOf(partitions)).toEqual([1, 2]);
    expect(d.sleeps).toBe(1);
  });

  it("A row that commits late holds the stream back while its transaction is open", async () => {
    const d = await desk();
    const a = await d.session();
    await a.query("BEGIN; INSERT INTO t (word) VALUES ('early')");
    await d.db.query("INSERT INTO t (word) VALUES ('late')");
    const reader = await d.streamReader({ settleSeconds: 1 });
    expect(await reader.latestOffset({}, ALL)).toEqual({});
    expect(reader.reportLatestOffset()).toEqual({ id: "2" });
    expect(d.sleeps).toBe(10);
    await reader.prepareForTriggerAvailableNow();
    expect(await reader.latestOffset({}, ALL)).toEqual({});
    await a.query("COMMIT");
    expect(valuesOf((await d.batch({})).partitions)).toEqual([1, 2]);
  });

  it("A row whose transaction was rolled back is awaited no longer", async () => {
    const d = await desk();
    const a = await d.session();
    await a.query("BEGIN; INSERT INTO t (word) VALUES ('early')");
    await d.db.query("INSERT INTO t (word) VALUES ('late')");
    d.onSleep = async () => void (await a.query("ROLLBACK"));
    expect(valuesOf((await d.batch({})).partitions)).toEqual([2]);
  });

  it("A row that commits late is awaited while others go on writing, and no other row is", async () => {
    const d = await desk();
    const [a, c] = [await d.session(), await d.session()];
    await a.query("BEGIN; INSERT INTO t (word) VALUES ('early')");
    await d.db.query("INSERT INTO t (word) VALUES ('late')");
    d.onSleep = async () => {
      if (d.sleeps === 1) await c.query("BEGIN; INSERT INTO t (word) VALUES ('later')");
      if (d.sleeps === 2) await a.query("COMMIT");
    };
    const { end, partitions } = await d.batch({});
    expect(end).toMatchObject({ id: "2" });
    expect(valuesOf(partitions)).toEqual([1, 2]);
    await c.query("COMMIT");
    expect(valuesOf((await d.batch(end)).partitions)).toEqual([3]);
  });

  it("A row that commits late is awaited if its transaction was prepared meanwhile", async () => {
    const d = await desk();
    const a = await d.session();
    await a.query("BEGIN; INSERT INTO t (word) VALUES ('early')");
    await d.db.query("INSERT INTO t (word) VALUES ('late')");
    d.onSleep = async () => {
      if (d.sleeps === 1) await a.query("PREPARE TRANSACTION 'one'");
      if (d.sleeps === 4) await a.query("COMMIT PREPARED 'one'");
    };
    expect(valuesOf((await d.batch({})).partitions)).toEqual([1, 2]);
    expect(d.sleeps).toBe(4);
  });

  it("A late row is awaited if it is written to a partition, also by a user who may only read", async () => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id bigserial, day int) PARTITION BY LIST (day);
      CREATE TABLE inner_t PARTITION OF t FOR VALUES IN (1, 2) PARTITION BY LIST (day);
      CREATE TABLE t1 PARTITION OF inner_t FOR VALUES IN (1); CREATE TABLE t2 PARTITION OF inner_t FOR VALUES IN (2);
      CREATE ROLE visitor_${d.db.name} LOGIN PASSWORD 'visitor'; GRANT SELECT ON t TO visitor_${d.db.name}`);
    const a = await d.session();
    await a.query("BEGIN; INSERT INTO t1 (day) VALUES (1)");
    await d.db.query("INSERT INTO t (day) VALUES (2)");
    d.env = { ...d.db.env, PGUSER: `visitor_${d.db.name}`, PGPASSWORD: "visitor" };
    d.onSleep = async () => void (await a.query("COMMIT"));
    expect(valuesOf((await d.batch({})).partitions)).toEqual([1, 2]);
    expect(d.sleeps).toBe(1);
  });

  it("A stream awaits only rows that commit late, not readers of its table or writers of another one", async () => {
    const d = await desk();
    await d.db.query("CREATE TABLE other (id bigserial)");
    const [reading, writing] = [await d.session(), await d.session()];
    await reading.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t");
    await writing.query("BEGIN; INSERT INTO other DEFAULT VALUES");
    await d.db.query("INSERT INTO t (word) VALUES ('a')");
    expect((await d.batch({})).position).toEqual({ id: "1" });
    expect(d.sleeps).toBe(0);
  });

  it("A row is never lost while sessions write, roll back and commit as they like", async () => {
    const d = await desk();
    d.onSleep = () => setTimeout(5);
    let isWriting = true;
    const writers = Array.from({ length: 8 }, async (_, n) => {
      const session = await d.session();
      for (let round = 0; isWriting; round++) {
        for (const sql of transactionOf(round, n === 0)) {
          await session.query(sql);
          if (sql === INSERT) await setTimeout(Math.random() * 150);
        }
      }
    });
    const seen: unknown[] = [];
    let position = {};
    const readBatch = async () => {
      const { end, partitions } = await d.batch(position, { fetchSize: 5 });
      const ids = valuesOf(partitions);
      seen.push(...ids);
      position = end;
      return ids.length > 0;
    };
    for (let batches = 0; batches < 5; ) if (await readBatch()) batches++;
    isWriting = false;
    await Promise.all(writers);
    while (await readBatch());
    const there = await d.db.query("SELECT id FROM t ORDER BY id");
    expect(seen).toEqual(there.map(([id]) => Number(id)));
  });
});

const INSERT = "INSERT INTO t (word) VALUES ('')";

/**
 * Returns a transaction of one to three inserts. It is rolled back in every fifth round. With
 * `hasSavepoint`, the second insert is rolled back to a savepoint.
 */
function transactionOf(round: number, hasSavepoint: boolean): readonly string[] {
  const second = hasSavepoint ? ["SAVEPOINT s", INSERT, "ROLLBACK TO s"] : [INSERT];
  const inserts = [[INSERT], second, [INSERT]].slice(0, 1 + (round % 3)).flat();
  return ["BEGIN", ...inserts, round % 5 === 4 ? "ROLLBACK" : "COMMIT"];
}
