import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PostgresOptions } from "../../../shared/connectors/postgres/index.ts";
import { ReadMaxRows } from "../../../shared/contract/read-limit.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { Desk, json, valuesOf } from "../../postgres/desk.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { ALL } from "./sequence-table.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

const SERIAL = "CREATE TABLE t (id bigserial, n int); INSERT INTO t (n) VALUES (1), (2), (3)";
const TIMES = `CREATE TABLE t (id timestamptz, n int);
  INSERT INTO t SELECT '2026-01-01'::timestamptz + make_interval(days => n), n FROM generate_series(1, 3) AS n`;
const PLAIN = "CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)";

/** Reads what a table has, then changes it, and reads the next batch. */
async function again(
  first: string,
  change: string,
  options: Partial<PostgresOptions> = {},
): Promise<unknown[]> {
  const d = await Desk.open(server);
  await d.db.query(first);
  const { end } = await d.batch({}, options);
  await d.db.query(change);
  return valuesOf((await d.batch(end, options)).partitions, "n");
}

/**
 * Expects the next batch to be refused, with a message that has `problem`, unless it is allowed.
 */
async function expectReset(first: string, change: string, problem: string): Promise<void> {
  await expect(again(first, change)).rejects.toMatchObject({
    code: "POSTGRES_TABLE_RESET",
    message: expect.stringContaining(problem) as string,
    hint: expect.stringMatching(/`millrace rewind PIPELINE --to-start`.*`failOnReset: false`/) as string,
  });
  await expect(again(first, change, { failOnReset: false })).resolves.toBeDefined();
}

