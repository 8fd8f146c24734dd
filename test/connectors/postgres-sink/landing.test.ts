import { connect, createServer, type Server as NetServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { Postgres } from "../../../shared/connectors/postgres/index.ts";
import type { Row } from "../../../shared/contract/stream-reader.ts";
import { checkSink } from "../../../shared/testing/index.ts";
import { Desk } from "../../postgres/desk.ts";
import { type PostgresServer, startPostgres } from "../../postgres/server.ts";
import { filesBelow } from "../../support/process.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const desk = () => Desk.open(server);
const KEYED = { keyColumns: ["id"] };
const row = (id: number, word: string | null = "w"): Row => ({ id, word });
const rowsOf = async (d: Desk) => await d.db.query("SELECT id, word FROM t ORDER BY id, word");

/** A server in between that breaks each connection where a statement begins with `text`: before it, or after it was done. */
async function breakingAt(port: number, text: string, when: "before" | "after"): Promise<number> {
  const between: NetServer = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    let isDoomed = false;
    client.on("data", (data) => {
      const isIt = data.includes(text);
      if (isIt && when === "before") {
        upstream.destroy();
        client.destroy();
        return;
      }
      isDoomed ||= isIt;
      upstream.write(data);
    });
    // The answer is kept: whoever asked never hears of it.
    upstream.on("data", (data) => (isDoomed ? client.destroy() : client.write(data)));
    for (const socket of [client, upstream]) {
      socket.on("error", () => undefined);
      socket.on("close", () => (socket === client ? upstream : client).end());
    }
  });
  await new Promise<void>((resolve) => between.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void between.close());
  return (between.address() as { port: number }).port;
}

