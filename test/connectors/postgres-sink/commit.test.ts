import { connect, createServer, type Server as NetServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { Postgres } from "../../../shared/connectors/postgres/index.ts";
import { checkSink } from "../../../shared/testing/index.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { Desk } from "../../postgres/desk.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { planOf } from "../../support/batch-context.ts";
import { filesBelow } from "../../support/process.ts";
import { KEYED, row, rowsOf } from "./words.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

const desk = () => Desk.open(server);

/**
 * Starts a proxy that breaks each connection at a statement that begins with `text`, before or
 * after the server has executed the statement.
 */
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
    // The client never receives the answer, because the proxy drops it.
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

describe("a commit", () => {
  it("A commit that is called again changes nothing, also if its files are gone", async () => {
    const d = await desk();
    const writer = await d.writer();
    const messages = [await d.stage(writer, [row(1)])];
    for (let call = 0; call < 2; call++) await (await d.writer()).commit(messages, 0, d.context());
    expect(await rowsOf(d)).toEqual([["1", "w"]]);
    expect(filesBelow(d.folder)).toEqual([]);
  });

  it("A commit that several processes call at once takes effect once", async () => {
    const d = await desk();
    const writer = await d.writer();
    const messages = [await d.stage(writer, [row(1), row(2)])];
    await Promise.all(
      Array.from({ length: 6 }, async () => (await d.writer()).commit(messages, 0, d.context())),
    );
    expect(await rowsOf(d)).toHaveLength(2);
  });

  it("A commit of a process that slept through later batches changes nothing", async () => {
    const d = await desk();
    const late = await d.stage(await d.writer(), [row(1, "late")]);
    await d.land([[row(1, "new")]], {}, { batchId: 0, attempt: 2 });
    await d.land([[row(2, "newer")]], {}, { batchId: 1 });
    await expect((await d.writer()).commit([late], 0, d.context())).rejects.toMatchObject({
      code: "LEDGER_BEHIND_SINK",
      retryable: false,
    });
    expect(await rowsOf(d)).toEqual([
      ["1", "new"],
      ["2", "newer"],
    ]);
  });

  it("A commit counts from batch 0 for each pipeline, and for an incarnation that follows the old one", async () => {
    const d = await desk();
    await d.land([[row(1)]]);
    await d.land([[row(1)]], {}, { pipeline: "other" });
    const follows = { incarnation: "life-1", batchId: 0, planId: planOf(0) };
    await d.land([[row(1)]], {}, { incarnation: "life-2", follows, formerIncarnations: ["life-1"] });
    expect(await rowsOf(d)).toHaveLength(3);
    expect(
      await d.db.query("SELECT pipeline, incarnation, batch_id FROM millrace_batches ORDER BY 1, 2"),
    ).toEqual([
      ["orders", "life-1", "0"],
      ["orders", "life-2", "0"],
      ["other", "life-1", "0"],
    ]);
  });

  it("A failed commit writes nothing, and the batch can be committed when the cause is gone", async () => {
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
    "A commit whose answer is lost, %s it took effect, is tried again and takes effect once",
    async (when) => {
      const d = await desk();
      const writer = await d.writer();
      const messages = [await d.stage(writer, [row(1)])];
      const { env } = d;
      d.env = { ...env, PGPORT: String(await breakingAt(server.port, "COMMIT\0", when)) };
      // The table is created before the test, because its creation is a transaction too.
      await d.db.query(
        `CREATE TABLE millrace_batches (pipeline text, incarnation text, batch_id bigint NOT NULL,
          committed_at timestamptz NOT NULL DEFAULT now(), format integer NOT NULL, sequence bigint NOT NULL DEFAULT 0,
          plan_id text, start_offset text, end_offset text, refused text, PRIMARY KEY (pipeline, incarnation))`,
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

  it("A commit whose session the server ends is tried again", async () => {
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

  it("A commit that loses a deadlock is tried again", async () => {
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

  it.each([
    ["another plan", { planId: "other" }],
    ["another incarnation", { incarnation: "life-2" }],
  ])("A commit of %s that runs at the same time waits, and is then refused", async (_what, fields) => {
    const d = await desk();
    await d.db.query("CREATE TABLE t (id bigint NOT NULL, word text)");
    // The table of batches is created before, because each commit needs it.
    await d.land([], {}, { pipeline: "other" });
    const locking = await d.session();
    await locking.query("BEGIN; LOCK TABLE t IN SHARE MODE");
    const waiting =
      "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'millrace' AND wait_event_type = 'Lock'";
    const commits: Promise<unknown>[] = [];
    for (const [n, context] of [{}, fields].entries()) {
      commits.push(
        d.land([[row(n)]], {}, context).then(
          () => "committed",
          (error: { code: string }) => error.code,
        ),
      );
      await expect.poll(async () => (await d.db.query(waiting))[0]?.[0]).toBe(String(n + 1));
    }
    await locking.query("ROLLBACK");
    expect(await Promise.all(commits)).toEqual(["committed", "LEDGER_BEHIND_SINK"]);
    expect(await rowsOf(d)).toEqual([["0", "w"]]);
  });

  it("Commits of many pipelines at once create missing tables once", async () => {
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

  it.each([
    ["word string", "a\0b"],
    ["word array<string>", ["a", "b\0"]],
    ["word struct<x: string>", { x: "\0" }],
    ["word map<string,int>", new Map([["\0", 1]])],
  ])(
    "A text that PostgreSQL cannot hold is refused before the commit, with its row: %s",
    async (ddl, word) => {
      const d = await desk();
      const schema = `id bigint NOT NULL, ${ddl}`;
      const writer = await d.writer({}, schema);
      const rows = [
        { id: 1, word: null },
        { id: 2, word },
      ];
      await expect(d.stage(writer, rows, schema)).rejects.toMatchObject({
        code: "ROW_MISMATCH",
        message:
          'row 2, field "word": expected a text that PostgreSQL can store, found a character with the code 0',
        where: { row: 2, field: "word" },
      });
    },
  );

  it("A commit says which escaped text PostgreSQL cannot hold", async () => {
    const d = await desk();
    await d.db.query("CREATE TABLE t (id bigint, word jsonb)");
    await expect(d.land([[row(1, '"\\u0000"')]])).rejects.toMatchObject({
      code: "POSTGRES_FAILED",
      hint: expect.stringContaining("code 0") as string,
    });
  });

  it("A commit records batches in the table that the option names", async () => {
    const d = await desk();
    await d.land([[row(1)]], { batchesTable: 'public."My batches"' });
    expect(await d.db.query('SELECT batch_id FROM "My batches"')).toEqual([["0"]]);
  });

  it("A commit needs no right to create tables that exist", async () => {
    const d = await desk();
    await d.land([[row(1)]], KEYED);
    await d.db.query(`CREATE ROLE writer_${d.db.name} LOGIN PASSWORD 'x';
      GRANT SELECT, INSERT, UPDATE ON t, millrace_batches TO writer_${d.db.name}`);
    d.env = { ...d.env, PGUSER: `writer_${d.db.name}`, PGPASSWORD: "x" };
    await d.land([[row(1, "again")]], KEYED, { batchId: 1 });
    expect(await rowsOf(d)).toEqual([["1", "again"]]);
  });
});

describe("staged rows", () => {
  it("An abort deletes the staged rows, and keeps them once a commit was tried", async () => {
    const d = await desk();
    const writer = await d.writer();
    const messages = [await d.stage(writer, [row(1)]), null];
    await writer.abort(messages, 0, d.context({ commitTried: true }));
    expect(filesBelow(d.folder)).toHaveLength(1);
    await writer.abort(messages, 0, d.context());
    expect(filesBelow(d.folder)).toEqual([]);
  });

  it("A sink deletes staged rows if another attempt of the task won, or if the source fails", async () => {
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

  it("A commit whose staged rows are lost is an error that leaves the batch as it is", async () => {
    const d = await desk();
    const writer = await d.writer();
    const message = await d.stage(writer, [row(1)]);
    await writer.abort([message], 0, d.context());
    await expect(writer.commit([message], 0, d.context())).rejects.toMatchObject({
      code: "STAGED_FILE_MISSING",
    });
    expect(await writer.hasCommitted(0, d.context())).toBe(false);
  });

  it("A vacuum removes staged rows as soon as no batch can need them, and no earlier", async () => {
    const d = await desk();
    const writer = await d.writer();
    await d.land([[row(1)]]);
    const stage = (batchId: number, attempt: number) =>
      d.stage(writer, [row(2)], undefined, { batchId, attempt });
    await stage(0, 1); // a batch that is committed
    await stage(1, 1); // an earlier attempt of the open batch
    await stage(1, 2); // the last attempt whose commit was tried
    await stage(1, 3); // the current attempt
    await stage(2, 1); // a batch that the table does not know
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

describe("the sink", () => {
  const readBack = (d: Desk) => async () => {
    const [[count] = []] = await d.db.query("SELECT count(*) FROM t").catch(() => [["0"]]);
    return Number(count);
  };

  it("The sink has none of the known traps when it appends", async () => {
    const d = await desk();
    const { notChecked } = await checkSink(Postgres, {
      options: { table: "t" },
      env: d.env,
      readBack: readBack(d),
    });
    expect(notChecked).toEqual([]);
  });

  it("The sink has none of the known traps when it upserts", async () => {
    const d = await desk();
    const writer = () => d.writer(KEYED, "id bigint NOT NULL, name string");
    expect((await checkSink(writer, { readBack: readBack(d) })).notChecked).toEqual([]);
  });
});
