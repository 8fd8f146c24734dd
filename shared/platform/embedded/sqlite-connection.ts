import { statSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { MillraceError } from "../../contract/errors.ts";
import { adviceFor, SQLITE, sqliteCodeOf, systemCodeOfSqlite } from "./advice.ts";
import type { Row } from "./sqlite-rows.ts";
import { MIGRATIONS } from "./sqlite-schema.ts";

/**
 * How long a writer waits for another process's transaction, which takes only a few milliseconds.
 */
const BUSY_MILLISECONDS = 30_000;
const WAL_PAUSE_MILLISECONDS = 10;

/**
 * A connection to one SQLite file. Journal mode WAL lets `status` read while a run writes.
 * Synchronous mode FULL puts a transition on disk before anyone acts on it: a commit must survive a
 * power failure, because the source may delete rows as soon as it is told. A batch needs about ten
 * transactions, so FULL is not noticeably slower.
 */
export class SqliteConnection {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** Identifies the file that was opened, whatever lies at its path later. */
  readonly #file: string;

  /**
   * Opens the file. Creates it if it does not exist, unless `readOnly` is true. Throws
   * `LEDGER_FAILED` or `LEDGER_VERSION`.
   */
  constructor(path: string, { readOnly = false }: { readonly readOnly?: boolean } = {}) {
    this.#path = path;
    try {
      this.#database = readOnly ? openReadOnly(path) : new DatabaseSync(path);
      this.#file = fileAt(path);
      this.#database.exec(`PRAGMA busy_timeout = ${BUSY_MILLISECONDS}`);
      if (readOnly) {
        this.#checkVersion(path);
        return;
      }
      this.#switchToWal();
      this.#database.exec("PRAGMA synchronous = FULL");
      this.write(() => this.#migrate(path));
    } catch (error) {
      throw ledgerError(error, path);
    }
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  /**
   * Runs `body` in one transaction. IMMEDIATE takes the write lock at the start; otherwise another
   * writer could change the data between the reads and the writes of `body`. Throws `LEDGER_LOST`
   * if the file is not at its path any more: what is written to it would be gone with the process.
   */
  write<T>(body: () => T): T {
    return this.read(() => {
      if (fileAt(this.#path) !== this.#file) throw ledgerLost(this.#path);
      this.#database.exec("BEGIN IMMEDIATE");
      try {
        const result = body();
        this.#database.exec("COMMIT");
        return result;
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
        throw error;
      }
    });
  }

  /** Runs `body` and converts its errors to `LEDGER_FAILED`. */
  read<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      throw ledgerError(error, this.#path);
    }
  }

  run(sql: string, parameters: Row): void {
    this.#statement(sql).run(parameters);
  }

  one(sql: string, parameters: Row): Row | undefined {
    return this.#statement(sql).get(parameters) as Row | undefined;
  }

  all(sql: string, parameters: Row): readonly Row[] {
    return this.#statement(sql).all(parameters) as Row[];
  }

  insert(table: string, row: Row): void {
    const columns = Object.keys(row);
    const values = columns.map((column) => `$${column}`);
    this.run(`INSERT INTO ${table} (${columns.join(", ")}) VALUES (${values.join(", ")})`, row);
  }

  /** Updates the rows that match `row` in the columns `key`, and sets all columns of `row`. */
  update(table: string, key: readonly string[], row: Row): void {
    const equal = (columns: readonly string[]) => columns.map((column) => `${column} = $${column}`);
    const set = equal(Object.keys(row)).join(", ");
    this.run(`UPDATE ${table} SET ${set} WHERE ${equal(key).join(" AND ")}`, row);
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  /**
   * Switches to WAL and retries while the file is busy. SQLite ignores the busy timeout here if two
   * processes open a new file at the same moment.
   */
  #switchToWal(): void {
    for (let waited = 0; ; waited += WAL_PAUSE_MILLISECONDS) {
      try {
        this.#database.exec("PRAGMA journal_mode = WAL");
        return;
      } catch (error) {
        if (waited >= BUSY_MILLISECONDS || !isBusy(error)) throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAL_PAUSE_MILLISECONDS);
      }
    }
  }

  get #version(): number {
    return Number(this.one("PRAGMA user_version", {})?.["user_version"]);
  }

  /** A file opened read-only must have the current version, because it cannot be migrated. */
  #checkVersion(path: string): void {
    if (this.#version === MIGRATIONS.length) return;
    throw new MillraceError(
      "LEDGER_VERSION",
      `the ledger ${path} has version ${this.#version}, this Millrace knows ${MIGRATIONS.length}, and may not write to it`,
      {
        where: { path },
        hint: "Use the Millrace that wrote it, or have somebody run this one who may write.",
      },
    );
  }

  #migrate(path: string): void {
    const version = this.#version;
    if (version === MIGRATIONS.length) return;
    if (version > MIGRATIONS.length) {
      throw new MillraceError(
        "LEDGER_VERSION",
        `the ledger ${path} has version ${version}, this Millrace knows ${MIGRATIONS.length}`,
        { where: { path }, hint: "Use the Millrace that wrote it, or a newer one." },
      );
    }
    for (const migration of MIGRATIONS.slice(version)) this.#database.exec(migration);
    this.#database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
  }
}

/**
 * Opens the file without write access. To read a WAL file, SQLite needs an index file beside it. If
 * no process has the database open, the WAL and its index do not exist and the database cannot
 * change. It is then opened as immutable, which needs no index. So is a database with an empty WAL
 * whose index cannot be created, because the disk is full.
 */
function openReadOnly(path: string): DatabaseSync {
  const log = statSync(`${path}-wal`, { throwIfNoEntry: false });
  if (log !== undefined) {
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      database.prepare("PRAGMA user_version").get();
      return database;
    } catch (error) {
      database.close();
      if (log.size > 0) throw error;
    }
  }
  return new DatabaseSync(new URL("?immutable=1", pathToFileURL(path)), { readOnly: true });
}

