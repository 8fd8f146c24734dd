import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Postgres } from "../../../shared/connectors/postgres/index.ts";
import { schemaToJson } from "../../../shared/contract/ddl/json.ts";
import { ReadAllAvailable, ReadMaxRows } from "../../../shared/contract/read-limit.ts";
import { checkSource } from "../../../shared/testing/index.ts";
import { Desk, json, valuesOf } from "../../postgres/desk.ts";
import { type PostgresServer, startPostgres } from "../../postgres/server.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const ALL = new ReadAllAvailable();
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n + 1);

/** A database with the table `t` of a sequence and a word. */
async function desk(): Promise<Desk> {
  const made = await Desk.open(server);
  await made.db.query("CREATE TABLE t (id bigserial PRIMARY KEY, word text)");
  return made;
}

describe("the schema", () => {
  it("is that of the table's columns, in their order", async () => {
    const d = await Desk.open(server);
    await d.db.query(`
      CREATE DOMAIN positive AS integer NOT NULL CHECK (value > 0);
      CREATE TYPE mood AS ENUM ('sad', 'happy');
      CREATE TABLE t (a smallint, b integer, c bigint NOT NULL, d real, e double precision, f numeric(12, 3), g boolean, h text,
        i varchar(10), j uuid, k json, l jsonb, m bytea, n date, o timestamp, p timestamptz, q positive, r mood, s interval, t inet,
        u integer[], v text[], w numeric(5, 1)[], "X y" char(3));
      ALTER TABLE t DROP COLUMN h`);
    const { fields } = schemaToJson(await (await d.source({ table: "t" })).schema());
    expect(fields.map(({ name, type, nullable }) => `${name} ${type}${nullable ? "" : " NOT NULL"}`)).toEqual(
      [
        "a smallint",
        "b int",
        "c bigint NOT NULL",
        "d float",
        "e double",
        "f decimal(12,3)",
        "g boolean",
        "i string",
        "j string",
        "k string",
        "l string",
        "m binary",
        "n date",
        "o timestamp_ntz",
        "p timestamp",
        "q int NOT NULL",
        "r string",
        "s string",
        "t string",
        "u array<int>",
        "v array<string>",
        "w array<decimal(5,1)>",
        "X y string",
      ],
    );
  });

  it("has the columns that the option names", async () => {
    const d = await desk();
    const { fields } = schemaToJson(
      await (await d.source({ table: "public.t", columns: ["word"] })).schema(),
    );
    expect(fields).toEqual([{ name: "word", type: "string", nullable: true }]);
  });

  it("asks for a schema where a numeric column has no digits", async () => {
    const d = await Desk.open(server);
    await d.db.query("CREATE TABLE t (amount numeric)");
    await expect((await d.source({ table: "t" })).schema()).rejects.toMatchObject({
      code: "POSTGRES_TABLE_MISMATCH",
      message: expect.stringContaining('"amount"') as string,
      hint: expect.stringContaining(".schema(") as string,
    });
  });

  it("takes names as they are, whatever they have", async () => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE SCHEMA "Shop"; CREATE TABLE "Shop"."my.""orders" ("Id" int, "a b" text)`);
    const source = await d.source({ table: '"Shop"."my.""orders"' });
    expect(schemaToJson(await source.schema()).fields.map(({ name }) => name)).toEqual(["Id", "a b"]);
    expect(await (await d.source({ table: "Shop.missing" })).schema().catch(({ code }) => code)).toBe(
      "POSTGRES_TABLE_MISMATCH",
    );
  });

  it("suggests the column that was meant", async () => {
    const d = await desk();
    await expect((await d.source({ table: "t", columns: ["wrod"] })).schema()).rejects.toMatchObject({
      message: expect.stringContaining("did you mean word?") as string,
    });
  });
});

describe("rows", () => {
  it("keep all their digits, whatever the server is set to", async () => {
    const d = await Desk.open(server);
    await d.db.query(`
      ALTER DATABASE ${d.db.name} SET TimeZone = 'America/New_York';
      ALTER DATABASE ${d.db.name} SET DateStyle = 'SQL, DMY';
      ALTER DATABASE ${d.db.name} SET bytea_output = 'escape';
      ALTER DATABASE ${d.db.name} SET extra_float_digits = -5`);
    await d.db.query(`
      CREATE TABLE t (id int PRIMARY KEY, big bigint, amount numeric(30, 10), real4 real, real8 double precision, yes boolean, word text, bytes bytea,
        day date, local timestamp, instant timestamptz, numbers bigint[], words text[], doc jsonb);
      INSERT INTO t VALUES
        (1, 9007199254740993, 12345678901234567890.1234567891, 0.1, 0.1::float8 + 0.2, true, 'é"\\,{}', '\\x00ff5c', '2026-11-21',
          '2026-11-21 03:04:05.678901', '2026-11-21 03:04:05.678901+02', '{1,NULL,9007199254740993}', ARRAY['a,b', NULL, '"q"', '', 'NULL'], '{"a": [1]}'),
        (2, -9223372036854775808, -0.0000000001, 'NaN', '-Infinity', false, '', '', '0001-01-01', '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.999999+00',
          '{}', '{}', 'null'),
        (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`);
    const { partitions } = await d.batch({});
    expect(partitions.flat()).toEqual([
      {
        id: 1,
        big: "9007199254740993",
        amount: "12345678901234567890.1234567891",
        real4: Math.fround(0.1),
        real8: 0.1 + 0.2,
        yes: true,
        word: 'é"\\,{}',
        bytes: "AP9c",
        day: "2026-11-21",
        local: "2026-11-21T03:04:05.678901",
        instant: "2026-11-21T01:04:05.678901Z",
        numbers: [1, null, "9007199254740993"],
        words: ["a,b", null, '"q"', "", "NULL"],
        doc: '{"a": [1]}',
      },
      {
        id: 2,
        big: "-9223372036854775808",
        amount: "-0.0000000001",
        real4: Number.NaN,
        real8: Number.NEGATIVE_INFINITY,
        yes: false,
        word: "",
        bytes: "",
        day: "0001-01-01",
        local: "1969-12-31T23:59:59.999999",
        instant: "1969-12-31T23:59:59.999999Z",
        numbers: [],
        words: [],
        doc: "null",
      },
      expect.objectContaining({ id: 3, big: null, words: null, doc: null }),
    ]);
  });

  it("fit a schema that the pipeline gives in place of the table's", async () => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id int, amount numeric, doc jsonb);
      INSERT INTO t VALUES (1, 1.50, '{"name": "a", "tags": ["x", "y"]}')`);
    const ddl = "id bigint, amount string, doc struct<name: string, tags: array<string>>";
    const reader = await d.reader({}, ddl);
    const [slice] = await reader.partitions();
    if (slice === undefined) throw new Error("there is no partition");
    expect(await d.rows({}, reader.read(slice, d.task()), ddl)).toEqual([
      { id: 1, amount: "1.50", doc: { name: "a", tags: ["x", "y"] } },
    ]);
  });

  it("that do not fit their field are told by row and field", async () => {
    const d = await desk();
    await d.db.query("INSERT INTO t (word) VALUES ('7'), ('seven')");
    const reader = await d.streamReader({}, "word int");
    const rows = d.rows({}, reader.read({ after: {}, upTo: { id: "2" } }, d.task()), "word int");
    await expect(rows).rejects.toMatchObject({ code: "ROW_MISMATCH", where: { row: 2, field: "word" } });
  });
});

