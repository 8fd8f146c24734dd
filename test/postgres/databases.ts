import { randomUUID } from "node:crypto";
import { Client } from "pg";

export const PASSWORD = "it's a % secret: √@/";

export interface PostgresServer {
  readonly port: number;
  /** Creates an empty database. */
  database(): Promise<Database>;
  stop(): Promise<void>;
}

/** A database, and the settings with which a pipeline connects to it. */
export interface Database {
  readonly name: string;
  readonly connection: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly database: string;
  };
  /** Environment variables of the connection, including the password. */
  readonly env: Record<string, string>;
  /** Runs statements. Returns the rows of the last statement, with all values as text. */
  query(sql: string, values?: readonly unknown[]): Promise<(string | null)[][]>;
  /** Opens a session. The caller must end it. */
  session(): Promise<Client>;
}

/** Creates databases on a server that listens on a port of 127.0.0.1. */
export class Databases {
  readonly port: number;
  /** True for a standby server. It cannot create databases and has only the database `postgres`. */
  readonly #isStandby: boolean;

  constructor(port: number, isStandby: boolean) {
    this.port = port;
    this.#isStandby = isStandby;
  }

  async answers(): Promise<boolean> {
    try {
      await this.#query("postgres", "SELECT 1");
      return true;
    } catch {
      return false;
    }
  }

  async database(): Promise<Database> {
    const name = this.#isStandby ? "postgres" : `test_${randomUUID().replaceAll("-", "")}`;
    if (!this.#isStandby) await this.#query("postgres", `CREATE DATABASE ${name}`);
    const connection = { host: "127.0.0.1", port: this.port, user: "postgres", database: name };
    return {
      name,
      connection,
      env: {
        PGHOST: connection.host,
        PGPORT: String(this.port),
        PGUSER: connection.user,
        PGDATABASE: name,
        PGPASSWORD: PASSWORD,
      },
      query: (sql, values) => this.#query(name, sql, values),
      session: () => this.#session(name),
    };
  }

  async #session(database: string): Promise<Client> {
    const client = new Client({
      host: "127.0.0.1",
      port: this.port,
      user: "postgres",
      password: PASSWORD,
      database,
      types: { getTypeParser: () => (text: string) => text },
    });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  }

  async #query(database: string, sql: string, values: readonly unknown[] = []): Promise<(string | null)[][]> {
    const client = await this.#session(database);
    try {
      const result: unknown = await client.query({ text: sql, values: [...values], rowMode: "array" });
      const last = (Array.isArray(result) ? result.at(-1) : result) as { rows: (string | null)[][] };
      return last.rows;
    } finally {
      await client.end();
    }
  }
}
