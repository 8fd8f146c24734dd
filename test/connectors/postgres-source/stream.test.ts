import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Postgres } from "../../../shared/connectors/postgres/index.ts";
import { ReadMaxRows } from "../../../shared/contract/read-limit.ts";
import { checkSource } from "../../../shared/testing/index.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { Desk, json, valuesOf } from "../../postgres/desk.ts";
import { startPostgres } from "../../postgres/server.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { ALL, deskOf } from "./sequence-table.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n + 1);
const desk = () => deskOf(server);

describe("a stream", () => {
  it("A stream has each row once, batch after batch, whatever the sizes of batches and pages are", async () => {
    const d = await desk();
    await d.db.query("INSERT INTO t (word) SELECT 'w' || n FROM generate_series(1, 100) AS n");
    await d.db.query("DELETE FROM t WHERE id % 7 = 0");
    const options = { fetchSize: 4, maxPartitions: 3 };
    const seen: unknown[] = [];
    let start = {};
    for (;;) {
      const { end, partitions } = await d.batch(start, options, new ReadMaxRows(25));
      if (JSON.stringify(end) === JSON.stringify(start)) break;
      expect(partitions.length).toBeLessThanOrEqual(3);
      for (const rows of partitions) expect(rows.length).toBeLessThanOrEqual(Math.ceil(25 / 3));
      seen.push(...valuesOf(partitions));
      start = end;
    }
    expect(start).toMatchObject({ id: "100" });
    expect(seen).toEqual(upTo(100).filter((id) => id % 7 !== 0));
  });

  it("A stream returns its start without new rows, also if the last rows were deleted", async () => {
    const d = await desk();
    expect((await d.batch({})).end).toEqual({});
    await d.db.query("INSERT INTO t (word) VALUES ('a'), ('b')");
    expect((await d.batch({ id: "2" })).end).toEqual({ id: "2" });
    await d.db.query("DELETE FROM t WHERE id = 2");
    expect((await d.batch({ id: "2" })).end).toEqual({ id: "2" });
  });

  it("A stream begins after startAfter", async () => {
    const d = await desk();
    await d.db.query("INSERT INTO t (word) VALUES ('a'), ('b'), ('c')");
    const reader = await d.streamReader({ startAfter: 2 });
    expect(reader.initialOffset()).toEqual({ id: "2" });
    expect(valuesOf((await d.batch(reader.initialOffset())).partitions)).toEqual([3]);
  });

  it("A stream takes an offset of a person whose fields are its columns and of their types", async () => {
    const d = await desk();
    await d.db.query("INSERT INTO t (word) VALUES ('a'), ('b')");
    const reader = await d.streamReader();
    const { end } = await d.batch({});
    for (const offset of [{}, { id: "2" }, end])
      expect(await reader.deserializeOffset?.(offset as never)).toEqual(offset);
    expect(await reader.deserializeOffset?.({ id: 2 })).toEqual({ id: "2" });
    for (const offset of [{ idd: "2" }, { id: "two" }, { id: null }, { id: "2", "(table)": { oid: 7 } }])
      await expect(reader.deserializeOffset?.(offset)).rejects.toThrow(/idd|"id"|\bid\b|oid/);
  });

  it("A stream asks for maxRowsPerBatch rows by itself", async () => {
    const d = await desk();
    expect((await d.streamReader()).getDefaultReadLimit()).toEqual(new ReadMaxRows(100_000));
    expect((await d.streamReader({ maxRowsPerBatch: 7 })).getDefaultReadLimit()).toEqual(new ReadMaxRows(7));
  });

  it("A stream has several partitions only for enough rows", async () => {
    const d = await desk();
    await d.db.query("INSERT INTO t (word) SELECT '' FROM generate_series(1, 100)");
    expect((await d.batch({})).partitions).toHaveLength(1);
    const { partitions } = await d.batch({}, { fetchSize: 30 });
    expect(partitions.map((rows) => rows.length)).toEqual([30, 30, 30, 10]);
  });

  it("A stream reports the end of the table beyond the limit of the batch", async () => {
    const d = await desk();
    const reader = await d.streamReader();
    await reader.latestOffset({}, ALL);
    expect(reader.reportLatestOffset()).toBeUndefined();
    await d.db.query("INSERT INTO t (word) SELECT '' FROM generate_series(1, 100)");
    expect(await reader.latestOffset({}, new ReadMaxRows(10))).toMatchObject({ id: "10" });
    expect(reader.reportLatestOffset()).toEqual({ id: "100" });
  });

  it("A stream with availableNow ends at the table's end at its beginning, also in another process", async () => {
    const d = await desk();
    await d.db.query("INSERT INTO t (word) SELECT '' FROM generate_series(1, 10)");
    const reader = await d.streamReader();
    await reader.prepareForTriggerAvailableNow();
    await d.db.query("INSERT INTO t (word) SELECT '' FROM generate_series(1, 10)");
    const other = await d.streamReader();
    const target = reader.availableNowTarget();
    expect(target).toEqual({ id: "10" });
    other.restoreAvailableNow(json(target ?? null));
    for (const planner of [reader, other]) {
      expect(await planner.latestOffset({}, new ReadMaxRows(7))).toMatchObject({ id: "7" });
      expect(await planner.latestOffset({ id: "7" }, new ReadMaxRows(7))).toMatchObject({ id: "10" });
      expect(await planner.latestOffset({ id: "10" }, new ReadMaxRows(7))).toMatchObject({ id: "10" });
    }
  });

  it("A stream with availableNow on an empty table has no row, whatever comes later", async () => {
    const d = await desk();
    const reader = await d.streamReader();
    await reader.prepareForTriggerAvailableNow();
    await d.db.query("INSERT INTO t (word) VALUES ('a')");
    const other = await d.streamReader();
    other.restoreAvailableNow(json(reader.availableNowTarget() ?? null));
    expect(await other.latestOffset({}, ALL)).toEqual({});
  });

  it("A stream reads a partitioned table", async () => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id bigserial, day int) PARTITION BY LIST (day);
      CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1); CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2);
      INSERT INTO t (day) SELECT n % 2 + 1 FROM generate_series(1, 20) AS n`);
    expect(valuesOf((await d.batch({})).partitions)).toEqual(upTo(20));
  });
});

it("The PostgreSQL source has none of the known traps", async () => {
  const d = await desk();
  await d.db.query("INSERT INTO t (word) SELECT '' FROM generate_series(1, 100)");
  const options = { table: "t", cursorColumn: "id", fetchSize: 7, maxRowsPerBatch: 30 };
  expect((await checkSource(Postgres, { options, env: d.env })).notChecked).toEqual([]);
});

describe("rows of equal cursors", () => {
  async function tied(): Promise<Desk> {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id int PRIMARY KEY, place int NOT NULL);
      INSERT INTO t SELECT n, n / 10 FROM generate_series(1, 50) AS n`);
    return d;
  }

  it("Rows of equal cursors stay in one batch without key columns, even beyond the limit", async () => {
    const d = await tied();
    const options = { cursorColumn: "place", fetchSize: 3 };
    const first = await d.batch({}, options, new ReadMaxRows(12));
    expect(first.position).toEqual({ place: "0" });
    const second = await d.batch(first.end, options, new ReadMaxRows(4));
    expect(second.position).toEqual({ place: "1" });
    expect(second.partitions.map((rows) => rows.length)).toEqual([10]);
    const rest = await d.batch(second.end, options);
    expect(valuesOf(rest.partitions)).toEqual(upTo(50).filter((id) => id >= 20));
  });

  it("Rows of equal cursors are told apart by key columns, so that each batch is as large as its limit", async () => {
    const d = await tied();
    const options = { cursorColumn: "place", keyColumns: ["id"], fetchSize: 3, maxPartitions: 2 };
    const first = await d.batch({}, options, new ReadMaxRows(12));
    expect(first.position).toEqual({ place: "1", id: "12" });
    expect(first.partitions.map((rows) => rows.length)).toEqual([6, 6]);
    const second = await d.batch(first.end, options, new ReadMaxRows(12));
    expect(valuesOf(second.partitions)).toEqual(upTo(24).slice(12));
  });

  it("Rows of equal cursors continue from an offset without key columns after all rows of its cursor", async () => {
    const d = await tied();
    const options = { cursorColumn: "place", keyColumns: ["id"] };
    expect(valuesOf((await d.batch({ place: "3" }, options)).partitions)).toEqual(upTo(50).slice(39));
  });

  it("Rows of equal cursors are not read by other key columns than before", async () => {
    const d = await tied();
    await expect(d.batch({ place: "1", id: "12" }, { cursorColumn: "place" })).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
    });
    await expect(d.batch({ place: "1" }, { cursorColumn: "id" })).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
    });
  });
});