describe("a table that began anew", () => {
  it.each([
    ["emptied, with its sequence restarted", "TRUNCATE t RESTART IDENTITY", "was restarted or replaced"],
    [
      "emptied, with its sequence restarted, and filled beyond the offset",
      "TRUNCATE t RESTART IDENTITY; INSERT INTO t (n) VALUES (10), (20), (30), (40)",
      "was restarted or replaced",
    ],
    ["made again", `DROP TABLE t; ${SERIAL}; INSERT INTO t (n) VALUES (4)`, "another table of this name"],
    [
      "another one under its name",
      "ALTER TABLE t RENAME TO old; CREATE TABLE t (LIKE old INCLUDING ALL); INSERT INTO t (n) VALUES (4)",
      "another table of this name",
    ],
    ["set back by setval", "SELECT setval('t_id_seq', 1)", "went back from 3 to 1"],
    [
      "emptied by DELETE, and set back by setval",
      "DELETE FROM t; SELECT setval('t_id_seq', 1); INSERT INTO t (n) VALUES (10)",
      "went back from 3 to 2",
    ],
    ["set back by RESTART", "ALTER SEQUENCE t_id_seq RESTART; INSERT INTO t (n) VALUES (4)", "was restarted"],
  ])("A table whose numbers come from a sequence is refused if it was %s", async (_, change, problem) => {
    const d = await Desk.open(server);
    await d.db.query(SERIAL);
    const { end } = await d.batch({});
    await d.db.query(change);
    await expect(d.batch(end)).rejects.toMatchObject({
      code: "POSTGRES_TABLE_RESET",
      message: expect.stringContaining(problem) as string,
    });
  });

  it.each([
    ["emptied", "TRUNCATE t; INSERT INTO t VALUES ('2026-02-01', 4)", "emptied (TRUNCATE)"],
    ["emptied, with no row since", "TRUNCATE t", "emptied (TRUNCATE)"],
    ["emptied by DELETE", "DELETE FROM t", "all its rows lie before that"],
    ["deprived of its last rows", "DELETE FROM t WHERE n > 1", "all its rows lie before that"],
    [
      "given a row at the offset itself",
      "INSERT INTO t VALUES ('2026-01-04', 4)",
      "1 more rows have the cursor",
    ],
  ])("A table of times is refused if it was %s", async (_, change, problem) => {
    await expectReset(TIMES, change, problem);
  });

  it.each([
    ["made again", `DROP TABLE t; ${PLAIN}; INSERT INTO t VALUES (4, 4)`, "another table"],
    ["emptied and filled beyond the offset", "TRUNCATE t; INSERT INTO t VALUES (3, 30), (4, 40)", "TRUNCATE"],
    ["given a row at the offset itself", "INSERT INTO t VALUES (3, 4)", "1 more rows"],
    ["emptied by DELETE", "DELETE FROM t", "all its rows lie before that"],
  ])("A table without a sequence is refused if it was %s", async (_, change, problem) => {
    await expectReset(PLAIN, change, problem);
  });

  it.each([
    ["has lost all its rows, but not its sequence", SERIAL, "DELETE FROM t; INSERT INTO t (n) VALUES (4)"],
    ["was emptied, but its sequence goes on", SERIAL, "TRUNCATE t; INSERT INTO t (n) VALUES (4)"],
    ["was written anew by VACUUM FULL", SERIAL, "VACUUM FULL t; INSERT INTO t (n) VALUES (4)"],
    [
      "of times was written anew by VACUUM FULL",
      TIMES,
      "VACUUM FULL t; INSERT INTO t VALUES ('2026-02-01', 4)",
    ],
    ["was changed in its last row", TIMES, "UPDATE t SET n = n; INSERT INTO t VALUES ('2026-02-01', 4)"],
    ["lost its oldest rows", PLAIN, "DELETE FROM t WHERE id < 3; INSERT INTO t VALUES (4, 4)"],
    [
      "got a column and an index",
      PLAIN,
      "ALTER TABLE t ADD x int; CREATE INDEX ON t (id); INSERT INTO t VALUES (4, 4)",
    ],
  ])("A table is read on if it %s", async (_, first, change) => {
    const d = await Desk.open(server);
    await d.db.query(first);
    const { end } = await d.batch({});
    for (const statement of change.split(";")) await d.db.query(statement);
    expect(valuesOf((await d.batch(end)).partitions, "n")).toEqual([4]);
  });

  it("An offset of an older version, or by hand, is read on, unless all rows lie before it", async () => {
    const d = await Desk.open(server);
    await d.db.query(SERIAL);
    expect(valuesOf((await d.batch({ id: "2" })).partitions)).toEqual([3]);
    expect((await d.batch({ id: "3" })).end).toEqual({ id: "3" });
    await d.db.query("TRUNCATE t RESTART IDENTITY; INSERT INTO t (n) VALUES (1), (2)");
    await expect(d.batch({ id: "3" })).rejects.toMatchObject({
      code: "POSTGRES_TABLE_RESET",
      message:
        '"public"."t" was read up to id "3", and seems to have begun anew: all its rows lie before that',
    });
    expect((await d.batch({ id: "3" }, { startAfter: 3 })).end).toEqual({ id: "3" });
  });

  it("A row with a smaller key at the offset's cursor is refused, and one with a larger key is read", async () => {
    const d = await Desk.open(server);
    await d.db.query("CREATE TABLE t (id int, k int NOT NULL); INSERT INTO t VALUES (1, 1), (1, 5)");
    const options = { keyColumns: ["k"] };
    const { end } = await d.batch({}, options);
    await d.db.query("INSERT INTO t VALUES (1, 7)");
    expect(valuesOf((await d.batch(end, options)).partitions, "k")).toEqual([7]);
    await d.db.query("INSERT INTO t VALUES (1, 3)");
    await expect(d.batch(end, options)).rejects.toMatchObject({ code: "POSTGRES_TABLE_RESET" });
  });

  it("A batch that was planned before the table was emptied is followed by the error", async () => {
    const d = await Desk.open(server);
    await d.db.query(SERIAL);
    const planner = await d.streamReader();
    const end = json(await planner.latestOffset({}, new ReadMaxRows(2)));
    await d.db.query("TRUNCATE t RESTART IDENTITY; INSERT INTO t (n) VALUES (1), (2), (3), (4)");
    await expect(planner.latestOffset(end, ALL)).rejects.toMatchObject({ code: "POSTGRES_TABLE_RESET" });
  });

  it("A partitioned table is refused if it was made again or its sequence was restarted", async () => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id bigserial, n int) PARTITION BY LIST (n);
      CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1); INSERT INTO t (n) VALUES (1), (1)`);
    const { end } = await d.batch({});
    await d.db.query("INSERT INTO t (n) VALUES (1)");
    expect(valuesOf((await d.batch(end)).partitions)).toEqual([3]);
    await d.db.query("TRUNCATE t RESTART IDENTITY; INSERT INTO t (n) VALUES (1), (1), (1)");
    await expect(d.batch(end)).rejects.toMatchObject({ code: "POSTGRES_TABLE_RESET" });
  });
});

describe("values that would hide rows", () => {
  it.each([
    ["NaN", "numeric", "(1, 1), ('NaN', 2)", "NaN"],
    ["an infinite number", "numeric", "(1, 1), ('Infinity', 2)", "Infinity"],
    ["the number below all others", "numeric", "(1, 1), ('-Infinity', 2)", "-Infinity"],
    ["an infinite time", "timestamptz", "('2026-01-01', 1), ('infinity', 2)", "infinity"],
    ["the time before all others", "timestamp", "('2026-01-01', 1), ('-infinity', 2)", "-infinity"],
    ["an infinite date", "date", "('2026-01-01', 1), ('infinity', 2)", "infinity"],
  ])("A cursor column with %s is refused before the offset moves", async (_, type, rows, value) => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id ${type}, n int); INSERT INTO t VALUES ${rows}`);
    const options = { columns: ["n"] };
    await expect(d.batch({}, options)).rejects.toMatchObject({
      code: "POSTGRES_CURSOR_UNSAFE",
      message: expect.stringContaining(`"id" of "public"."t" has the value ${value}`) as string,
      hint: expect.stringContaining(`SELECT * FROM "public"."t" WHERE "id" = '${value}'`) as string,
    });
    await d.db.query(`DELETE FROM t WHERE id = '${value}'`);
    expect(valuesOf((await d.batch({}, options)).partitions, "n")).toEqual([1]);
  });

  it("An offset that an older version moved to NaN is refused", async () => {
    const d = await Desk.open(server);
    await d.db.query("CREATE TABLE t (id numeric, n int); INSERT INTO t VALUES (1, 1)");
    await expect(d.batch({ id: "NaN" }, { columns: ["n"] })).rejects.toMatchObject({
      code: "POSTGRES_CURSOR_UNSAFE",
    });
  });

  it("Rows whose cursor is null are an error that names the option that leaves them out", async () => {
    const d = await Desk.open(server);
    await d.db.query("CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 1), (NULL, 2)");
    await expect(d.batch({})).rejects.toMatchObject({
      code: "POSTGRES_CURSOR_UNSAFE",
      message: expect.stringContaining('"id" of "public"."t" is null in some rows') as string,
      hint: expect.stringContaining('`nullCursors: "skip"`') as string,
    });
    expect(valuesOf((await d.batch({}, { nullCursors: "skip" })).partitions, "n")).toEqual([1]);
  });

  it("The largest number of the type is refused, because no row can follow it", async () => {
    const d = await Desk.open(server);
    await d.db.query("CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 1), (2147483647, 2)");
    await expect(d.batch({})).rejects.toMatchObject({
      code: "POSTGRES_CURSOR_UNSAFE",
      message: expect.stringContaining("2147483647, the largest int4") as string,
    });
  });

  it("A number beyond its sequence is refused, unless the sequence was never used or is ignored", async () => {
    const d = await Desk.open(server);
    await d.db.query("CREATE TABLE t (id bigserial, n int); INSERT INTO t VALUES (9, 1)");
    expect((await d.batch({})).position).toEqual({ id: "9" });
    await d.db.query("INSERT INTO t (n) VALUES (2)");
    await expect(d.batch({})).rejects.toMatchObject({
      code: "POSTGRES_CURSOR_UNSAFE",
      message: expect.stringContaining("has 9, but its sequence t_id_seq has only come to 1") as string,
      hint: expect.stringMatching(/SELECT setval\('t_id_seq', 9\).*`sequence: "ignore"`/) as string,
    });
    expect((await d.batch({}, { sequence: "ignore" })).position).toEqual({ id: "9" });
    await d.db.query("SELECT setval('t_id_seq', 9)");
    expect((await d.batch({})).position).toEqual({ id: "9" });
  });

  it("UUIDs of another version are found at either end", async () => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id uuid, n int);
      INSERT INTO t VALUES ('00000000-0000-4000-8000-000000000000', 1), ('01900000-0000-7000-8000-000000000000', 2)`);
    await expect(d.batch({})).rejects.toMatchObject({ code: "POSTGRES_CURSOR_UNSAFE" });
  });
});

describe("a cursor of text", () => {
  const WORDS = ["B", "a", "b", "Z", "é", "ab", "a-c"];
  const inBytes = [...WORDS].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

  it.each(["text", 'text COLLATE "und-x-icu"', "text COLLATE folding", "varchar(9)"])(
    "Rows are ordered by the bytes of %s, in batches and in partitions",
    async (type) => {
      const d = await Desk.open(server);
      await d.db.query(
        "CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
      );
      await d.db.query(`CREATE TABLE t (id ${type} NOT NULL)`);
      for (const word of WORDS) await d.db.query("INSERT INTO t VALUES ($1)", [word]);
      const seen: unknown[] = [];
      let start = {};
      for (;;) {
        const { end, partitions } = await d.batch(start, { fetchSize: 1 }, new ReadMaxRows(2));
        if (JSON.stringify(end) === JSON.stringify(start)) break;
        seen.push(...valuesOf(partitions));
        start = end;
      }
      expect(seen).toEqual(inBytes);
    },
  );

  it("An offset of an older version is refused if the order by bytes would pass rows over", async () => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id text COLLATE "und-x-icu"); INSERT INTO t VALUES ('a'), ('B')`);
    await expect(d.batch({ id: "a" })).rejects.toMatchObject({
      code: "POSTGRES_CURSOR_UNSAFE",
      hint: expect.stringContaining("`millrace rewind PIPELINE --to-start`") as string,
    });
    await d.db.query("UPDATE t SET id = upper(id)");
    expect(valuesOf((await d.batch({ id: "A" })).partitions)).toEqual(["B"]);
  });
});

