import { existsSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { MillraceError } from "../../contract/errors.ts";
import type { Row } from "./sqlite-rows.ts";
import { MIGRATIONS } from "./sqlite-schema.ts";

/** A writer waits this long for another's transaction, which takes a few milliseconds. */
const BUSY_MILLISECONDS = 30_000;
const WAL_PAUSE_MILLISECONDS = 10;

/**
 * A connection to one SQLite file. Journal WAL, so that `status` reads while a run writes;
 * synchronous FULL, so that a transition is on the disk before anyone acts on it: a commit must
 * survive a loss of power as well as a kill, because the source may forget rows once it was told of
 * them. A batch costs about ten transactions, so FULL costs nothing that is noticed.
 */
export class SqliteConnection {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /**
   * Opens the file, and makes it if there is none, unless it is only to be read. Errors:
   * `LEDGER_FAILED`, `LEDGER_VERSION`.
   */
  constructor(path: string, { readOnly = false }: { readonly readOnly?: boolean } = {}) {
    try {
      this.#database = readOnly ? openReadOnly(path) : new DatabaseSync(path);
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
   * Does `body` in one transaction. IMMEDIATE: one that reads first and writes later must not meet
   * another writer in between.
   */
  write<T>(body: () => T): T {
    return this.read(() => {
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

  /** Does `body`, whose errors become `LEDGER_FAILED`. */
  read<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      throw ledgerError(error);
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

  /** Sets the columns of `row` in the rows that have its `key`. */
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
   * SQLite does not wait here, whatever the timeout, when two processes open a new file at the same
   * moment.
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

  /** A file that may not be changed cannot be brought to this version either. */
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
 * For one who may not write. SQLite reads a WAL beside the file by an index that it would have to
 * make. If nobody has the file open, there is neither, and nothing can change while it is read.
 */
function openReadOnly(path: string): DatabaseSync {
  if (existsSync(`${path}-wal`)) return new DatabaseSync(path, { readOnly: true });
  return new DatabaseSync(new URL("?immutable=1", pathToFileURL(path)), { readOnly: true });
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && /busy|locked/i.test(error.message);
}

function ledgerError(error: unknown, path?: string): unknown {
  if (MillraceError.is(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new MillraceError("LEDGER_FAILED", `the ledger failed: ${message}`, {
    ...(path === undefined ? {} : { where: { path } }),
    hint: "Check the disk's free space and the rights on the home folder, then run again: nothing is lost.",
    retryable: isBusy(error),
    cause: error,
  });
}
