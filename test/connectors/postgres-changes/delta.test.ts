import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PostgresOptions } from "../../../shared/connectors/postgres/index.ts";
import { asRows, ChangeDesk, type Delta } from "../../postgres/change-desk.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { borrowPostgres } from "../../postgres/shared.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

const DDL = "id bigint NOT NULL, v string";
const TABLE = "CREATE TABLE t (id bigint PRIMARY KEY, v text)";
const ROWS = "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')";

async function open(sql = `${TABLE}; ${ROWS}`, options: Partial<PostgresOptions> = {}): Promise<ChangeDesk> {
  const d = await ChangeDesk.open(server, options);
  await d.query(sql);
  return d;
}
const all = (d: ChangeDesk) => d.query("SELECT * FROM t ORDER BY 1, 2");
const update = (id: number, v: string, newId = id): Delta => ({ update: { id }, row: { id: newId, v } });

describe("the row id", () => {
  it.each([
    ["the primary key", "b bigint, a bigint, PRIMARY KEY (b, a)", {}, ["b", "a"]],
    [
      "a unique index that is not null",
      "a bigint NOT NULL, b bigint UNIQUE, UNIQUE (a, b), UNIQUE (a)",
      {},
      ["a"],
    ],
    ["the columns of rowId", "a bigint PRIMARY KEY, b bigint NOT NULL UNIQUE", { rowId: ["b"] }, ["b"]],
  ])("The row id of a table is %s", async (_what, columns, options, ids) => {
    const d = await open(`CREATE TABLE t (${columns})`, options);
    expect((await d.operation()).rowId().map(({ attribute }) => attribute[0])).toEqual(ids);
  });

  it.each([
    ["without a unique index", "a bigint, b bigint NOT NULL", {}, "has no primary key"],
    ["whose unique columns may be null", "a bigint UNIQUE", {}, "has no primary key"],
    [
      "whose unique index has a condition",
      "a bigint NOT NULL); CREATE UNIQUE INDEX ON t (a) WHERE (a > 1",
      {},
      "has no primary key",
    ],
    [
      "with columns of rowId that have no index",
      "a bigint PRIMARY KEY, b bigint NOT NULL",
      { rowId: ["b"] },
      "no unique index of just the columns b",
    ],
    ["without the columns of rowId", "a bigint PRIMARY KEY", { rowId: ["c"] }, 'has no column "c"'],
  ])("A table %s is refused with what to do", async (_what, columns, options, problem) => {
    const d = await open(`CREATE TABLE t (${columns})`, options);
    await expect(d.operation()).rejects.toMatchObject({
      code: "POSTGRES_TABLE_MISMATCH",
      message: expect.stringContaining(problem),
      hint: expect.any(String),
    });
  });
});

