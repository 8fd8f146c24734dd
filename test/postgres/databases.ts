import { randomUUID } from "node:crypto";
import { Client } from "pg";

export const PASSWORD = "it's a % secret: √@/";

export interface PostgresServer {
  readonly port: number;
  /** Creates an empty database. */
  database(): Promise<Database>;
  stop(): Promise<void>;
}

/** One database, and what a pipeline needs to reach it. */
export interface Database {
  readonly name: string;
  readonly connection: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly database: string;
  };
  /** Variables of the environment, with the password. */
  readonly env: Record<string, string>;
  /** Runs statements. Returns the rows of the last one, with all values as text. */
  query(sql: string, values?: readonly unknown[]): Promise<(string | null)[][]>;
  /** Opens a session, which the caller ends. */
  session(): Promise<Client>;
}

/** The databases of a server that listens on a port of 127.0.0.1. */
export class Databases {
  readonly port: number;
  /** True for a standby. It cannot create databases and has only `postgres`. */
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
