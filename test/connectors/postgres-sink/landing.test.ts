import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PostgresServer } from "../../postgres/databases.ts";
import { Desk } from "../../postgres/desk.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { filesBelow } from "../../support/process.ts";
import { KEYED, row, rowsOf } from "./words.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

const desk = () => Desk.open(server);

describe("a batch", () => {
  it("A batch creates the table, with the key as its primary key", async () => {
    const d = await desk();
    const ddl =
      "id bigint NOT NULL, a tinyint, b smallint, c int, d float, e double, f decimal(12,3), g boolean, h string, i binary, j date, k timestamp, l timestamp_ntz, m array<int>, n array<array<int>>, o struct<x:int>, p map<string,int>";
    await d.land([[]], { ...KEYED, table: "public.t" }, { ddl });
    const columns =
      await d.db.query(`SELECT attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
      FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum`);
    expect(columns.flat()).toEqual([
      "id bigint NOT NULL",
      "a smallint",
      "b smallint",
      "c integer",
      "d real",
      "e double precision",
      "f numeric(12,3)",
      "g boolean",
      "h text",
      "i bytea",
      "j date",
      "k timestamp with time zone",
      "l timestamp without time zone",
      "m integer[]",
      "n jsonb",
      "o jsonb",
      "p jsonb",
    ]);
    expect(
      await d.db.query("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 't'::regclass"),
    ).toEqual([["PRIMARY KEY (id)"]]);
  });

  it("A batch writes values of all types without a change", async () => {
    const d = await desk();
    const ddl =
      "id bigint NOT NULL, d float, e double, f decimal(38,10), g boolean, h string, i binary, j date, k timestamp, l timestamp_ntz, m array<bigint>, n array<binary>, o struct<x:double,y:array<string>>, p map<string,double>";
    const text = "é'\"\\{},\t\n\u{1f600}";
    await d.land(
      [
        [
          {
            id: 2n ** 63n - 1n,
            d: 0.1,
            e: 0.1 + 0.2,
            f: "1234567890123456789012345678.0123456789",
            g: true,
            h: text,
            i: Buffer.from([0, 255, 92]),
            j: "0001-01-01",
            k: "2026-11-21T03:04:05.678901Z",
            l: "1969-12-31T23:59:59.999999",
            m: [1n, null, 2n ** 63n - 1n],
            n: [Buffer.from([1]), null],
            o: { x: Number.NaN, y: [text] },
            p: { a: -0, b: Number.POSITIVE_INFINITY },
          },
          {
            id: 1,
            d: Number.NaN,
            e: -0,
            f: null,
            g: false,
            h: "",
            i: Buffer.alloc(0),
            j: null,
            k: null,
            l: null,
            m: [],
            n: null,
            o: null,
            p: null,
          },
          {
            id: 0,
            d: Number.NEGATIVE_INFINITY,
            e: Number.POSITIVE_INFINITY,
            f: 0,
            g: null,
            h: null,
            i: null,
            j: null,
            k: null,
            l: null,
            m: null,
            n: null,
            o: null,
            p: {},
          },
        ],
      ],
      {},
      { ddl },
    );
    await d.db.query(`ALTER DATABASE ${d.db.name} SET TimeZone = 'UTC'`);
    expect(await d.db.query("SELECT * FROM t ORDER BY id DESC")).toEqual([
      [
        "9223372036854775807",
        "0.1",
        "0.30000000000000004",
        "1234567890123456789012345678.0123456789",
        "t",
        text,
        "\\x00ff5c",
        "0001-01-01",
        "2026-11-21 03:04:05.678901+00",
        "1969-12-31 23:59:59.999999",
        "{1,NULL,9223372036854775807}",
        '{"\\\\x01",NULL}',
        `{"x": "NaN", "y": [${JSON.stringify(text)}]}`,
        '{"a": "-0", "b": "Infinity"}',
      ],
      ["1", "NaN", "-0", null, "f", "", "\\x", null, null, null, "{}", null, null, null],
      [
        "0",
        "-Infinity",
        "Infinity",
        "0.0000000000",
        null,
        null,
        null,
        null,
        null,
        null,
        null,
        null,
        null,
        "{}",
      ],
    ]);
  });

  it("A batch is written to an existing table, which parses each value by the type of its column", async () => {
    const d = await desk();
    await d.db.query(`CREATE TYPE mood AS ENUM ('sad', 'happy');
      CREATE TABLE t (extra int DEFAULT 7, "Id" int PRIMARY KEY, doc jsonb, mood mood, uuid uuid, tags text[], amount numeric, short varchar(3))`);
    const ddl = "Id bigint, doc string, mood string, uuid string, tags string, amount string, short string";
    const uuid = "00000000-0000-4000-8000-00000000000a";
    await d.land(
      [[[1, '{"a":[1]}', "happy", uuid, "{a,NULL}", "1.50", "abc"]]],
      { keyColumns: ["Id"] },
      { ddl },
    );
    expect(await d.db.query("SELECT * FROM t")).toEqual([
      ["7", "1", '{"a": [1]}', "happy", uuid, "{a,NULL}", "1.50", "abc"],
    ]);
  });

  it("A batch without key columns appends in the order of partitions and rows", async () => {
    const d = await desk();
    await d.land([[row(3), row(1)], [row(1)]]);
    await d.land([[row(1)]], {}, { batchId: 1 });
    expect(await d.db.query("SELECT id FROM t ORDER BY ctid")).toEqual([["3"], ["1"], ["1"], ["1"]]);
  });

  it("A batch with more rows than one message holds is written completely", async () => {
    const d = await desk();
    const rows = Array.from({ length: 12_345 }, (_, n) => row(n, "w".repeat(700)));
    await d.land([rows.slice(0, 7000), rows.slice(7000)], KEYED);
    expect(await d.db.query("SELECT count(*), count(DISTINCT id), min(length(word)) FROM t")).toEqual([
      ["12345", "12345", "700"],
    ]);
  });

  it("A batch without rows is recorded as a batch, too", async () => {
    const d = await desk();
    const writer = await d.writer();
    await writer.commit([null, await d.stage(writer, [])], 0, d.context());
    expect(await writer.hasCommitted(0, d.context())).toBe(true);
    expect(await rowsOf(d)).toEqual([]);
  });
});

