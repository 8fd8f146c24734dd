import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { schemaToJson } from "../../../shared/contract/ddl/json.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { Desk } from "../../postgres/desk.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { deskOf } from "./sequence-table.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

const desk = () => deskOf(server);

describe("the schema", () => {
  it("The schema has the table's columns, in their order", async () => {
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

  it("The schema has the columns that the option names", async () => {
    const d = await desk();
    const { fields } = schemaToJson(
      await (await d.source({ table: "public.t", columns: ["word"] })).schema(),
    );
    expect(fields).toEqual([{ name: "word", type: "string", nullable: true }]);
  });

  it("The source asks for a schema if a numeric column has no digits", async () => {
    const d = await Desk.open(server);
    await d.db.query("CREATE TABLE t (amount numeric)");
    await expect((await d.source({ table: "t" })).schema()).rejects.toMatchObject({
      code: "POSTGRES_TABLE_MISMATCH",
      message: expect.stringContaining('"amount"') as string,
      hint: expect.stringContaining(".schema(") as string,
    });
  });

  it("The source takes names of columns as they are, whatever their characters", async () => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE SCHEMA "Shop"; CREATE TABLE "Shop"."my.""orders" ("Id" int, "a b" text)`);
    const source = await d.source({ table: '"Shop"."my.""orders"' });
    expect(schemaToJson(await source.schema()).fields.map(({ name }) => name)).toEqual(["Id", "a b"]);
    expect(await (await d.source({ table: "Shop.missing" })).schema().catch(({ code }) => code)).toBe(
      "POSTGRES_TABLE_MISMATCH",
    );
  });

  it("The error of an unknown column suggests the one with a similar name", async () => {
    const d = await desk();
    await expect((await d.source({ table: "t", columns: ["wrod"] })).schema()).rejects.toMatchObject({
      message: expect.stringContaining("did you mean word?") as string,
    });
  });
});

describe("rows", () => {
  it("Rows keep all their digits, whatever the settings of the server are", async () => {
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

  it("Rows fit a schema that the pipeline sets in place of the table's", async () => {
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

  it("The error of a row that does not fit its field has row and field", async () => {
    const d = await desk();
    await d.db.query("INSERT INTO t (word) VALUES ('7'), ('seven')");
    const reader = await d.streamReader({}, "word int");
    const rows = d.rows({}, reader.read({ after: {}, upTo: { id: "2" } }, d.task()), "word int");
    await expect(rows).rejects.toMatchObject({ code: "ROW_MISMATCH", where: { row: 2, field: "word" } });
  });
});
