import type { Client, ClientConfig } from "pg";
import { onAbort } from "../../../contract/abort.ts";
import type { Runtime } from "../../../contract/context.ts";
import { MillraceError } from "../../../contract/errors.ts";
import { loadOptional } from "../../../contract/optional-package.ts";
import { type RetryPolicy, retry } from "../../../contract/retry.ts";
import { type FromEnvironment, secretOf } from "../secrets.ts";
import { toPostgresError } from "./errors.ts";
import { describeHolders, endTransaction } from "./open-transaction.ts";
import type { ServerOptions } from "./server-options.ts";
import { closeClient, Session } from "./session.ts";
import { type TimeLimits, timeLimitsOf } from "./time-limits.ts";

/**
 * Milliseconds until TCP keep-alive begins. If keep-alive is off, a lost server is noticed only
 * after hours.
 */
const KEEP_ALIVE_MILLISECONDS = 10_000;
/**
 * Retries of connecting. Tasks that start at the same time may exceed the server's connection limit
 * for a moment.
 */
const RETRIES: RetryPolicy = { attempts: 3, firstDelay: 500, longestDelay: 5000 };

/** Loads the driver. Error: `DEPENDENCY_MISSING`. */
export function loadDriver(): Promise<typeof import("pg")> {
  return loadOptional("pg", () => import("pg"));
}

function urlOf({ host, port, database = "" }: Client): string {
  return `postgres://${host}:${port}/${database}`;
}

/** Opens connections to the server that the options name. */
export class Server {
  readonly #options: ServerOptions;
  readonly #connector: string;
  readonly #runtime: Runtime;
  readonly #limits: TimeLimits;

  /** `connector` is the name of the connector, for errors about secrets. */
  constructor(connector: string, options: ServerOptions, runtime: Runtime) {
    this.#connector = connector;
    this.#options = options;
    this.#limits = timeLimitsOf(options);
    this.#runtime = runtime;
  }

  /**
   * Runs `body` with its own connection, which is closed afterwards. Errors: `POSTGRES_FAILED`,
   * `SECRET_MISSING`.
   */
  async use<T>(body: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.#connect();
    try {
      return await body(session);
    } finally {
      await session.end();
    }
  }

  /**
   * Yields the rows that `body` reads with its own connection. The connection is closed when the
   * signal aborts. Errors: those of `use`.
   */
  async *stream<T>(
    signal: AbortSignal,
    body: (session: Session) => AsyncGenerator<T> | Promise<AsyncGenerator<T>>,
  ): AsyncGenerator<T> {
    const session = await this.#connect(signal);
    const stopListening = onAbort(signal, () => void session.end());
    try {
      signal.throwIfAborted();
      yield* await body(session);
    } finally {
      stopListening();
      await session.end();
    }
  }

  /**
   * Returns the name of the database. Host and port are left out, because one server has many
   * addresses. It does not connect.
   */
  async database(): Promise<string> {
    const { Client } = await loadDriver();
    return new Client(this.#config()).database ?? "";
  }

  /** Connects with retries, which are safe because nothing has been done yet. */
  async #connect(signal?: AbortSignal): Promise<Session> {
    return await retry(this.#runtime, RETRIES, () => this.#connectOnce(), { signal });
  }

  async #connectOnce(): Promise<Session> {
    const config = this.#config();
    const { Client } = await loadDriver();
    const client = new Client({
      ...config,
      application_name: "millrace",
      connectionTimeoutMillis: this.#limits.connect,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MILLISECONDS,
      types: { getTypeParser: () => (text: string) => text },
    });
    // If the connection breaks, the statement that uses it fails. Without a listener the event
    // would crash the process.
    client.on("error", () => undefined);
    const url = urlOf(client);
    try {
      await client.connect();
    } catch (error) {
      await closeClient(client);
      throw toPostgresError(error, "connecting", url);
    }
    return new Session(client, {
      url,
      limits: this.#limits,
      findHolders: (transaction) => this.use((session) => describeHolders(session, transaction)),
      endTransaction: (transaction) => this.use((session) => endTransaction(session, transaction)),
    });
  }

  #config(): ClientConfig {
    const { url, connection = {}, password: from } = this.#options;
    const password = from === undefined ? this.#runtime.env["PGPASSWORD"] : this.#secret(from);
    if (url !== undefined) return { connectionString: this.#withPassword(url, password) };
    const { PGHOST, PGPORT, PGDATABASE, PGUSER } = this.#runtime.env;
    const config = {
      host: connection.host ?? PGHOST,
      port: connection.port ?? (PGPORT === undefined ? undefined : Number(PGPORT)),
      database: connection.database ?? PGDATABASE,
      user: connection.user ?? PGUSER,
      ssl: connection.ssl,
      password,
    };
    return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
  }

  #withPassword(given: string | FromEnvironment, password: string | undefined): string {
    const text = typeof given === "string" ? given : this.#secret(given);
    let url: URL;
    try {
      url = new URL(text);
    } catch {
      // The error of `URL` is dropped because it quotes the URL, which may contain a password.
      throw new MillraceError("SECRET_INVALID", "the URL of the PostgreSQL server is none", {
        hint: "Write postgres://user@host:5432/database.",
      });
    }
    if (url.password === "" && password !== undefined) url.password = encodeURIComponent(password);
    return url.href;
  }

  #secret(from: FromEnvironment): string {
    return secretOf(this.#runtime.env, from, this.#connector);
  }
}