describe("a stream", () => {
  it("has each row once, batch after batch, whatever the sizes of batches and pages", async () => {
    const d = await desk();
    await d.db.query("INSERT INTO t (word) SELECT 'w' || n FROM generate_series(1, 100) AS n");
    await d.db.query("DELETE FROM t WHERE id % 7 = 0");
    const options = { fetchSize: 4, maxPartitions: 3 };
    const seen: unknown[] = [];
    let position = {};
    for (;;) {
      const { end, partitions } = await d.batch(position, options, new ReadMaxRows(25));
      if (JSON.stringify(end) === JSON.stringify(position)) break;
      expect(partitions.length).toBeLessThanOrEqual(3);
      for (const rows of partitions) expect(rows.length).toBeLessThanOrEqual(Math.ceil(25 / 3));
      seen.push(...valuesOf(partitions));
      position = end;
    }
    expect(position).toEqual({ id: "100" });
    expect(seen).toEqual(upTo(100).filter((id) => id % 7 !== 0));
  });

  it("gives its start where nothing is new, also where the last rows were deleted", async () => {
    const d = await desk();
    expect((await d.batch({})).end).toEqual({});
    await d.db.query("INSERT INTO t (word) VALUES ('a'), ('b')");
    expect((await d.batch({ id: "2" })).end).toEqual({ id: "2" });
    await d.db.query("DELETE FROM t WHERE id = 2");
    expect((await d.batch({ id: "2" })).end).toEqual({ id: "2" });
  });

  it("begins after startAfter", async () => {
    const d = await desk();
    await d.db.query("INSERT INTO t (word) VALUES ('a'), ('b'), ('c')");
    const reader = await d.streamReader({ startAfter: 2 });
    expect(reader.initialOffset()).toEqual({ id: "2" });
    expect(valuesOf((await d.batch(reader.initialOffset())).partitions)).toEqual([3]);
  });

  it("asks for maxRowsPerBatch rows by itself", async () => {
    const d = await desk();
    expect((await d.streamReader()).getDefaultReadLimit()).toEqual(new ReadMaxRows(100_000));
    expect((await d.streamReader({ maxRowsPerBatch: 7 })).getDefaultReadLimit()).toEqual(new ReadMaxRows(7));
  });

  it("has partitions only for rows enough", async () => {
    const d = await desk();
    await d.db.query("INSERT INTO t (word) SELECT '' FROM generate_series(1, 100)");
    expect((await d.batch({})).partitions).toHaveLength(1);
    const { partitions } = await d.batch({}, { fetchSize: 30 });
    expect(partitions.map((rows) => rows.length)).toEqual([30, 30, 30, 10]);
  });

  it("reports where the table ends, beyond the limit of the batch", async () => {
    const d = await desk();
    const reader = await d.streamReader();
    await reader.latestOffset({}, ALL);
    expect(reader.reportLatestOffset()).toBeUndefined();
    await d.db.query("INSERT INTO t (word) SELECT '' FROM generate_series(1, 100)");
    expect(await reader.latestOffset({}, new ReadMaxRows(10))).toEqual({ id: "10" });
    expect(reader.reportLatestOffset()).toEqual({ id: "100" });
  });

  it("with the trigger availableNow ends where the table ended at the beginning, in another process too", async () => {
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
      expect(await planner.latestOffset({}, new ReadMaxRows(7))).toEqual({ id: "7" });
      expect(await planner.latestOffset({ id: "7" }, new ReadMaxRows(7))).toEqual({ id: "10" });
      expect(await planner.latestOffset({ id: "10" }, new ReadMaxRows(7))).toEqual({ id: "10" });
    }
  });

  it("with the trigger availableNow on an empty table has nothing, whatever comes", async () => {
    const d = await desk();
    const reader = await d.streamReader();
    await reader.prepareForTriggerAvailableNow();
    await d.db.query("INSERT INTO t (word) VALUES ('a')");
    const other = await d.streamReader();
    other.restoreAvailableNow(json(reader.availableNowTarget() ?? null));
    expect(await other.latestOffset({}, ALL)).toEqual({});
  });

  it("reads a partitioned table", async () => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id bigserial, day int) PARTITION BY LIST (day);
      CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1); CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2);
      INSERT INTO t (day) SELECT n % 2 + 1 FROM generate_series(1, 20) AS n`);
    expect(valuesOf((await d.batch({})).partitions)).toEqual(upTo(20));
  });
});

it("the source has none of the known traps", async () => {
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

  it("stay in one batch and one partition without key columns, even where they are more than the limit", async () => {
    const d = await tied();
    const options = { cursorColumn: "place", fetchSize: 3 };
    const first = await d.batch({}, options, new ReadMaxRows(12));
    expect(first.end).toEqual({ place: "0" });
    const second = await d.batch(first.end, options, new ReadMaxRows(4));
    expect(second.end).toEqual({ place: "1" });
    expect(second.partitions.map((rows) => rows.length)).toEqual([10]);
    const rest = await d.batch(second.end, options);
    expect(valuesOf(rest.partitions)).toEqual(upTo(50).filter((id) => id >= 20));
  });

  it("are told apart by key columns, so that each batch has exactly as many rows as it may", async () => {
    const d = await tied();
    const options = { cursorColumn: "place", keyColumns: ["id"], fetchSize: 3, maxPartitions: 2 };
    const first = await d.batch({}, options, new ReadMaxRows(12));
    expect(first.end).toEqual({ place: "1", id: "12" });
    expect(first.partitions.map((rows) => rows.length)).toEqual([6, 6]);
    const second = await d.batch(first.end, options, new ReadMaxRows(12));
    expect(valuesOf(second.partitions)).toEqual(upTo(24).slice(12));
  });

  it("go on from an offset without key columns behind all rows of its cursor", async () => {
    const d = await tied();
    const options = { cursorColumn: "place", keyColumns: ["id"] };
    expect(valuesOf((await d.batch({ place: "3" }, options)).partitions)).toEqual(upTo(50).slice(39));
  });

  it("are not read by other columns than before", async () => {
    const d = await tied();
    await expect(d.batch({ place: "1", id: "12" }, { cursorColumn: "place" })).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
    });
    await expect(d.batch({ place: "1" }, { cursorColumn: "id" })).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
    });
  });
});

describe("a row whose transaction commits after one with a larger number", () => {
  it("is waited for, and not lost", async () => {
    const d = await desk();
    const [a, b] = [await d.session(), await d.session()];
    await a.query("BEGIN; INSERT INTO t (word) VALUES ('early')");
    await b.query("INSERT INTO t (word) VALUES ('late')");
    d.onSleep = async () => void (await a.query("COMMIT"));
    const { end, partitions } = await d.batch({});
    expect(end).toEqual({ id: "2" });
    expect(valuesOf(partitions)).toEqual([1, 2]);
    expect(d.sleeps).toBe(1);
  });

  it("holds the stream back while its transaction is open, for as long as it takes", async () => {
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

  it("is not waited for any more where its transaction was rolled back", async () => {
    const d = await desk();
    const a = await d.session();
    await a.query("BEGIN; INSERT INTO t (word) VALUES ('early')");
    await d.db.query("INSERT INTO t (word) VALUES ('late')");
    d.onSleep = async () => void (await a.query("ROLLBACK"));
    expect(valuesOf((await d.batch({})).partitions)).toEqual([2]);
  });

  it("is waited for while others go on writing, and only it", async () => {
    const d = await desk();
    const [a, c] = [await d.session(), await d.session()];
    await a.query("BEGIN; INSERT INTO t (word) VALUES ('early')");
    await d.db.query("INSERT INTO t (word) VALUES ('late')");
    d.onSleep = async () => {
      if (d.sleeps === 1) await c.query("BEGIN; INSERT INTO t (word) VALUES ('later')");
      if (d.sleeps === 2) await a.query("COMMIT");
    };
    const { end, partitions } = await d.batch({});
    expect(end).toEqual({ id: "2" });
    expect(valuesOf(partitions)).toEqual([1, 2]);
    await c.query("COMMIT");
    expect(valuesOf((await d.batch(end)).partitions)).toEqual([3]);
  });

  it("is waited for where its transaction was prepared meanwhile", async () => {
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

  it("is waited for where it goes straight into a partition, and by a user who may only read", async () => {
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

  it("is all that is waited for: not who reads the table, nor who writes another one", async () => {
    const d = await desk();
    await d.db.query("CREATE TABLE other (id bigserial)");
    const [reading, writing] = [await d.session(), await d.session()];
    await reading.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t");
    await writing.query("BEGIN; INSERT INTO other DEFAULT VALUES");
    await d.db.query("INSERT INTO t (word) VALUES ('a')");
    expect((await d.batch({})).end).toEqual({ id: "1" });
    expect(d.sleeps).toBe(0);
  });

  it("is never lost while sessions write, roll back and commit as they like", async () => {
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
    await readBatch();
    const there = await d.db.query("SELECT id FROM t ORDER BY id");
    expect(seen).toEqual(there.map(([id]) => Number(id)));
  });
});

const INSERT = "INSERT INTO t (word) VALUES ('')";

/** One to three rows. Each fifth round is rolled back; with a savepoint, each second row. */
function transactionOf(round: number, hasSavepoint: boolean): readonly string[] {
  const second = hasSavepoint ? ["SAVEPOINT s", INSERT, "ROLLBACK TO s"] : [INSERT];
  const inserts = [[INSERT], second, [INSERT]].slice(0, 1 + (round % 3)).flat();
  return ["BEGIN", ...inserts, round % 5 === 4 ? "ROLLBACK" : "COMMIT"];
}

describe("a cursor of times", () => {
  it("stays behind the clock of the server", async () => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id int, at timestamptz DEFAULT now());
      INSERT INTO t VALUES (1, now() - interval '61 seconds'), (2, now() - interval '30 seconds'), (3, now()), (4, 'infinity')`);
    const ids = async (lagSeconds?: number) =>
      valuesOf(
        (await d.batch({}, { cursorColumn: "at", ...(lagSeconds === undefined ? {} : { lagSeconds }) }))
          .partitions,
      );
    expect(await ids()).toEqual([1]);
    expect(await ids(15)).toEqual([1, 2]);
    expect(await ids(0)).toEqual([1, 2, 3]);
  });

  it("keeps microseconds, and goes on behind them", async () => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id int, at timestamptz);
      INSERT INTO t VALUES (1, '2026-01-01 00:00:00.000001+00'), (2, '2026-01-01 00:00:00.000002+00'), (3, '2026-01-01 00:00:00.000003+00')`);
    const options = { cursorColumn: "at" };
    const first = await d.batch({}, options, new ReadMaxRows(2));
    expect(first.end).toEqual({ at: "2026-01-01 00:00:00.000002+00" });
    expect(valuesOf((await d.batch(first.end, options)).partitions)).toEqual([3]);
  });

  it.each(["America/New_York", "Asia/Tokyo", "UTC"])(
    "without zone is one of the zone that the database is set to: %s",
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

  it("that has days reads days that are over", async () => {
    const d = await Desk.open(server);
    await d.db.query(
      `CREATE TABLE t (id int, day date); INSERT INTO t VALUES (1, current_date - 2), (2, current_date + 1)`,
    );
    expect(valuesOf((await d.batch({}, { cursorColumn: "day" })).partitions)).toEqual([1]);
  });

  it("may be in a UUID of version 7", async () => {
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
  ])("for %s", async (_, sql, problem) => {
    const d = await Desk.open(server);
    await d.db.query(sql);
    await expect(d.batch({})).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining(problem) as string,
    });
  });

  it("for a key that may be null", async () => {
    const d = await Desk.open(server);
    await d.db.query("CREATE TABLE t (at timestamptz, id int)");
    await expect(d.batch({}, { cursorColumn: "at", keyColumns: ["id"] })).rejects.toMatchObject({
      code: "POSTGRES_TABLE_MISMATCH",
    });
  });

  it("for a standby, which does not know who is writing", async () => {
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

  it("for a lag of what is no time", async () => {
    const d = await desk();
    await expect(d.batch({}, { lagSeconds: 5 })).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
  });

  it("without a cursor column", async () => {
    const d = await desk();
    const source = await d.source({ table: "t" });
    const reader = source.streamReader(await source.schema());
    await expect(reader.latestOffset({}, ALL)).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
  });
});
