/** A row of a result, by column. */
export type SqlRow = Readonly<Record<string, string | null>>;

/** A connection, in a transaction. */
export interface SqlSession {
  /** Runs a statement with the placeholders `$1`, `$2` and so on. Returns its rows. */
  query(sql: string, values: readonly string[]): Promise<readonly SqlRow[]>;
  /** Returns the names of a table's columns, or none if there is no such table. */
  columnsOf(table: string): Promise<readonly string[]>;
}

/** The database of a SQL catalog. Its errors are `CATALOG_FAILED` or `CATALOG_DENIED`. */
export interface SqlDatabase {
  /** The database for messages, without secrets. */
  readonly place: string;
  /**
   * Runs `body`, which only reads. Returns `undefined` without calling it if there is no database
   * yet.
   */
  read<T>(body: (session: SqlSession) => Promise<T>): Promise<T | undefined>;
  /** Runs `body` in a transaction that has taken effect, durably, when the promise resolves. */
  write<T>(body: (session: SqlSession) => Promise<T>): Promise<T>;
  /**
   * True for an error which says that another writer was in the way, so that the transaction
   * certainly has no effect.
   */
  isContention(error: unknown): boolean;
  close(): Promise<void>;
}