describe("a batch", () => {
  it("makes the table, with the key as its primary key", async () => {
    const d = await desk();
    const ddl =
      "id bigint NOT NULL, a tinyint, b smallint, c int, d float, e double, f decimal(12,3), g boolean, h string, i binary, j date, k timestamp, l timestamp_ntz, m array<int>, n array<array<int>>, o struct<x:int>, p map<string,int>";
    await d.land([], { ...KEYED, table: "public.t" }, { ddl });
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

  it("lands values of all types as they are", async () => {
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

  it("lands in a table that is there, each value read by its column's own type", async () => {
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

  it("appends without key columns, in the order of partitions and rows", async () => {
    const d = await desk();
    await d.land([[row(3), row(1)], [row(1)]]);
    await d.land([[row(1)]], {}, { batchId: 1 });
    expect(await d.db.query("SELECT id FROM t ORDER BY ctid")).toEqual([["3"], ["1"], ["1"], ["1"]]);
  });

  it("of more rows than are sent at once lands whole", async () => {
    const d = await desk();
    const rows = Array.from({ length: 12_345 }, (_, n) => row(n, "w".repeat(700)));
    await d.land([rows.slice(0, 7000), rows.slice(7000)], KEYED);
    expect(await d.db.query("SELECT count(*), count(DISTINCT id), min(length(word)) FROM t")).toEqual([
      ["12345", "12345", "700"],
    ]);
  });

  it("without rows is a batch all the same", async () => {
    const d = await desk();
    const writer = await d.writer();
    await writer.commit([null, await d.stage(writer, [])], 0, d.context());
    expect(await writer.hasCommitted(0, d.context())).toBe(true);
    expect(await rowsOf(d)).toEqual([]);
  });
});

describe("an upsert", () => {
  it("updates what is there, adds what is not, and leaves other columns alone", async () => {
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

  it("of several rows of one key keeps the last, in the order of partitions and rows", async () => {
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

  it("takes keys for equal that the table's own index does", async () => {
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

  it("refuses a null in the key where the row is written, before the commit", async () => {
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

  it("needs an index of its key, and fields that are there", async () => {
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

describe("a commit", () => {
  it("that is called again changes nothing, also where its files are gone", async () => {
    const d = await desk();
    const writer = await d.writer();
    const messages = [await d.stage(writer, [row(1)])];
    for (let call = 0; call < 2; call++) await (await d.writer()).commit(messages, 0, d.context());
    expect(await rowsOf(d)).toEqual([["1", "w"]]);
    expect(filesBelow(d.folder)).toEqual([]);
  });

  it("that is called by several at once lands once", async () => {
    const d = await desk();
    const writer = await d.writer();
    const messages = [await d.stage(writer, [row(1), row(2)])];
    await Promise.all(
      Array.from({ length: 6 }, async () => (await d.writer()).commit(messages, 0, d.context())),
    );
    expect(await rowsOf(d)).toHaveLength(2);
  });

  it("of a process that slept through later batches changes nothing", async () => {
    const d = await desk();
    const late = await d.stage(await d.writer(), [row(1, "late")]);
    await d.land([[row(1, "new")]], {}, { batchId: 0, attempt: 2 });
    await d.land([[row(2, "newer")]], {}, { batchId: 1 });
    await (await d.writer()).commit([late], 0, d.context());
    expect(await rowsOf(d)).toEqual([
      ["1", "new"],
      ["2", "newer"],
    ]);
  });

  it("of another incarnation or pipeline counts from batch 0 again", async () => {
    const d = await desk();
    for (const owner of [{}, { incarnation: "life-2" }, { pipeline: "other" }])
      await d.land([[row(1)]], {}, owner);
    expect(await rowsOf(d)).toHaveLength(3);
    expect(
      await d.db.query("SELECT pipeline, incarnation, batch_id FROM millrace_batches ORDER BY 1, 2"),
    ).toEqual([
      ["orders", "life-1", "0"],
      ["orders", "life-2", "0"],
      ["other", "life-1", "0"],
    ]);
  });

  it("that fails leaves nothing, and the same batch lands once the reason is gone", async () => {
    const d = await desk();
    await d.db.query("CREATE TABLE t (id int, word text CHECK (word <> 'secret row'))");
    const writer = await d.writer();
    const messages = [await d.stage(writer, [row(1)]), await d.stage(writer, [row(2, "secret row")])];
    const error = await writer.commit(messages, 0, d.context()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "POSTGRES_FAILED", retryable: false });
    expect(JSON.stringify(error) + (error as Error).message).not.toContain("secret row");
    expect((error as Error).message).toContain("constraint t_word_check");
    expect(await rowsOf(d)).toEqual([]);
    expect(await writer.hasCommitted(0, d.context())).toBe(false);
    await d.db.query("ALTER TABLE t DROP CONSTRAINT t_word_check");
    await (await d.writer()).commit(messages, 0, d.context());
    expect(await rowsOf(d)).toHaveLength(2);
  });

  it.each(["before", "after"] as const)(
    "whose answer is lost, %s it took effect, is tried again and lands once",
    async (when) => {
      const d = await desk();
      const writer = await d.writer();
      const messages = [await d.stage(writer, [row(1)])];
      const { env } = d;
      d.env = { ...env, PGPORT: String(await breakingAt(server.port, "COMMIT\0", when)) };
      // Made beforehand, for that is a transaction, too.
      await d.db.query(
        "CREATE TABLE millrace_batches (pipeline text, incarnation text, batch_id bigint NOT NULL, committed_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (pipeline, incarnation))",
      );
      await expect((await d.writer()).commit(messages, 0, d.context())).rejects.toMatchObject({
        code: "POSTGRES_FAILED",
        retryable: true,
      });
      d.env = env;
      expect(await (await d.writer()).hasCommitted(0, d.context())).toBe(when === "after");
      await (await d.writer()).commit(messages, 0, d.context());
      expect(await rowsOf(d)).toEqual([["1", "w"]]);
    },
  );

  it("whose session the server ends is tried again", async () => {
    const d = await desk();
    await d.db.query(`CREATE TABLE t (id int, word text);
      CREATE FUNCTION quit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
      CREATE TRIGGER quit BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.word = 'quit') EXECUTE FUNCTION quit()`);
    const writer = await d.writer();
    const messages = [await d.stage(writer, [row(1), row(2, "quit")])];
    await expect(writer.commit(messages, 0, d.context())).rejects.toMatchObject({ retryable: true });
    await d.db.query("DROP TRIGGER quit ON t");
    await writer.commit(messages, 0, d.context());
    expect(await rowsOf(d)).toHaveLength(2);
  });

  it("that loses a deadlock is tried again", async () => {
    const d = await desk();
    await d.land([[row(1), row(2)]], KEYED);
    const writer = await d.writer(KEYED);
    const messages = [await d.stage(writer, [row(2, "mine"), row(1, "mine")])];
    const other = await d.session();
    await other.query("SET deadlock_timeout = '1h'; BEGIN; UPDATE t SET word = 'theirs' WHERE id = 2");
    const committed = writer.commit(messages, 1, d.context({ batchId: 1 })).then(
      () => undefined,
      (error: unknown) => error,
    );
    const waiting =
      "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'millrace' AND wait_event_type = 'Lock'";
    await expect.poll(async () => (await d.db.query(waiting))[0]?.[0], { timeout: 30_000 }).toBe("1");
    await other.query("UPDATE t SET word = 'theirs' WHERE id = 1");
    await other.query("COMMIT");
    expect(await committed).toMatchObject({
      message: expect.stringContaining("40P01") as string,
      retryable: true,
    });
    await (await d.writer(KEYED)).commit(messages, 1, d.context({ batchId: 1 }));
    expect(await rowsOf(d)).toEqual([
      ["1", "mine"],
      ["2", "mine"],
    ]);
  });

  it("of many pipelines at once, where no table is there yet, makes them once", async () => {
    const d = await desk();
    await d.db.query("CREATE SCHEMA s");
    await Promise.all(
      Array.from({ length: 6 }, (_, n) =>
        d.land([[row(n)]], { ...KEYED, table: "s.t" }, { pipeline: `p${n}` }),
      ),
    );
    expect(await d.db.query("SELECT count(*) FROM s.t")).toEqual([["6"]]);
    expect(await d.db.query("SELECT count(*) FROM s.millrace_batches")).toEqual([["6"]]);
  });

  it("says where text has what PostgreSQL cannot hold", async () => {
    const d = await desk();
    await expect(d.land([[row(1, "a\0b")]])).rejects.toMatchObject({
      code: "POSTGRES_FAILED",
      hint: expect.stringContaining("code 0") as string,
    });
  });

  it("records batches in the table that is named", async () => {
    const d = await desk();
    await d.land([[row(1)]], { batchesTable: 'public."My batches"' });
    expect(await d.db.query('SELECT batch_id FROM "My batches"')).toEqual([["0"]]);
  });

  it("needs no right to make tables that are there", async () => {
    const d = await desk();
    await d.land([[row(1)]], KEYED);
    await d.db.query(`CREATE ROLE writer_${d.db.name} LOGIN PASSWORD 'x';
      GRANT SELECT, INSERT, UPDATE ON t, millrace_batches TO writer_${d.db.name}`);
    d.env = { ...d.env, PGUSER: `writer_${d.db.name}`, PGPASSWORD: "x" };
    await d.land([[row(1, "again")]], KEYED, { batchId: 1 });
    expect(await rowsOf(d)).toEqual([["1", "again"]]);
  });
});

describe("what was staged", () => {
  it("is deleted by abort, and kept once a commit was tried", async () => {
    const d = await desk();
    const writer = await d.writer();
    const messages = [await d.stage(writer, [row(1)]), null];
    await writer.abort(messages, 0, d.context({ commitTried: true }));
    expect(filesBelow(d.folder)).toHaveLength(1);
    await writer.abort(messages, 0, d.context());
    expect(filesBelow(d.folder)).toEqual([]);
  });

  it("is deleted where another attempt of its task won, and where the source fails", async () => {
    const d = await desk();
    const writer = await d.writer();
    await writer.abortTask(await d.stage(writer, [row(1)]), d.task());
    async function* failing(): AsyncGenerator<never> {
      yield* [];
      throw new Error("the source is ill");
    }
    await expect(writer.write(failing(), d.task())).rejects.toThrow("the source is ill");
    expect(filesBelow(d.folder)).toEqual([]);
  });

  it("and was lost is an error that leaves the batch as it is", async () => {
    const d = await desk();
    const writer = await d.writer();
    const message = await d.stage(writer, [row(1)]);
    await writer.abort([message], 0, d.context());
    await expect(writer.commit([message], 0, d.context())).rejects.toMatchObject({
      code: "STAGED_FILE_MISSING",
    });
    expect(await writer.hasCommitted(0, d.context())).toBe(false);
  });

  it("is removed by vacuum once nothing can ask for it, and no earlier", async () => {
    const d = await desk();
    const writer = await d.writer();
    await d.land([[row(1)]]);
    const stage = (batchId: number, attempt: number) =>
      d.stage(writer, [row(2)], undefined, { batchId, attempt });
    await stage(0, 1); // of a batch that has landed
    await stage(1, 1); // of an attempt that is over and was never committed
    await stage(1, 2); // of one whose commit was tried
    await stage(1, 3); // of the one that is open
    await stage(2, 1); // of one that the table does not know
    const open = { batchId: 1, attempt: 3, aborted: false, lastTriedAttempt: 2 };
    const kept = async () =>
      filesBelow(d.folder).map((file) => /0{11}(\d)-0{6}-(\d)/.exec(file)?.slice(1).join("."));
    const context = (readOpenBatch: typeof open | undefined) =>
      d.vacuumContext({ readOpenBatch: async () => readOpenBatch });
    expect(await writer.vacuum({ ...context(open), dryRun: true })).toMatchObject({ files: 1 });
    expect(await writer.vacuum({ ...context(open), olderThan: 3_600_000 })).toMatchObject({ files: 0 });
    expect(await kept()).toHaveLength(5);
    expect(await writer.vacuum(context({ ...open, lastTriedAttempt: 0 }))).toMatchObject({ files: 3 });
    expect(await kept()).toEqual(["1.3", "2.1"]);
  });
});

describe("a batch that overwrites", () => {
  it("takes the place of all rows, once", async () => {
    const d = await desk();
    await d.land([[row(1), row(2)]]);
    const overwriting = await d.writer({}, undefined, true);
    const messages = [await d.stage(overwriting, [row(3)], undefined, { batchId: 1 })];
    const context = d.context({ batchId: 1 });
    await overwriting.commit(messages, 1, context);
    await d.land([[row(4)]], {}, { batchId: 2 });
    await overwriting.commit(messages, 1, context);
    expect((await rowsOf(d)).map(([id]) => id)).toEqual(["3", "4"]);
  });

  it("that fails leaves what was there", async () => {
    const d = await desk();
    await d.db.query("CREATE TABLE t (id int CHECK (id < 3), word text)");
    await d.land([[row(1), row(2)]]);
    await expect(d.land([[row(3)]], {}, { batchId: 1, overwrite: true })).rejects.toMatchObject({
      code: "POSTGRES_FAILED",
    });
    expect(await rowsOf(d)).toHaveLength(2);
  });

  it("knows whether its table is there", async () => {
    const d = await desk();
    expect(await (await d.writer()).exists()).toBe(false);
    await d.land([]);
    expect(await (await d.writer()).exists()).toBe(true);
  });
});

describe("the sink", () => {
  const readBack = (d: Desk) => async () => {
    const [[count] = []] = await d.db.query("SELECT count(*) FROM t").catch(() => [["0"]]);
    return Number(count);
  };

  it("has none of the known traps where it appends", async () => {
    const d = await desk();
    const { notChecked } = await checkSink(Postgres, {
      options: { table: "t" },
      env: d.env,
      readBack: readBack(d),
    });
    expect(notChecked).toEqual([]);
  });

  it("has none of the known traps where it upserts", async () => {
    const d = await desk();
    const writer = () => d.writer(KEYED, "id bigint NOT NULL, name string");
    expect((await checkSink(writer, { readBack: readBack(d) })).notChecked).toEqual([]);
  });
});