describe("an upsert", () => {
  it("An upsert updates existing rows, adds new ones and leaves other columns alone", async () => {
    const d = await desk();
    await d.db.query(
      "CREATE TABLE t (id int PRIMARY KEY, word text, kept text DEFAULT 'new'); INSERT INTO t VALUES (1, 'a', 'old'), (2, 'b', 'old')",
    );
    await d.land([[row(2, "B"), row(3, "C")]], KEYED);
    expect(await d.db.query("SELECT * FROM t ORDER BY id")).toEqual([
      ["1", "a", "old"],
      ["2", "B", "old"],
      ["3", "C", "new"],
    ]);
  });

  it("An upsert of several rows with one key keeps the last, in the order of partitions and rows", async () => {
    const d = await desk();
    const many = Array.from({ length: 6000 }, (_, n) => row(n % 5000, String(n)));
    await d.land([[row(1, "a"), row(2, "b"), row(1, "c")], [row(2, "d")]], KEYED);
    expect(await rowsOf(d)).toEqual([
      ["1", "c"],
      ["2", "d"],
    ]);
    await d.land([many], KEYED, { batchId: 1 });
    expect(await d.db.query("SELECT count(*), min(word::int), max(word::int) FROM t")).toEqual([
      ["5000", "1000", "5999"],
    ]);
  });

  it("An upsert treats keys as equal if the table's own index does", async () => {
    const d = await desk();
    await d.db.query("CREATE TABLE t (id numeric, word text, UNIQUE (id, word))");
    const options = { keyColumns: ["word", "id"] };
    await d.land(
      [
        [
          ["1.0", "a"],
          ["1.00", "a"],
          ["1", "b"],
        ],
      ],
      options,
      { ddl: "id string, word string" },
    );
    expect(await d.db.query("SELECT word FROM t ORDER BY word")).toEqual([["a"], ["b"]]);
  });

  it("An upsert refuses a null in the key when the row is written, before the commit", async () => {
    const d = await desk();
    const writer = await d.writer(KEYED, "id bigint, word string");
    await expect(
      d.stage(writer, [row(1), { id: null, word: "a" }], "id bigint, word string"),
    ).rejects.toMatchObject({
      code: "ROW_MISMATCH",
      where: { field: "id" },
    });
    expect(filesBelow(d.folder)).toEqual([]);
  });

  it("An upsert needs an index on exactly its key, and fields that exist", async () => {
    const d = await desk();
    await d.db.query("CREATE TABLE t (id int, word text)");
    await expect(d.land([[row(1)]], KEYED)).rejects.toMatchObject({
      code: "POSTGRES_FAILED",
      message: expect.stringContaining("42P10") as string,
      hint: expect.stringContaining("unique index") as string,
    });
    await expect(d.land([[row(1)]], { keyColumns: ["ID"] })).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
      message: expect.stringContaining("did you mean id?") as string,
    });
    await expect(d.land([[{ other: 1 }]], {}, { ddl: "other int" })).rejects.toMatchObject({
      code: "POSTGRES_TABLE_MISMATCH",
    });
  });
});

describe("a batch that overwrites", () => {
  it("A batch that overwrites replaces all rows, once", async () => {
    const d = await desk();
    await d.land([[row(1), row(2)]]);
    const overwriting = await d.writer({}, undefined, true);
    const messages = [await d.stage(overwriting, [row(3)], undefined, { batchId: 1 })];
    const context = d.context({ batchId: 1 });
    await overwriting.commit(messages, 1, context);
    await overwriting.commit(messages, 1, context);
    await d.land([[row(4)]], {}, { batchId: 2 });
    await expect(overwriting.commit(messages, 1, context)).rejects.toMatchObject({
      code: "LEDGER_BEHIND_SINK",
    });
    expect((await rowsOf(d)).map(([id]) => id)).toEqual(["3", "4"]);
  });

  it("A batch that overwrites and fails leaves the rows that were there", async () => {
    const d = await desk();
    await d.db.query("CREATE TABLE t (id int CHECK (id < 3), word text)");
    await d.land([[row(1), row(2)]]);
    await expect(d.land([[row(3)]], {}, { batchId: 1, overwrite: true })).rejects.toMatchObject({
      code: "POSTGRES_FAILED",
    });
    expect(await rowsOf(d)).toHaveLength(2);
  });

  it("A batch that overwrites knows whether its table exists", async () => {
    const d = await desk();
    expect(await (await d.writer()).exists()).toBe(false);
    await d.land([[]]);
    expect(await (await d.writer()).exists()).toBe(true);
  });
});
