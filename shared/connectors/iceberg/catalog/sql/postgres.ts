import type { Runtime } from "../../../../contract/context.ts";
import { MillraceError } from "../../../../contract/errors.ts";
import { loadDriver, Server } from "../../../kit/postgres/connection.ts";
import { stateOf } from "../../../kit/postgres/errors.ts";
import type { ServerOptions } from "../../../kit/postgres/server-options.ts";
import type { Session } from "../../../kit/postgres/session.ts";
import { CONNECTOR } from "../rest/auth.ts";
import type { SqlDatabase, SqlRow, SqlSession } from "./database.ts";

/** A transaction of the catalog is never idle: it waits for no file. */
const IDLE_SECONDS = 60;

/** SQLSTATEs of locks that another session holds, of serialization failures, and of deadlocks. */
const CONTENTION = /^(?:40|55P03)/;
/** SQLSTATEs of two sessions that create a table at once: both see that it is absent. */
const CREATED_AT_ONCE = /^(?:23505|42P07)/;
/** SQLSTATEs of a wrong password, and of missing rights. */
const DENIED = /^(?:28|42501)/;

/** Loads the package that this catalog needs. Error: `DEPENDENCY_MISSING`. */
export async function loadPostgres(): Promise<void> {
  await loadDriver();
}

/**
 * A SQL catalog in PostgreSQL. Each call has a connection of its own: on AWS a function may stand
 * still between two calls, and its connection would be lost.
 */
export class PostgresDatabase implements SqlDatabase {
  readonly place: string;
  readonly #server: Server;

  constructor(options: Omit<ServerOptions, "idleSeconds">, runtime: Runtime) {
    this.#server = new Server(CONNECTOR, { ...options, idleSeconds: IDLE_SECONDS }, runtime);
    this.place = placeOf(options, runtime.env);
  }

  async read<T>(body: (session: SqlSession) => Promise<T>): Promise<T | undefined> {
    return await this.#transaction("READ ONLY", body);
  }

  async write<T>(body: (session: SqlSession) => Promise<T>): Promise<T> {
    try {
      return await this.#transaction("READ WRITE", body);
    } catch (error) {
      // Now the table is there, so that it is not created again.
      if (!CREATED_AT_ONCE.test(sqlStateOf(error))) throw error;
      return await this.#transaction("READ WRITE", body);
    }
  }

  isContention(error: unknown): boolean {
    return CONTENTION.test(sqlStateOf(error));
  }

  async close(): Promise<void> {
    // No connection outlives its call.
  }

  async #transaction<T>(
    mode: "READ ONLY" | "READ WRITE",
    body: (session: SqlSession) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#server.use((session) =>
        session.transaction(mode, () => body(new PostgresSession(session))),
      );
    } catch (error) {
      throw catalogError(error, this.place);
    }
  }
}

class PostgresSession implements SqlSession {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async query(sql: string, values: readonly string[]): Promise<readonly SqlRow[]> {
    const { rows, names } = await this.#session.queryWithTypes("asking the catalog", sql, values);
    return rows.map((cells) => Object.fromEntries(names.map((name, at) => [name, cells[at] ?? null])));
  }

  async columnsOf(table: string): Promise<readonly string[]> {
    const rows = await this.query(
      `SELECT attname AS name FROM pg_catalog.pg_attribute
        WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`,
      [table],
    );
    return rows.map(({ name }) => name ?? "");
  }
}

function sqlStateOf(error: unknown): string {
  return MillraceError.is(error) ? (stateOf(error.cause) ?? "") : "";
}

/** Returns the error under the codes of catalogs. */
function catalogError(error: unknown, place: string): unknown {
  if (!MillraceError.is(error) || error.code !== "POSTGRES_FAILED") return error;
  const isDenied = DENIED.test(sqlStateOf(error));
  return new MillraceError(
    isDenied ? "CATALOG_DENIED" : "CATALOG_FAILED",
    `the catalog in ${place} failed: ${error.message}`,
    {
      where: error.where,
      hint: `${error.hint ?? "Check the server."} Then \`millrace run\` again.`,
      retryable: error.retryable,
      cause: error.cause,
    },
  );
}

/** Names the server and the database for messages. A URL in a variable is not shown. */
function placeOf(
  { url, connection = {} }: Pick<ServerOptions, "url" | "connection">,
  { PGHOST, PGDATABASE }: Runtime["env"],
): string {
  if (typeof url === "object") return `PostgreSQL at the URL in ${url.env}`;
  const address = url === undefined ? undefined : new URL(url);
  const host = address?.host ?? connection.host ?? PGHOST ?? "localhost";
  const database = address?.pathname.slice(1) ?? connection.database ?? PGDATABASE ?? "";
  return `PostgreSQL at ${host}${database === "" ? "" : `, database ${database}`}`;
}
