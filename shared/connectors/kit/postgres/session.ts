import type { Client } from "pg";
import { MillraceError } from "../../../contract/errors.ts";
import { isLockTimeout, toPostgresError } from "./errors.ts";
import type { TimeLimits } from "./time-limits.ts";

/** How long closing a connection may take before its socket is destroyed. */
const CLOSE_MILLISECONDS = 1000;

/**
 * Values as text in PostgreSQL's output format. JavaScript's `Date` has no microseconds and its
 * number cannot hold 64-bit integers.
 */
export type Cells = readonly (string | null)[];

/** Settings that make the text output independent of the server's configuration. */
const PRINTED_ALIKE =
  "SET LOCAL TIME ZONE 0; SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1";

/** A transaction that writes, as another connection finds it. */
export interface OpenTransaction {
  /** The process of the server that runs it. */
  readonly pid: string;
  /** When it began, as the server prints it. It tells the transaction from later ones. */
  readonly startedAt: string;
}

/** The save point of a part of a transaction. */
const PART = "millrace_part";

/** Selects what identifies the current transaction. */
const IDENTITY = "SELECT pg_backend_pid(), now()";

interface SessionParts {
  /** The server without a password, for messages. */
  readonly url: string;
  readonly limits: TimeLimits;
  /** Describes, on another connection, the sessions whose locks a transaction waits for. */
  findHolders(transaction: OpenTransaction): Promise<string>;
  /** Ends a transaction on another connection, because its own is lost. */
  endTransaction(transaction: OpenTransaction): Promise<void>;
}

/**
 * A connection to the server. All its errors are `POSTGRES_FAILED` and contain neither row values
 * nor secrets. If a statement gets no answer in time, the connection is destroyed.
 */
export class Session {
  readonly #client: Client;
  readonly #parts: SessionParts;
  /** Why the connection was lost while no statement was running, which the driver forgets. */
  #lost: unknown;
  /** The transaction that writes, while it is open. */
  #writing: OpenTransaction | undefined;

  constructor(client: Client, parts: SessionParts) {
    this.#client = client;
    this.#parts = parts;
    client.on("error", (error) => {
      this.#lost ??= error;
    });
  }

  /** Runs a statement. `doing` describes it in error messages. */
  async query(doing: string, sql: string, values: readonly unknown[] = []): Promise<readonly Cells[]> {
    return (await this.queryWithTypes(doing, sql, values)).rows;
  }