describe("a delta", () => {
  it("A delta deletes, updates and inserts rows of several tasks in one transaction, and counts them", async () => {
    const d = await open();
    const metrics = await d.applyDeltas(
      [[{ delete: { id: 1 } }, update(2, "B")], [], [{ insert: { id: 9, v: "new" } }, update(3, "C")]],
      DDL,
    );
    expect(await all(d)).toEqual([
      ["2", "B"],
      ["3", "C"],
      ["4", "d"],
      ["9", "new"],
    ]);
    expect(metrics).toEqual({ rowsDeleted: 1, rowsUpdated: 2, rowsInserted: 1, rowsGone: 0 });
    expect(await d.query("SELECT batch_id FROM millrace_batches")).toEqual([["0"]]);
  });

  it("A delta that is committed again changes nothing, even if its rows have come back", async () => {
    const d = await open();
    const messages = await d.stageDeltas([[{ delete: { id: 1 } }, update(2, "B")]], DDL);
    await d.commitDeltas(messages, DDL);
    await d.query("INSERT INTO t VALUES (1, 'again'); UPDATE t SET v = 'theirs' WHERE id = 2");
    expect(await d.commitDeltas(messages, DDL)).toEqual({});
    expect(await all(d)).toEqual([
      ["1", "again"],
      ["2", "theirs"],
      ["3", "c"],
      ["4", "d"],
    ]);
  });

  it("Rows of a delta may exchange their ids, and give one to a new row", async () => {
    const d = await open();
    const metrics = await d.applyDeltas(
      [
        [update(1, "a1", 2), update(2, "b1", 3)],
        [update(3, "c1", 1), update(4, "d1", 5), { insert: { id: 4, v: "new" } }],
      ],
      DDL,
    );
    expect(await all(d)).toEqual([
      ["1", "c1"],
      ["2", "a1"],
      ["3", "b1"],
      ["4", "new"],
      ["5", "d1"],
    ]);
    expect(metrics).toEqual({ rowsDeleted: 0, rowsUpdated: 4, rowsInserted: 1, rowsGone: 0 });
  });

  it("A row whose id moves keeps the columns that the changes lack, and a row may take the id of a deleted one", async () => {
    const d =
      await open(`CREATE TABLE t (id bigint PRIMARY KEY, v text, extra text, twice bigint GENERATED ALWAYS AS (id * 2) STORED);
      INSERT INTO t VALUES (1, 'a', 'x'), (2, 'b', 'y'), (3, 'c', 'z')`);
    await d.applyDeltas([[update(1, "A", 2), update(2, "B", 1), { delete: { id: 3 } }]], DDL);
    expect(await all(d)).toEqual([
      ["1", "B", "y", "2"],
      ["2", "A", "x", "4"],
    ]);
    await d.applyDeltas([[{ delete: { id: 1 } }, update(2, "A", 1)]], DDL, { batchId: 1 });
    expect(await all(d)).toEqual([["1", "A", "x", "2"]]);
  });

  it("Rows may exchange values of another unique index, and a referenced row that stays is not deleted", async () => {
    const d =
      await open(`CREATE TABLE t (id bigint PRIMARY KEY, v text UNIQUE); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');
      CREATE TABLE child (t_id bigint REFERENCES t); INSERT INTO child VALUES (3)`);
    const metrics = await d.applyDeltas([[update(1, "b"), update(2, "a"), update(3, "c")]], DDL);
    expect(await all(d)).toEqual([
      ["1", "b"],
      ["2", "a"],
      ["3", "c"],
    ]);
    expect(metrics).toMatchObject({ rowsUpdated: 3, rowsGone: 0 });
    const taken = d.applyDeltas([[update(1, "c")]], DDL, { batchId: 1 });
    await expect(taken).rejects.toMatchObject({ code: "POSTGRES_FAILED" });
    expect(await all(d)).toHaveLength(3);
  });

  it("Ids that only the server numbers can be inserted and changed", async () => {
    const d = await open(`CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
      INSERT INTO t (v) VALUES ('a'), ('b')`);
    await d.applyDeltas([[update(1, "A"), update(2, "B", 7), { insert: { id: 9, v: "new" } }]], DDL);
    expect(await all(d)).toEqual([
      ["1", "A"],
      ["7", "B"],
      ["9", "new"],
    ]);
  });

  it("A new id reaches the rows that refer to it, and a refused exchange leaves all as it was", async () => {
    const d =
      await open(`${TABLE}; ${ROWS}; CREATE TABLE child (t_id bigint REFERENCES t ON UPDATE CASCADE ON DELETE CASCADE);
      INSERT INTO child VALUES (1)`);
    await d.applyDeltas([[update(1, "a", 10)]], DDL);
    expect(await d.query("SELECT t_id FROM child")).toEqual([["10"]]);
    const swap = d.applyDeltas([[update(10, "x", 2), update(2, "y", 10)]], DDL, { batchId: 1 });
    await expect(swap).rejects.toMatchObject({ code: "WRITE_NOT_SUPPORTED" });
    expect(await all(d)).toEqual([
      ["2", "b"],
      ["3", "c"],
      ["4", "d"],
      ["10", "a"],
    ]);
    expect(await d.query("SELECT t_id FROM child")).toEqual([["10"]]);
  });

  it("Changes of a row that another session has deleted meanwhile change nothing, and are counted", async () => {
    const d = await open();
    const deltas = [[update(1, "A"), { delete: { id: 2 } }, update(3, "C", 30), update(4, "D", 3)]];
    const messages = await d.stageDeltas(deltas, DDL);
    await d.query("DELETE FROM t WHERE id IN (1, 2)");
    const metrics = await d.commitDeltas(messages, DDL);
    expect(await all(d)).toEqual([
      ["3", "D"],
      ["30", "C"],
    ]);
    expect(metrics).toEqual({ rowsDeleted: 0, rowsUpdated: 2, rowsInserted: 0, rowsGone: 2 });
  });

  it("A row that another session deletes while the commit waits for it is not brought back", async () => {
    const d = await open();
    const messages = await d.stageDeltas([[update(1, "A"), update(2, "B", 3), update(3, "C", 2)]], DDL);
    const session = await d.desk.session();
    await session.query("BEGIN; DELETE FROM t WHERE id = 2");
    const committing = d.commitDeltas(messages, DDL);
    await expect
      .poll(
        () =>
          d.query(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
          ),
        { timeout: 20_000 },
      )
      .toEqual([["1"]]);
    await session.query("COMMIT");
    expect(await committing).toMatchObject({ rowsUpdated: 2, rowsGone: 1 });
    expect(await all(d)).toEqual([
      ["1", "A"],
      ["2", "C"],
      ["4", "d"],
    ]);
  });

  it("Two changes of one row are refused, and two deletes of it are one", async () => {
    const d = await open();
    const twice = d.applyDeltas([[update(1, "A")], [update(1, "B")]], DDL);
    await expect(twice).rejects.toMatchObject({ code: "MERGE_CARDINALITY_VIOLATION" });
    const both = d.applyDeltas([[update(1, "A")], [{ delete: { id: 1 } }]], DDL);
    await expect(both).rejects.toMatchObject({ code: "MERGE_CARDINALITY_VIOLATION" });
    expect(await all(d)).toHaveLength(4);
    expect(await d.applyDeltas([[{ delete: { id: 1 } }], [{ delete: { id: 1 } }]], DDL)).toMatchObject({
      rowsDeleted: 1,
      rowsGone: 0,
    });
  });

  it("An inserted row with the id of another one fails the commit, which changes nothing", async () => {
    const d = await open();
    const insert = d.applyDeltas([[update(1, "A"), { insert: { id: 2, v: "x" } }]], DDL);
    await expect(insert).rejects.toMatchObject({ code: "POSTGRES_FAILED" });
    expect(await all(d)).toEqual([
      ["1", "a"],
      ["2", "b"],
      ["3", "c"],
      ["4", "d"],
    ]);
    expect(await d.query("SELECT count(*) FROM millrace_batches")).toEqual([["0"]]);
  });

  it("Values of all types come through a delta unchanged", async () => {
    const d = await open(`CREATE DOMAIN code AS text NOT NULL CHECK (length(value) < 9);
      CREATE TABLE t (id uuid PRIMARY KEY, n bigint, d numeric(38, 9), b bytea, at timestamptz, day date, f double precision, ok boolean, tags text[], doc jsonb, c code COLLATE "C")`);
    const ddl =
      "id string NOT NULL, n bigint, d decimal(38,9), b binary, at timestamp, day date, f double, ok boolean, tags array<string>, doc struct<a: int>, c string";
    const id = "0189d0f2-0000-7000-8000-000000000001";
    const rows = asRows(ddl, [
      [
        id,
        9223372036854775807n,
        "12345678901234567890123456789.123456789",
        Buffer.from([0, 255]),
        "2026-01-02T03:04:05.123456Z",
        "2026-01-02",
        Number.NaN,
        true,
        ["x", null],
        { a: 1 },
        "abc",
      ],
    ]);
    const [row = {}] = rows;
    const other = { ...row, id: "0189d0f2-0000-7000-8000-000000000002", f: 1.5, tags: null };
    await d.applyDeltas([[{ insert: row }, { insert: other }]], ddl);
    await d.applyDeltas(
      [[{ update: { id }, row: { ...row, ok: false } }, { delete: { id: other.id } }]],
      ddl,
      { batchId: 1 },
    );
    expect(await all(d)).toEqual([
      [
        id,
        "9223372036854775807",
        "12345678901234567890123456789.123456789",
        "\\x00ff",
        "2026-01-02 03:04:05.123456+00",
        "2026-01-02",
        "NaN",
        "f",
        "{x,NULL}",
        '{"a": 1}',
        "abc",
      ],
    ]);
  });

  it("A text with a character of code 0 is refused in the task, and one with its escape is not", async () => {
    const d = await open();
    await expect(d.stageDeltas([[update(1, "a\0b")]], DDL)).rejects.toMatchObject({
      code: "ROW_MISMATCH",
      message: expect.stringContaining('field "v"'),
    });
    await d.applyDeltas([[update(1, "a\\u0000b")]], DDL);
    expect((await all(d))[0]).toEqual(["1", "a\\u0000b"]);
  });

  it("A column that the table lacks is refused when the batch is planned", async () => {
    const d = await open();
    const write = await (await d.deltaWrite("id bigint NOT NULL, w string")).toBatch();
    await expect(
      write.createBatchWriterFactory({ numPartitions: 1, inputPartitions: 1 }),
    ).rejects.toMatchObject({
      code: "POSTGRES_TABLE_MISMATCH",
    });
  });

  it("A batch that was skipped is recorded, and changes nothing", async () => {
    const d = await open();
    expect(await d.commitDeltas([], DDL)).toEqual({});
    expect(await d.query("SELECT batch_id FROM millrace_batches")).toEqual([["0"]]);
    expect(await all(d)).toHaveLength(4);
  });
});