describe("a cursor of times", () => {
  it("A cursor of times stays behind the clock of the server", async () => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id int, at timestamptz DEFAULT now());
      INSERT INTO t VALUES (1, now() - interval '61 seconds'), (2, now() - interval '30 seconds'), (3, now()), (4, now() + interval '1 day')`);
    const ids = async (lagSeconds?: number) =>
      valuesOf(
        (await d.batch({}, { cursorColumn: "at", ...(lagSeconds === undefined ? {} : { lagSeconds }) }))
          .partitions,
      );
    expect(await ids()).toEqual([1]);
    expect(await ids(15)).toEqual([1, 2]);
    expect(await ids(0)).toEqual([1, 2, 3]);
  });

  it("A cursor of times keeps microseconds and continues after them", async () => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id int, at timestamptz);
      INSERT INTO t VALUES (1, '2026-01-01 00:00:00.000001+00'), (2, '2026-01-01 00:00:00.000002+00'), (3, '2026-01-01 00:00:00.000003+00')`);
    const options = { cursorColumn: "at" };
    const first = await d.batch({}, options, new ReadMaxRows(2));
    expect(first.position).toEqual({ at: "2026-01-01 00:00:00.000002+00" });
    expect(valuesOf((await d.batch(first.end, options)).partitions)).toEqual([3]);
  });

  it.each(["America/New_York", "Asia/Tokyo", "UTC"])(
    "A cursor of times without zone is read in the time zone of the database: %s",
    async (zone) => {
      const d = await Desk.open(server);
      await d.db.query(`ALTER DATABASE ${d.db.name} SET TimeZone = '${zone}'`);
      await d.db.query(`CREATE TABLE t (id int, at timestamp);
        INSERT INTO t VALUES (1, now() - interval '61 seconds'), (2, now() - interval '30 seconds'), (3, now())`);
      expect(valuesOf((await d.batch({}, { cursorColumn: "at" })).partitions)).toEqual([1]);
      expect(valuesOf((await d.batch({}, { cursorColumn: "at", lagSeconds: 0 })).partitions)).toEqual([
        1, 2, 3,
      ]);
    },
  );

  it("A cursor of days reads only days that are over", async () => {
    const d = await Desk.open(server);
    await d.db.query(
      `CREATE TABLE t (id int, day date); INSERT INTO t VALUES (1, current_date - 2), (2, current_date + 1)`,
    );
    expect(valuesOf((await d.batch({}, { cursorColumn: "day" })).partitions)).toEqual([1]);
  });

  it("A cursor of times may be a UUID of version 7", async () => {
    const d = await Desk.open(server);
    const uuidAt = (seconds: number) =>
      (Date.now() + seconds * 1000)
        .toString(16)
        .padStart(12, "0")
        .replace(/^(.{8})(.{4})$/, "$1-$2-7000-8000-000000000001");
    await d.db.query("CREATE TABLE t (id uuid PRIMARY KEY)");
    await d.db.query("INSERT INTO t VALUES ($1), ($2), ($3)", [uuidAt(-7200), uuidAt(-3600), uuidAt(-5)]);
    const { end, partitions } = await d.batch({});
    expect(valuesOf(partitions)).toHaveLength(2);
    expect(valuesOf(partitions)).toContain(end["id"]);
    expect(valuesOf((await d.batch({}, { lagSeconds: 0 })).partitions)).toHaveLength(3);
  });
});