describe("values of JSON columns", () => {
  const read = async (column: string, type: string): Promise<unknown> => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id int, v ${column}); INSERT INTO t (id) VALUES (1)`);
    const ddl = `v ${type}`;
    const reader = await d.reader({}, ddl);
    const [slice] = await reader.partitions();
    if (slice === undefined) throw new Error("there is no partition");
    return (await d.rows({}, reader.read(slice, d.task()), ddl))[0]?.["v"];
  };

  it.each([
    [
      "jsonb DEFAULT '{\"a\": 987654321.123456789}'",
      "struct<a: decimal(20,10)>",
      { a: "987654321.1234567890" },
    ],
    ["json DEFAULT '{\"a\": 9007199254740993}'", "struct<a: bigint>", { a: "9007199254740993" }],
    ["jsonb DEFAULT '[1.10, 2]'", "array<decimal(38,18)>", ["1.100000000000000000", "2.000000000000000000"]],
    ["jsonb DEFAULT '{\"k\": 9007199254740993}'", "map<string,bigint>", { k: "9007199254740993" }],
    ["jsonb DEFAULT '12345678901234567890.12345'", "decimal(38,5)", "12345678901234567890.12345"],
    ["jsonb DEFAULT '9007199254740993'", "bigint", "9007199254740993"],
    [
      "jsonb[] DEFAULT ARRAY['{\"a\": 9007199254740993}'::jsonb]",
      "array<struct<a: bigint>>",
      [{ a: "9007199254740993" }],
    ],
    ['jsonb DEFAULT \'{"a": "AQID"}\'', "struct<a: binary>", { a: "AQID" }],
    ["bytea DEFAULT '\\x00ff'", "binary", "AP8="],
    ["numeric DEFAULT '1e300'", "double", 1e300],
    ["float8 DEFAULT 'Infinity'", "double", Number.POSITIVE_INFINITY],
  ])("A column %s is read as %s with all its digits", async (column, type, expected) => {
    expect(await read(column, type)).toEqual(expected);
  });

  it.each([
    ["jsonb DEFAULT '{\"a\": 1e400}'", "struct<a: double>", "beyond the range of a double"],
    ['json DEFAULT \'{"a": 1, "a": 2}\'', "struct<a: int>", 'an object has the name "a" twice'],
    ["jsonb DEFAULT '1700000000123456789'", "timestamp", "found a number of 19 characters"],
    ['jsonb DEFAULT \'{"a": "AQI"}\'', "struct<a: binary>", "found a string of 3 characters"],
    ["numeric DEFAULT '1e400'", "double", "found a string of 401 characters"],
    ["text DEFAULT ''", "double", "found a string of 0 characters"],
    ["text DEFAULT '0x10'", "double", "found a string of 4 characters"],
    ["text DEFAULT 'hello'", "binary", "found a string of 5 characters"],
    ["text DEFAULT '\\xABC'", "binary", "found a string of 5 characters"],
    ["numeric DEFAULT 'NaN'", "decimal(38,9)", "found a string of 3 characters"],
  ])("A column %s is refused as %s", async (column, type, problem) => {
    await expect(read(column, type)).rejects.toMatchObject({
      code: "ROW_MISMATCH",
      message: expect.stringContaining(problem) as string,
    });
  });
});
