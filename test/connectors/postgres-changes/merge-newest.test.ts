import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PostgresOptions } from "../../../shared/connectors/postgres/index.ts";
import { ChangeDesk, type KeyChange } from "../../postgres/change-desk.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { borrowPostgres } from "../../postgres/shared.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

async function open(sql = "SELECT 1", options: Partial<PostgresOptions> = {}): Promise<ChangeDesk> {
  const d = await ChangeDesk.open(server, options);
  await d.query(sql);
  return d;
}
const all = (d: ChangeDesk) => d.query("SELECT * FROM t ORDER BY 1, 2");
const put = (id: number, sequence: number, v = `v${sequence}`): KeyChange => ({
  id: { id },
  sequence,
  row: { v },
});
const drop = (id: number, sequence: number): KeyChange => ({ id: { id }, sequence });

describe("a merge of the newest state", () => {
  it("A merge creates the table with a primary key, and the changes of several tasks take effect", async () => {
    const d = await open();
    const metrics = await d.merge([
      [put(1, 5), put(2, 6)],
      [put(3, 7), drop(4, 8)],
    ]);
    expect(await all(d)).toEqual([
      ["1", "v5"],
      ["2", "v6"],
      ["3", "v7"],
    ]);
    expect(metrics).toEqual({ changesUpserted: 3, changesDeleted: 1, changesOutdated: 0 });
    expect(await d.query("SELECT id, __deleted FROM t_millrace_changes ORDER BY id")).toEqual([
      ["1", "f"],
      ["2", "f"],
      ["3", "f"],
      ["4", "t"],
    ]);
    expect(
      await d.query(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'p'",
      ),
    ).toEqual([["PRIMARY KEY (id)"]]);
  });

  it("A late older change never takes effect, neither after a newer one nor after a delete", async () => {
    const d = await open();
    await d.merge([[put(1, 10), put(2, 10), drop(3, 10)]]);
    const metrics = await d.merge([[put(1, 9), drop(2, 9), put(3, 9)]], {}, { batchId: 1 });
    expect(metrics).toEqual({ changesUpserted: 0, changesDeleted: 0, changesOutdated: 3 });
    expect(await all(d)).toEqual([
      ["1", "v10"],
      ["2", "v10"],
    ]);
    await d.merge([[put(3, 11), drop(1, 11)]], {}, { batchId: 2 });
    expect(await all(d)).toEqual([
      ["2", "v10"],
      ["3", "v11"],
    ]);
  });

  it("Of several changes of a key in a batch the largest sequence wins, and of equal ones the first", async () => {
    const d = await open();
    await d.merge([
      [put(1, 5, "a"), put(2, -1)],
      [put(1, 7, "b"), put(1, 7, "c"), drop(2, 1)],
      [put(1, 6, "d")],
    ]);
    expect(await all(d)).toEqual([["1", "b"]]);
    await d.merge([[put(1, 7, "again")]], {}, { batchId: 1 });
    expect(await all(d)).toEqual([["1", "b"]]);
  });

  it("A batch that is committed again changes nothing", async () => {
    const d = await open();
    const messages = await d.stageChanges([[put(1, 5), drop(2, 5)]]);
    await d.commitChanges(messages);
    await d.query("DELETE FROM t; DELETE FROM t_millrace_changes");
    expect(await d.commitChanges(messages)).toEqual({});
    expect(await all(d)).toEqual([]);
  });

  it("Rows that were there before are older than every change, and columns that the rows lack stay", async () => {
    const d = await open(`CREATE TABLE t (id bigint PRIMARY KEY, v text, extra text DEFAULT 'new');
      INSERT INTO t VALUES (1, 'old', 'x'), (2, 'old', 'y'), (3, 'old', 'z')`);
    await d.merge([[put(1, -100), drop(2, -100), put(4, -100)]]);
    expect(await all(d)).toEqual([
      ["1", "v-100", "x"],
      ["3", "old", "z"],
      ["4", "v-100", "new"],
    ]);
  });

  it("A delete is remembered for its time, by the clock of the plans, and forgotten afterwards", async () => {
    const d = await open();
    const settings = { tombstonesKeptMilliseconds: 1000 };
    const start = Date.parse("2026-01-01T00:00:00Z");
    await d.merge([[drop(1, 10), put(2, 10)]], settings, { plannedAt: start });
    await d.merge([[put(1, 9)]], settings, { batchId: 1, plannedAt: start + 1000 });
    expect(await all(d)).toEqual([["2", "v10"]]);
    expect(await d.query("SELECT id FROM t_millrace_changes ORDER BY id")).toEqual([["1"], ["2"]]);
    await d.merge([[]], settings, { batchId: 2, plannedAt: start + 1001 });
    expect(await d.query("SELECT id FROM t_millrace_changes ORDER BY id")).toEqual([["2"]]);
    await d.merge([[put(1, 9), put(2, 9)]], settings, { batchId: 3, plannedAt: start + 1002 });
    expect(await all(d)).toEqual([
      ["1", "v9"],
      ["2", "v10"],
    ]);
  });

  it("Keys of several columns and of any type and collation are merged", async () => {
    const d = await open(`CREATE TABLE t (code text COLLATE "C", at timestamptz, v text, UNIQUE (at, code))`);
    const settings = {
      ddl: "code string NOT NULL, at timestamp NOT NULL, v string",
      keys: "code string NOT NULL, at timestamp NOT NULL",
    };
    const key = (code: string) => ({ code, at: "2026-01-02T03:04:05.000001Z" });
    await d.merge(
      [
        [
          { id: key("b"), sequence: 1, row: { v: "x" } },
          { id: key("B"), sequence: 2, row: { v: "y" } },
        ],
      ],
      settings,
    );
    await d.merge(
      [
        [
          { id: key("b"), sequence: 3 },
          { id: key("B"), sequence: 1, row: { v: "late" } },
        ],
      ],
      settings,
      { batchId: 1 },
    );
    expect(await d.query("SELECT code, v FROM t")).toEqual([["B", "y"]]);
  });

  it("A table without a unique index on the keys is refused before a task runs, with the statement to run", async () => {
    const d = await open("CREATE TABLE t (id bigint, v text)");
    const planning = (await d.streaming()).createStreamingWriterFactory({
      numPartitions: 1,
      inputPartitions: 1,
    });
    await expect(planning).rejects.toMatchObject({
      code: "POSTGRES_TABLE_MISMATCH",
      hint: expect.stringContaining('CREATE UNIQUE INDEX ON "public"."t" ("id")'),
    });
    await d.query("ALTER TABLE t ADD UNIQUE (id)");
    await (await d.streaming()).createStreamingWriterFactory({ numPartitions: 1, inputPartitions: 1 });
  });

  it("A table of changes that was made for other changes is refused", async () => {
    const d = await open();
    await d.merge([[put(1, 1)]]);
    const other = d.merge([[put(1, 1)]], { type: 2 }, { batchId: 1 });
    await expect(other).rejects.toMatchObject({ code: "POSTGRES_TABLE_MISMATCH" });
    await d.query("DROP TABLE t");
    await expect(d.merge([[put(1, 1)]], { type: 2 }, { batchId: 1 })).rejects.toMatchObject({
      code: "POSTGRES_TABLE_MISMATCH",
      hint: expect.stringContaining("changesTable"),
    });
  });

  it("The table of changes is beside the table or has the name of the option, and a long name needs it", async () => {
    const name = "n".repeat(60);
    const d = await open(`CREATE SCHEMA shop; CREATE TABLE shop."My.t" (id bigint PRIMARY KEY, v text)`, {
      table: 'shop."My.t"',
    });
    await d.merge([[put(1, 1)]]);
    expect(await d.query(`SELECT id FROM shop."My.t_millrace_changes"`)).toEqual([["1"]]);
    await d.with({ table: "t2", changesTable: "shop.side" }).merge([[put(2, 1)]], {}, { pipeline: "other" });
    expect(await d.query("SELECT id FROM shop.side")).toEqual([["2"]]);
    await expect(d.with({ table: name }).merge([[put(1, 1)]])).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
    });
  });

  it("A change without a key is refused in the task", async () => {
    const d = await open();
    const change = { id: { id: null }, sequence: 1 };
    await expect(d.stageChanges([[change]])).rejects.toMatchObject({ code: "KEY_IS_NULL" });
  });
});
