import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toRecordBatches } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { Server } from "../../../shared/connectors/kit/postgres/connection.ts";
import { Parameters } from "../../../shared/connectors/postgres/cursor.ts";
import { conditionOf } from "../../../shared/connectors/postgres/filters.ts";
import { Postgres, type PostgresOptions } from "../../../shared/connectors/postgres/index.ts";
import { readTable } from "../../../shared/connectors/postgres/table.ts";
import type { SaveMode } from "../../../shared/contract/batch-writer.ts";
import {
  AlwaysFalse,
  AlwaysTrue,
  And,
  EqualNullSafe,
  EqualTo,
  type Filter,
  GreaterThan,
  GreaterThanOrEqual,
  In,
  IsNotNull,
  IsNull,
  LessThan,
  LessThanOrEqual,
  Not,
  Or,
  StringContains,
  StringEndsWith,
  StringStartsWith,
} from "../../../shared/contract/filters.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import { filterRows } from "../../../shared/engine/filters.ts";
import { runPipeline } from "../../../shared/testing/index.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { Desk, json, type NamedRow } from "../../postgres/desk.ts";
import { borrowPostgres } from "../../postgres/shared.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

/**
 * Reads the table as a batch with these filters. Returns the rows of each partition, and the
 * filters that PostgreSQL does not apply.
 */
async function batch(
  d: Desk,
  options: Partial<PostgresOptions> = {},
  filters: readonly Filter[] = [],
): Promise<{ partitions: NamedRow[][]; rest: Filter[] }> {
  const planner = await d.reader(options);
  await planner.pushFilters(filters);
  const slices = json(await planner.partitions());
  let rest: Filter[] = [];
  const partitions: NamedRow[][] = [];
  for (const slice of slices) {
    const reader = await d.reader(options);
    rest = await reader.pushFilters(filters);
    partitions.push(await d.rows(options, reader.read(slice, d.task())));
  }
  return { partitions, rest };
}

