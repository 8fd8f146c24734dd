import { mkdir, open, stat } from "node:fs/promises";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Runtime } from "../../../../contract/context.ts";
import { MillraceError } from "../../../../contract/errors.ts";
import type { SqlDatabase, SqlRow, SqlSession } from "./database.ts";

/** How long a statement waits for the transaction of another process. */
const BUSY_MILLISECONDS = 10_000;
const WAL_PAUSE_MILLISECONDS = 10;

/** SQLite's primary result codes. */
const BUSY = 5;
const LOCKED = 6;
const DAMAGED: ReadonlySet<number> = new Set([11, 26]);

interface Connection {
  readonly database: DatabaseSync;
  /** Identifies the file that was opened, whatever lies at its path later. */
  readonly file: string;
  readonly session: SqlSession;
}

/**
 * The last call of each file, by its path. Calls of one thread take turns: SQLite would wait in the
 * thread itself for the other call, which then could not go on.
 */
const TURNS = new Map<string, Promise<unknown>>();

/**
 * A SQL catalog in one SQLite file. Journal mode WAL lets others read during a commit. Synchronous
 * mode FULL puts a commit on disk before it is reported: the source may then delete its rows.
 */
export class SqliteDatabase implements SqlDatabase {
  readonly place: string;
  readonly #path: string;
  readonly #runtime: Pick<Runtime, "sleep">;
  #connection: Connection | undefined;

  /** `path` is absolute. */
  constructor(path: string, runtime: Pick<Runtime, "sleep">) {
    this.#path = path;
    this.#runtime = runtime;
    this.place = path;
  }

  async read<T>(body: (session: SqlSession) => Promise<T>): Promise<T | undefined> {
    return await this.#inTurn(async () => {
      if ((await fileAt(this.#path)) === undefined) return undefined;
      return await body((await this.#open()).session);
    });
  }

  async write<T>(body: (session: SqlSession) => Promise<T>): Promise<T> {
    return await this.#inTurn(async () => {
      await createFile(this.#path);
      const { database, session } = await this.#open();
      database.exec("BEGIN IMMEDIATE");
      try {
        const result = await body(session);
        // A commit to a file that was removed would be gone with this process.
        if ((await fileAt(this.#path)) !== this.#connection?.file) throw removed(this.#path);
        database.exec("COMMIT");
        return result;
      } catch (error) {
        if (database.isTransaction) database.exec("ROLLBACK");
        throw error;
      }
    });
  }

  isContention(error: unknown): boolean {
    return MillraceError.is(error) && isBusy(error.cause);
  }

  async close(): Promise<void> {
    await this.#inTurn(async () => this.#disconnect());
  }

  /** Runs `body` after all that was asked for earlier, and converts its errors. */
  async #inTurn<T>(body: () => Promise<T>): Promise<T> {
    const before = TURNS.get(this.#path) ?? Promise.resolve();
    const result = before.then(body);
    const turn = result.catch(() => undefined);
    TURNS.set(this.#path, turn);
    try {
      return await result;
    } catch (error) {
      throw sqliteError(error, this.#path);
    } finally {
      if (TURNS.get(this.#path) === turn) TURNS.delete(this.#path);
    }
  }

  #disconnect(): void {
    this.#connection?.database.close();
    this.#connection = undefined;
  }

  /** Returns the connection to the file that is at the path now. */
  async #open(): Promise<Connection> {
    const file = await fileAt(this.#path);
    if (this.#connection?.file !== file) this.#disconnect();
    this.#connection ??= await this.#connect(file ?? "");
    return this.#connection;
  }

  async #connect(file: string): Promise<Connection> {
    const { DatabaseSync } = await import("node:sqlite");
    const database = new DatabaseSync(this.#path, { timeout: BUSY_MILLISECONDS });
    try {
      await this.#switchToWal(database);
      database.exec("PRAGMA synchronous = FULL");
    } catch (error) {
      database.close();
      throw error;
    }
    return { database, file, session: new SqliteSession(database) };
  }

  /**
   * Switches to WAL and retries while the file is busy. SQLite ignores the busy timeout here if two
   * processes open a new file at the same moment.
   */
  async #switchToWal(database: DatabaseSync): Promise<void> {
    for (let waited = 0; ; waited += WAL_PAUSE_MILLISECONDS) {
      try {
        database.exec("PRAGMA journal_mode = WAL");
        return;
      } catch (error) {
        if (waited >= BUSY_MILLISECONDS || !isBusy(error)) throw error;
        await this.#runtime.sleep(WAL_PAUSE_MILLISECONDS);
      }
    }
  }
}

class SqliteSession implements SqlSession {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  async query(sql: string, values: readonly string[]): Promise<readonly SqlRow[]> {
    return this.#statement(sql).all(...values) as SqlRow[];
  }

  async columnsOf(table: string): Promise<readonly string[]> {
    const rows = this.#database.prepare("SELECT name FROM pragma_table_info(?)").all(table);
    return rows.map(({ name }) => String(name));
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    // SQLite would take `$1` as the name of a parameter.
    const statement = this.#database.prepare(sql.replaceAll(/\$(?=\d)/g, "?"));
    this.#statements.set(sql, statement);
    return statement;
  }
}

/** Identifies the file at a path, or returns `undefined` if there is none. */
async function fileAt(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await stat(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Creates the file, empty, if there is none, with the rights of its folder. SQLite gives its log
 * the same ones. Folders that this makes get the rights of the folder above them.
 */
async function createFile(path: string): Promise<void> {
  if ((await fileAt(path)) !== undefined) return;
  const folder = parentOf(path);
  const rights = await makeFolder(folder);
  const file = await open(path, "a", rights & 0o666);
  await file.sync();
  await file.close();
  await syncFolder(folder);
}

/** Makes a folder, durably, unless it exists. Returns its rights. */
async function makeFolder(folder: string): Promise<number> {
  try {
    return (await stat(folder)).mode & 0o777;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
  const parent = parentOf(folder);
  const rights = await makeFolder(parent);
  // Not with `recursive`: Node then tries for ever if the file system takes no folders, as in
  // /proc.
  await mkdir(folder, { mode: rights }).catch((error: unknown) => {
    // Another process was faster.
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  });
  await syncFolder(parent);
  return rights;
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")));
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function codeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number")
    return undefined;
  return error.errcode & 0xff;
}

function isBusy(error: unknown): boolean {
  const code = codeOf(error);
  return code === BUSY || code === LOCKED;
}

function removed(path: string): MillraceError {
  return new MillraceError("CATALOG_FAILED", `the catalog ${path} was removed while it was open`, {
    where: { path },
    hint: "Put the file back, with its -wal and -shm beside it, then `millrace run` again.",
  });
}

function sqliteError(error: unknown, path: string): unknown {
  if (MillraceError.is(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  const damaged = DAMAGED.has(codeOf(error) ?? 0);
  const hint = isBusy(error)
    ? "Another program is writing to the file. Run `millrace run` again when it has ended."
    : damaged
      ? `Restore ${path} from a backup, without its -wal and -shm of now. The tables' own files are whole: pyiceberg's \`register_table\` puts a table into a new catalog.`
      : `Look at the rights and the disk of the file, as with \`ls -l ${path}\`.`;
  return new MillraceError("CATALOG_FAILED", `the catalog ${path} failed: ${message}`, {
    where: { path },
    hint,
    retryable: isBusy(error),
    cause: error,
  });
}