describe("a stream that would lose rows is refused", () => {
  const refused = { code: "POSTGRES_CURSOR_UNSAFE", hint: expect.any(String) as string };

  it.each([
    [
      "a stock of numbers for each session",
      "CREATE SEQUENCE s CACHE 20; CREATE TABLE t (id bigint DEFAULT nextval('s'))",
      "CACHE 20",
    ],
    [
      "a stock of an identity column",
      "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY (CACHE 5))",
      "CACHE 5",
    ],
    ["numbers that begin anew", "CREATE TABLE t (id serial); ALTER SEQUENCE t_id_seq CYCLE", "CYCLE"],
    [
      "numbers that fall",
      "CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY (INCREMENT -1))",
      "INCREMENT -1",
    ],
    ["a view", "CREATE TABLE base (id int); CREATE VIEW t AS SELECT * FROM base", "no table"],
    ["a column without order", "CREATE TABLE t (id jsonb)", "jsonb"],
    [
      "UUIDs by chance",
      "CREATE TABLE t (id uuid); INSERT INTO t VALUES ('f0000000-0000-4000-8000-000000000000')",
      "version 7",
    ],
  ])("A stream that would lose rows is refused for %s", async (_, sql, problem) => {
    const d = await Desk.open(server);
    await d.db.query(sql);
    await expect(d.batch({})).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining(problem) as string,
    });
  });

  it("A stream with a key that may be null is refused", async () => {
    const d = await Desk.open(server);
    await d.db.query("CREATE TABLE t (at timestamptz, id int)");
    await expect(d.batch({}, { cursorColumn: "at", keyColumns: ["id"] })).rejects.toMatchObject({
      code: "POSTGRES_TABLE_MISMATCH",
    });
  });

  it("A stream that would lose rows is refused for a standby, which does not know who is writing", async () => {
    const standby = await startPostgres({ standby: true });
    try {
      const d = await Desk.open(standby);
      const options = { table: "information_schema.sql_features", cursorColumn: "feature_id" };
      await expect(d.batch({}, options)).rejects.toMatchObject({
        ...refused,
        message: expect.stringContaining("standby") as string,
      });
    } finally {
      await standby.stop();
    }
  });

  it("A stream is refused for a lag with a cursor that is not a time", async () => {
    const d = await desk();
    await expect(d.batch({}, { lagSeconds: 5 })).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
  });

  it("A stream is refused without a cursor column", async () => {
    const d = await desk();
    const source = await d.source({ table: "t" });
    const reader = source.streamReader(await source.schema());
    await expect(reader.latestOffset({}, ALL)).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
  });
});