describe("a batch", () => {
  async function hundred(): Promise<Desk> {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id int, place int);
      INSERT INTO t SELECT n, nullif(n / 10, 5) FROM generate_series(1, 100) AS n`);
    return d;
  }
  const all = Array.from({ length: 100 }, (_, n) => n + 1);
  const idsOf = (partitions: readonly NamedRow[][]) =>
    partitions
      .flat()
      .map(({ id }) => Number(id))
      .sort((a, b) => a - b);

  it("A batch without a cursor column has all rows, as one partition", async () => {
    const { partitions } = await batch(await hundred());
    expect(partitions).toHaveLength(1);
    expect(idsOf(partitions)).toEqual(all);
  });

  it("A batch with a cursor column is split by it and has the rows without a cursor, too", async () => {
    const { partitions } = await batch(await hundred(), {
      cursorColumn: "place",
      fetchSize: 7,
      maxPartitions: 4,
    });
    expect(partitions.length).toBeGreaterThan(2);
    expect(partitions.length).toBeLessThanOrEqual(4);
    expect(idsOf(partitions)).toEqual(all);
  });

  it("A batch has the rows of a view, and of a table in which no row has a cursor", async () => {
    const d = await hundred();
    await d.db.query("CREATE VIEW v AS SELECT * FROM t WHERE place IS NULL");
    const { partitions } = await batch(d, { table: "v", cursorColumn: "place" });
    expect(idsOf(partitions)).toEqual(all.slice(49, 59));
  });

  it("A batch ends its session when the task must stop", async () => {
    const d = await hundred();
    const stop = new AbortController();
    const reader = await d.reader({ fetchSize: 10 });
    const [slice = { after: null, upTo: null }] = await reader.partitions();
    const rows = reader.read(slice, d.task({ signal: stop.signal }));
    await rows.next();
    stop.abort();
    await expect(Array.fromAsync(rows)).rejects.toThrow();
    const sessions =
      "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'millrace' AND datname = current_database()";
    await expect.poll(async () => (await d.db.query(sessions))[0]?.[0], { timeout: 30_000 }).toBe("0");
  });
});

describe("a filter", () => {
  async function varied(): Promise<Desk> {
    const d = await Desk.open(server);
    await d.db.query(`
      CREATE TYPE mood AS ENUM ('sad', 'happy');
      CREATE COLLATION unicode_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      CREATE TABLE t (id int, small smallint, big bigint, amount numeric(20, 2), r4 real, r8 float8, yes boolean, word text,
        short varchar(9), padded char(4), loose text COLLATE unicode_ci, uuid uuid, day date, local timestamp, instant timestamptz, mood mood, bytes bytea, tags text[]);
      INSERT INTO t VALUES
        (1, 1, 9007199254740993, 1.10, 0.1, 0.1, true, 'apple', 'apple', 'ab', 'Apple', '00000000-0000-4000-8000-00000000000a', '2026-01-01',
          '2026-01-01 00:00', '2026-01-01 00:00+00', 'sad', '\\x01', '{a}'),
        (2, -1, 9007199254740992, 1.11, 'NaN', 'NaN', false, 'Banana', 'Banana', 'ab  ', 'apple', '00000000-0000-4000-8000-00000000000b', '2026-01-02',
          '2026-01-01 00:00:00.5', '2026-01-01 00:00:00.5+00', 'happy', '\\x', '{}'),
        (3, 0, -5, -1.10, '-Infinity', 'Infinity', NULL, '100%_\\x', 'cherry', 'x', 'APPLE', '00000000-0000-4000-8000-00000000000c', '0900-01-01',
          '2026-01-01 00:00:00.000001', '2026-01-01 00:00:00.000001+00', 'sad', '\\x00', '{a,b}'),
        (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (5, 7, 0, 0, -0.0, -0.0, true, '', 'äpfel', '', 'ÄPFEL', '00000000-0000-4000-8000-00000000000d', '2026-12-31', '2026-01-01 00:00:01', '2026-01-01 00:00:01+00', 'happy', NULL, NULL)`);
    return d;
  }

  const VALUES: Readonly<Record<string, readonly unknown[]>> = {
    id: [1, 3, null],
    small: [0, -1, null],
    big: [9007199254740992n, 9007199254740993n, 0],
    amount: ["1.10", "1.11", 0],
    r4: [0.1, 0, Number.NaN, Number.NEGATIVE_INFINITY],
    r8: [0.1, -0, Number.NaN, Number.POSITIVE_INFINITY, null],
    yes: [true, false],
    word: ["apple", "Banana", "100%_\\x", "", "B", null],
    short: ["apple", "äpfel", "b"],
    padded: ["ab", "ab  "],
    loose: ["apple", "äpfel"],
    uuid: ["00000000-0000-4000-8000-00000000000b", "00000000-0000-4000-8000-00000000000B", "none"],
    day: ["2026-01-01", "0900-01-01"],
    local: ["2026-01-01T00:00:00.5", "2026-01-01T00:00:00.000001"],
    instant: ["2026-01-01T01:00:00.500+01:00", new Date("2026-01-01T00:00:01Z")],
    mood: ["sad", "blue"],
  };
  const STRINGS = ["word", "short", "padded", "loose", "uuid", "mood"];

  function* combinationsOf(column: string, [first, second]: readonly unknown[]): Generator<Filter> {
    yield new AlwaysTrue();
    yield new AlwaysFalse();
    for (const Kind of [And, Or]) {
      yield new Kind(new LessThanOrEqual(column, first), new Not(new EqualTo(column, second)));
      yield new Kind(new IsNull(column), new Or(new EqualTo(column, first), new IsNull("id")));
    }
  }

  function* filtersOf(column: string): Generator<Filter> {
    const values = VALUES[column] ?? [];
    yield new IsNull(column);
    yield new IsNotNull(column);
    yield new In(column, values);
    yield new In(column, values.slice(0, 1));
    yield new In(column, []);
    yield* combinationsOf(column, values);
    for (const value of values) {
      for (const Kind of [EqualTo, EqualNullSafe, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual])
        yield new Kind(column, value);
      if (typeof value === "string" && STRINGS.includes(column))
        for (const Kind of [StringStartsWith, StringEndsWith, StringContains])
          yield new Kind(column, value.slice(1, 5));
    }
  }

  it.each(Object.keys(VALUES))(
    "A filter on the column %s leaves the rows that Millrace's own filter would leave",
    async (column) => {
      const d = await varied();
      const schema = await (await d.source({ table: "t" })).schema();
      const [everything = []] = (await batch(d)).partitions;
      const filters = [...filtersOf(column)].flatMap((one) => [one, new Not(one)]);
      const done = await new Server("Postgres", await parseOptions(Postgres, { table: "t" }), d.runtime).use(
        async (session) => {
          const table = await readTable(session, "t");
          const parameters = new Parameters();
          const conditions = filters.map((filter) => conditionOf(filter, table, schema, parameters));
          // One statement has all conditions, because each statement would need a new connection.
          const tests = conditions.map((condition) => `(${condition ?? "NULL"}) IS TRUE`).join(", ");
          const rows = await session.query(
            "test",
            `SELECT id, ${tests} FROM t ORDER BY id`,
            parameters.values,
          );
          return conditions.map((condition, i) =>
            condition === undefined
              ? undefined
              : rows.flatMap(([id, ...is]) => (is[i] === "t" ? [Number(id)] : [])),
          );
        },
      );
      const rows = everything.map(asRead);
      for (const [i, filter] of filters.entries()) {
        const batches = toRecordBatches(schema, filterRows(schema, rows, [filter], {}), {});
        const own = (await Array.fromAsync(batches)).flatMap((kept) => [...rowsOf(kept)].map(({ id }) => id));
        if (done[i] !== undefined) expect(done[i], inspect(filter)).toEqual(own);
      }
      expect(done.some((one) => one !== undefined)).toBe(true);
    },
  );

  it("PostgreSQL applies the filters that mean the same there, and Millrace applies the others", async () => {
    const d = await varied();
    const filters = [
      new EqualTo("id", 1),
      new GreaterThan("instant", "2025-01-01T00:00:00Z"),
      new In("word", ["apple", "pear"]),
      new StringStartsWith("word", "app"),
      new Not(new IsNull("amount")),
      new EqualTo("uuid", "00000000-0000-4000-8000-00000000000a"),
      new LessThan("r8", 1),
      new Or(new EqualTo("id", 1), new And(new IsNull("word"), new AlwaysTrue())),
    ];
    const left = [
      new EqualTo("padded", "ab"),
      new EqualTo("loose", "apple"),
      new GreaterThan("uuid", "0"),
      new EqualTo("mood", "sad"),
      new Or(new EqualTo("id", 1), new EqualTo("padded", "ab")),
      new Not(new And(new EqualTo("id", 2), new EqualTo("padded", "ab"))),
    ];
    const { partitions, rest } = await batch(d, {}, [...filters, ...left]);
    expect(rest).toEqual(left);
    expect(partitions.flat().map(({ id }) => id)).toEqual([1]);
  });

  /** Converts the JSON values of a row to the values that a reader returns. */
  function asRead(row: NamedRow): NamedRow {
    const { bytes, big } = row;
    return {
      ...row,
      bytes: typeof bytes === "string" ? Buffer.from(bytes, "base64") : null,
      big: big === null ? null : BigInt(big as number | string),
    };
  }
});

describe("a batch pipeline", () => {
  async function shop(): Promise<Desk> {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id int PRIMARY KEY, place int, word text);
      INSERT INTO t SELECT n, n / 10, 'w' || n FROM generate_series(1, 100) AS n`);
    return d;
  }
  const copied = (d: Desk) => d.db.query("SELECT id, word FROM copied ORDER BY id");
  const copying = (mode: SaveMode, ...filters: Filter[]) =>
    pipeline("copying")
      .read.format(Postgres)
      .options({ table: "t", cursorColumn: "id", columns: ["id", "word"], fetchSize: 10 })
      .filter(...filters)
      .write.format(Postgres)
      .options({ table: "copied", keyColumns: ["id"] })
      .mode(mode);

  it("A batch pipeline reads the rows that pass the filters of PostgreSQL and of Millrace", async () => {
    const d = await shop();
    await d.db.query("ALTER TABLE t ALTER word TYPE char(4)");
    const { env } = d;
    const run = await runPipeline(
      copying("append", new GreaterThan("id", 90), new StringEndsWith("word", "5 ")),
      { env },
    );
    expect(run.rows).toEqual([{ id: 95, word: "w95 " }]);
    expect(await copied(d)).toEqual([["95", "w95 "]]);
  });

  it("A batch pipeline overwrites, appends, and leaves an existing table alone", async () => {
    const d = await shop();
    const { env } = d;
    const all = (await copied(d).catch(() => [])).length;
    expect(all).toBe(0);
    await runPipeline(copying("errorifexists", new LessThan("id", 3)), { env });
    await expect(runPipeline(copying("errorifexists"), { env })).rejects.toMatchObject({
      code: "TARGET_EXISTS",
    });
    expect((await runPipeline(copying("ignore"), { env })).batches).toEqual([]);
    await runPipeline(copying("append", new In("id", [2, 3])), { env });
    expect((await copied(d)).map(([id]) => id)).toEqual(["1", "2", "3"]);
    const { batches } = await runPipeline(copying("overwrite", new GreaterThan("id", 50)), { env });
    expect(batches[0]?.partitions).toBe(5);
    expect(await copied(d)).toHaveLength(50);
  });
});