/** Identifies the file at a path; empty if there is none. */
function fileAt(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false, bigint: true });
  return found === undefined ? "" : `${found.dev}:${found.ino}`;
}

function ledgerLost(path: string): MillraceError {
  return new MillraceError(
    "LEDGER_LOST",
    `the ledger ${path} was removed or replaced while this process had it open`,
    {
      where: { path },
      hint: "This process stops, because nothing that it writes would be kept. Put the ledger back if you can, then start again: a run tells whether the sink and the ledger fit together.",
    },
  );
}

function isBusy(error: unknown): boolean {
  const code = sqliteCodeOf(error);
  return code === SQLITE.busy || code === SQLITE.locked;
}

/** Converts an error of SQLite, with advice that fits its cause. */
export function ledgerError(error: unknown, path: string): unknown {
  if (MillraceError.is(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (isDamage(error)) {
    return new MillraceError("LEDGER_DAMAGED", `the ledger is damaged, or is no ledger: ${message}`, {
      where: { path },
      hint: `Keep a copy of it. Restore it from a backup, without the files ledger.sqlite-wal and -shm of now, and look with \`millrace status\`. Without a backup: \`mv ${path} ${path}.damaged\`, and \`millrace adopt PIPELINE\` then goes on after what the table has.`,
      cause: error,
    });
  }
  const { hint, retryable } = isBusy(error)
    ? { hint: "Another process is writing to the ledger. Run again when it has ended.", retryable: true }
    : adviceFor(systemCodeOfSqlite(error, path));
  return new MillraceError("LEDGER_FAILED", `the ledger failed: ${message}`, {
    where: { path },
    hint,
    retryable,
    cause: error,
  });
}

/** True if the file is no database, if its pages are damaged, or if it holds something else. */
function isDamage(error: unknown): boolean {
  const code = sqliteCodeOf(error);
  if (code === SQLITE.corrupt || code === SQLITE.notADatabase || error instanceof SyntaxError) return true;
  return code === SQLITE.error && error instanceof Error && /^no such (table|column)/.test(error.message);
}
