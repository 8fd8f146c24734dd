import { connect, createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { PostgresOptions } from "../../../shared/connectors/postgres/index.ts";
import type { MillraceError } from "../../../shared/contract/errors.ts";
import { PASSWORD, type PostgresServer } from "../../postgres/databases.ts";
import { Desk } from "../../postgres/desk.ts";
import { borrowPostgres } from "../../postgres/shared.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

describe("a connection", () => {
  async function failing(
    options: Partial<PostgresOptions>,
    env: Record<string, string> = {},
  ): Promise<MillraceError> {
    const d = await Desk.open(server);
    await d.db.query("CREATE TABLE t (id int)");
    d.env = { ...d.db.env, ...env };
    const source = await d.source({ table: "t", ...options });
    return (await source.schema().then(
      () => new Error("it worked"),
      (error: unknown) => error,
    )) as MillraceError;
  }
  const working = async (options: (d: Desk) => Partial<PostgresOptions>, env: Record<string, string>) => {
    const d = await Desk.open(server);
    await d.db.query("CREATE TABLE t (id int)");
    d.env = env;
    return (await (await d.source({ table: "t", ...options(d) })).schema()).fields.length;
  };

  it("A connection is made from environment variables, from options or from a URL", async () => {
    const url = ({ db }: Desk) => `postgres://postgres@127.0.0.1:${server.port}/${db.name}`;
    expect(await working((d) => ({ connection: d.db.connection }), { PGPASSWORD: PASSWORD })).toBe(1);
    expect(
      await working((d) => ({ connection: d.db.connection, password: { env: "MINE" } }), {
        MINE: PASSWORD,
        PGPASSWORD: "x",
      }),
    ).toBe(1);
    expect(await working((d) => ({ url: url(d) }), { PGPASSWORD: PASSWORD })).toBe(1);
    expect(
      await working((d) => ({ url: url(d).replace("@", `:${encodeURIComponent(PASSWORD)}@`) }), {}),
    ).toBe(1);
    const d = await Desk.open(server);
    await d.db.query("CREATE TABLE t (id int)");
    d.env = { DATABASE_URL: url(d), PGPASSWORD: PASSWORD };
    expect(
      (await (await d.source({ table: "t", url: { env: "DATABASE_URL" } })).schema()).fields,
    ).toHaveLength(1);
  });

  it("A connection with a wrong password fails once, with an error that does not show the password", async () => {
    const error = await failing({}, { PGPASSWORD: "wrong secret" });
    expect(error).toMatchObject({ code: "POSTGRES_FAILED", retryable: false });
    expect(error.message).toContain('password authentication failed for user "postgres"');
    expect(error.hint).toContain("PGPASSWORD");
    expect(error.where.url).toMatch(/^postgres:\/\/127\.0\.0\.1:\d+\/test_[0-9a-f]+$/);
    expect(JSON.stringify(error)).not.toContain("wrong secret");
  });

  it("A connection to a missing server is tried again, and its error hides the password of the URL", async () => {
    const error = await failing({ url: "postgres://me:wrong-secret@127.0.0.1:1/db" });
    expect(error).toMatchObject({
      code: "POSTGRES_FAILED",
      retryable: true,
      where: { url: "postgres://127.0.0.1:1/db" },
    });
    expect(`${error.message} ${error.hint} ${JSON.stringify(error)}`).not.toContain("wrong-secret");
  });

  it("A connection that breaks is made again, with growing waits", async () => {
    const d = await Desk.open(server);
    await d.db.query("CREATE TABLE t (id int)");
    let connections = 0;
    const breaking = createServer((socket) => {
      if (++connections < 3) return void socket.end();
      const behind = connect(server.port, "127.0.0.1");
      socket.pipe(behind).pipe(socket);
      for (const end of [socket, behind]) end.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => breaking.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void breaking.close());
    const { port } = breaking.address() as { port: number };
    d.env = { ...d.db.env, PGPORT: String(port) };
    expect((await (await d.source({ table: "t" })).schema()).fields).toHaveLength(1);
    expect([connections, d.sleeps]).toEqual([3, 2]);
  });

  it("A task whose connection breaks is tried again", async () => {
    const breaking = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => breaking.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void breaking.close());
    const { port } = breaking.address() as { port: number };
    expect(await failing({}, { PGPORT: String(port) })).toMatchObject({
      code: "POSTGRES_FAILED",
      retryable: true,
    });
  });

  it("The error of a connection names the environment variable that is not set", async () => {
    expect(await failing({ password: { env: "NO_SUCH_SECRET" } })).toMatchObject({
      code: "SECRET_MISSING",
      message: "the environment variable NO_SUCH_SECRET is not set",
    });
    expect(await failing({ url: { env: "NOT_A_URL" } }, { NOT_A_URL: "secret, and no URL" })).toMatchObject({
      code: "SECRET_INVALID",
      message: "the URL of the PostgreSQL server is none",
    });
  });

  it("A connection to a server without encryption fails if the options ask for encryption", async () => {
    expect(await failing({ connection: { ssl: true } })).toMatchObject({
      code: "POSTGRES_FAILED",
      retryable: false,
    });
  });

  it("The error of a connection names a missing right", async () => {
    const d = await Desk.open(server);
    await d.db.query(`CREATE TABLE t (id int); CREATE ROLE nobody_${d.db.name} LOGIN PASSWORD 'x'`);
    d.env = { ...d.db.env, PGUSER: `nobody_${d.db.name}`, PGPASSWORD: "x" };
    const reader = await d.reader();
    await expect(d.rows({}, reader.read({ after: null, upTo: null }, d.task()))).rejects.toMatchObject({
      code: "POSTGRES_FAILED",
      message: expect.stringContaining("permission denied for table t") as string,
      retryable: false,
    });
  });
});