  /** Like `query`, but also returns the columns' names and the object ids of their types. */
  async queryWithTypes(
    doing: string,
    sql: string,
    values: readonly unknown[] = [],
  ): Promise<{
    readonly rows: readonly Cells[];
    readonly names: readonly string[];
    readonly types: readonly number[];
  }> {
    const { rows, fields } = await this.#namingHolders(doing, () =>
      this.#client.query<string[]>({ text: sql, values: [...values], rowMode: "array" }),
    );
    return {
      rows,
      names: fields.map((field) => field.name),
      types: fields.map((field) => field.dataTypeID),
    };
  }

  /** Runs statements whose results are not needed. */
  async execute(doing: string, sql: string): Promise<void> {
    await this.#namingHolders(doing, () => this.#client.query(sql));
  }

  /** Begins a transaction. A read-only transaction reads from one snapshot. */
  async begin(mode: "READ WRITE" | "READ ONLY"): Promise<void> {
    const isolation = mode === "READ ONLY" ? "REPEATABLE READ" : "READ COMMITTED";
    const settings = `${PRINTED_ALIKE}; ${this.#parts.limits.sql[mode]}`;
    const results: unknown = await this.#brief("beginning a transaction", () =>
      this.#client.query({
        text: `BEGIN ISOLATION LEVEL ${isolation} ${mode}; ${settings}; ${IDENTITY}`,
        rowMode: "array",
      }),
    );
    const [pid, startedAt] =
      (results as readonly { readonly rows: readonly Cells[] }[]).at(-1)?.rows[0] ?? [];
    if (mode === "READ WRITE" && pid != null && startedAt != null) this.#writing = { pid, startedAt };
  }

  /** Runs `body` in a transaction, which is rolled back if `body` throws. */
  async transaction<T>(mode: "READ WRITE" | "READ ONLY", body: () => Promise<T>): Promise<T> {
    await this.begin(mode);
    let result: T;
    try {
      result = await body();
    } catch (error) {
      await this.#rollBack();
      throw error;
    }
    this.#writing = undefined;
    await this.#brief("committing", () => this.#client.query("COMMIT"));
    return result;
  }

  /**
   * Runs `body` in a part of the transaction. If it throws an error for which `isExpected` is true,
   * undoes the part and returns the error; the transaction goes on.
   */
  async part(
    body: () => Promise<void>,
    isExpected: (error: MillraceError) => boolean,
  ): Promise<MillraceError | undefined> {
    await this.#brief("beginning a part", () => this.#client.query(`SAVEPOINT ${PART}`));
    try {
      await body();
    } catch (error) {
      if (!MillraceError.is(error) || !isExpected(error)) throw error;
      const undo = `ROLLBACK TO SAVEPOINT ${PART}; RELEASE SAVEPOINT ${PART}`;
      await this.#brief("undoing a part", () => this.#client.query(undo));
      return error;
    }
    await this.#brief("ending a part", () => this.#client.query(`RELEASE SAVEPOINT ${PART}`));
    return undefined;
  }

  /**
   * Rolls back. If the connection is lost, ends the transaction on another one: the server may wait
   * for the rest of a statement, for which it has no limit, and keep the locks. A lost COMMIT is
   * not ended like this, because that would end its wait for synchronous replication.
   */
  async #rollBack(): Promise<void> {
    const lost = this.#writing;
    this.#writing = undefined;
    try {
      await this.#brief("rolling back", () => this.#client.query("ROLLBACK"));
    } catch {
      // If this fails too, the server's own limits end the transaction.
      if (lost !== undefined) await this.#parts.endTransaction(lost).catch(() => undefined);
    }
  }

  /** Closes the connection. A statement that is still running fails. */
  async end(): Promise<void> {
    await closeClient(this.#client);
  }

  async #brief<T>(doing: string, ask: () => Promise<T>): Promise<T> {
    return await this.#inTime(doing, this.#parts.limits.brief, ask);
  }

  /**
   * Sends a statement. If it waits for a lock in vain, its error says which sessions hold the lock.
   * They are looked up while the statement waits, because the server forgets them afterwards.
   */
  async #namingHolders<T>(doing: string, ask: () => Promise<T>): Promise<T> {
    const { limits, findHolders } = this.#parts;
    const writing = this.#writing;
    let holders: Promise<string> | undefined;
    const lookUp = () => {
      holders = writing === undefined ? undefined : findHolders(writing).catch(() => "");
    };
    const timer = setTimeout(lookUp, limits.lock / 2);
    try {
      return await this.#inTime(doing, limits.statement, ask);
    } catch (error) {
      const known = isLockTimeout(error) ? await holders : undefined;
      if (!MillraceError.is(error) || known === undefined || known === "") throw error;
      throw error.with({ hint: known });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a statement, and destroys the connection if there is no answer in time. */
  async #inTime<T>(doing: string, limit: number, ask: () => Promise<T>): Promise<T> {
    const { url } = this.#parts;
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(noAnswer(doing, limit, url));
        socketOf(this.#client).destroy();
      }, limit);
    });
    try {
      return await Promise.race([ask(), tooLate]);
    } catch (error) {
      throw toPostgresError(MillraceError.is(error) ? error : (this.#lost ?? error), doing, url);
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * Closes the connection of a client. The goodbye of the protocol may never arrive, so the socket is
 * destroyed after a second.
 */
export async function closeClient(client: Client): Promise<void> {
  const timer = setTimeout(() => socketOf(client).destroy(), CLOSE_MILLISECONDS);
  await client.end().catch(() => undefined);
  clearTimeout(timer);
}

function socketOf(client: Client): { destroy(): void } {
  return client.connection.stream;
}

/** The retry is safe because a batch is recorded in the transaction that writes its rows. */
function noAnswer(doing: string, milliseconds: number, url: string): MillraceError {
  return new MillraceError("POSTGRES_FAILED", `${doing}: no answer for ${milliseconds / 1000} s`, {
    where: { url },
    hint: "The connection was given up. Check the server and the network, then run again: a batch whose commit is in doubt is looked up first. Raise statementSeconds if the statement only needs longer.",
    retryable: true,
  });
}
