import { MillraceError } from "../../contract/errors.ts";
import type { Session } from "../kit/postgres/session.ts";
import { escapeIdentifier } from "./identifier.ts";
import {
  CHANGE,
  CHANGES,
  type ChangeLayout,
  idColumn,
  isChanged,
  NUMBER,
  OPERATION,
} from "./staged-changes.ts";
import { columnNamed, type Table } from "./table.ts";
import { uniqueIndexes } from "./unique-keys.ts";

/** How many rows a delta has changed. */
export interface DeltaCounts {
  readonly deleted: number;
  readonly updated: number;
  readonly inserted: number;
  /** Deletes and updates of rows that another session had deleted since they were read. */
  readonly gone: number;
}

const UPDATES = `new.${OPERATION} = ${CHANGE.update}`;
const DELETES = `new.${OPERATION} = ${CHANGE.delete}`;

/** Applies the loaded changes of a row-level operation, in the current transaction. */
export class DeltaApplier {
  readonly #session: Session;
  readonly #table: Table;
  readonly #layout: ChangeLayout;
  readonly #doing: string;
  /** The condition that a row of the table has the id of a change. */
  readonly #match: string;
  /** The quoted columns that a statement may set. */
  readonly #written: readonly string[];

  constructor(session: Session, table: Table, layout: ChangeLayout) {
    this.#session = session;
    this.#table = table;
    this.#layout = layout;
    this.#doing = `changing rows of ${table.sql}`;
    this.#match = isChanged(layout.ids);
    // The server computes generated columns, and refuses values for them.
    this.#written = layout.rows.fields
      .filter(({ name }) => !columnNamed(table, name).isGenerated)
      .map(({ name }) => escapeIdentifier(name));
  }

  /**
   * Deletes, then updates, then inserts. Errors: `MERGE_CARDINALITY_VIOLATION`,
   * `WRITE_NOT_SUPPORTED`, `POSTGRES_FAILED`.
   */
  async apply(): Promise<DeltaCounts> {
    await this.#refuseDoubles();
    const changed = await this.#number(
      `SELECT count(*) FROM (SELECT DISTINCT ${this.#idList("new")} FROM ${CHANGES} AS new WHERE ${UPDATES} OR ${DELETES}) AS ids`,
    );
    await this.#lock();
    const deleted = await this.#count(
      `DELETE FROM ${this.#table.sql} AS old USING ${CHANGES} AS new WHERE ${DELETES} AND ${this.#match} RETURNING 1`,
    );
    const updated = await this.#update();
    const inserted = await this.#insert();
    return { deleted, updated, inserted, gone: changed - deleted - updated };
  }

  /** Two different changes of a row have no order, since tasks have none. */
  async #refuseDoubles(): Promise<void> {
    const [double] = await this.#session.query(
      this.#doing,
      `SELECT 1 FROM ${CHANGES} AS new WHERE ${UPDATES} OR ${DELETES} GROUP BY ${this.#idList("new")}
       HAVING count(*) > 1 AND bool_or(${UPDATES}) LIMIT 1`,
    );
    if (double === undefined) return;
    throw new MillraceError(
      "MERGE_CARDINALITY_VIOLATION",
      `two changes of one batch concern one row of ${this.#table.sql}`,
      { hint: "Nothing was written. Give the source of the merge one row for each row of the table." },
    );
  }

  /**
   * Locks the rows in the order of their ids, so that two commits do not wait for each other in a
   * circle.
   */
  async #lock(): Promise<void> {
    await this.#session.query(
      `locking rows of ${this.#table.sql}`,
      `SELECT count(*) FROM (
         SELECT 1 FROM ${this.#table.sql} AS old JOIN ${CHANGES} AS new ON ${this.#match}
         WHERE ${UPDATES} OR ${DELETES} ORDER BY ${this.#idList("new")} FOR UPDATE OF old
       ) AS locked`,
    );
  }

  /**
   * Updates the rows. The server compares each new value of a unique index with the rows that still
   * have their old ones. Rows that exchange such values are therefore deleted and inserted.
   */
  async #update(): Promise<number> {
    const set = this.#set();
    if (set === undefined) return 0;
    const update = `UPDATE ${this.#table.sql} AS old SET ${set} FROM ${CHANGES} AS new WHERE ${UPDATES} AND ${this.#match}`;
    const renumbered = this.#isChanged(this.#numbered);
    if (renumbered === undefined || !(await this.#any(renumbered))) {
      const updated = await this.#unlessTaken(() => this.#count(`${update} RETURNING 1`));
      if (updated !== undefined) return updated;
    }
    const indexes = await uniqueIndexes(this.#session, this.#table);
    const moved = this.#isChanged(indexes.flatMap(({ columns }) => columns));
    if (moved === undefined) return await this.#count(`${update} RETURNING 1`);
    // Rows that were inserted again have their new values, so they would be counted twice.
    const stayed = await this.#count(`${update} AND NOT (${moved}) RETURNING 1`);
    return stayed + (await this.#insertAgain(moved));
  }

  /** Returns `undefined`, and undoes what `body` did, if a unique index refuses it. */
  async #unlessTaken<T>(body: () => Promise<T>): Promise<T | undefined> {
    await this.#session.execute(this.#doing, "SAVEPOINT millrace_update");
    try {
      return await body();
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      await this.#session.execute(this.#doing, "ROLLBACK TO SAVEPOINT millrace_update");
      return undefined;
    }
  }

  /** The id columns that only the server numbers, so that no UPDATE may set them. */
  get #numbered(): readonly string[] {
    const names = this.#layout.ids.fields.map(({ name }) => name);
    return names.filter((name) => columnNamed(this.#table, name).identity === "always");
  }

  /** Returns the condition that a change gives one of the columns another value. */
  #isChanged(columns: readonly string[]): string | undefined {
    const names = [...new Set(columns)].map(escapeIdentifier).filter((name) => this.#written.includes(name));
    return names.length === 0
      ? undefined
      : names.map((name) => `old.${name} IS DISTINCT FROM new.${name}`).join(" OR ");
  }

  /** True if the condition holds for the change of a row. */
  async #any(condition: string): Promise<boolean> {
    const rows = await this.#session.query(
      this.#doing,
      `SELECT 1 FROM ${this.#table.sql} AS old JOIN ${CHANGES} AS new ON ${this.#match} WHERE ${UPDATES} AND (${condition}) LIMIT 1`,
    );
    return rows.length > 0;
  }

  /** Returns the assignments of an update, or `undefined` if there are no columns to set. */
  #set(): string | undefined {
    const names = this.#layout.rows.fields
      .filter(({ name }) => columnNamed(this.#table, name).identity !== "always")
      .map(({ name }) => escapeIdentifier(name))
      .filter((name) => this.#written.includes(name));
    return names.length === 0 ? undefined : names.map((name) => `${name} = new.${name}`).join(", ");
  }

  /**
   * Deletes rows and inserts them with their new values. Columns that the changes lack keep theirs.
   */
  async #insertAgain(moved: string): Promise<number> {
    await this.#refuseCascade();
    const names = new Set(this.#written);
    const kept = this.#table.columns
      .filter(({ isGenerated }) => !isGenerated)
      .map(({ name }) => escapeIdentifier(name));
    const values = kept.map((name) => `${names.has(name) ? "new" : "old"}.${name}`).join(", ");
    const order = this.#idList("new");
    await this.#session.execute(
      this.#doing,
      `CREATE TEMP TABLE millrace_moved ON COMMIT DROP AS SELECT ${values}
         FROM ${this.#table.sql} AS old JOIN ${CHANGES} AS new ON ${this.#match} WHERE ${UPDATES} AND (${moved}) ORDER BY ${order};
       DELETE FROM ${this.#table.sql} AS old USING ${CHANGES} AS new WHERE ${UPDATES} AND (${moved}) AND ${this.#match}`,
    );
    return await this.#count(
      `INSERT INTO ${this.#table.sql} (${kept.join(", ")}) OVERRIDING SYSTEM VALUE SELECT ${kept.join(", ")} FROM pg_temp.millrace_moved RETURNING 1`,
    );
  }

  /** A foreign key may delete or change the rows of other tables when a row is deleted. */
  async #refuseCascade(): Promise<void> {
    const [key] = await this.#session.query(
      this.#doing,
      "SELECT conrelid::regclass FROM pg_constraint WHERE confrelid = $1 AND contype = 'f' AND confdeltype IN ('c', 'n', 'd') LIMIT 1",
      [this.#table.oid],
    );
    if (key === undefined) return;
    throw new MillraceError(
      "WRITE_NOT_SUPPORTED",
      `an update of ${this.#table.sql} gives rows values of a unique index that others have, and ${key[0]} refers to the table with an action for deletes`,
      {
        hint: "Nothing was written. To exchange such values, rows are deleted and inserted again. Give the rows values that no row has, or drop the action of the foreign key.",
      },
    );
  }

  /** The server numbers some columns itself, unless it is told to take the values as they are. */
  async #insert(): Promise<number> {
    // The changes of a DELETE may have no other columns than the ids.
    if (this.#written.length === 0) return 0;
    const names = this.#written.join(", ");
    const values = this.#written.map((name) => `new.${name}`).join(", ");
    return await this.#count(
      `INSERT INTO ${this.#table.sql} (${names}) OVERRIDING SYSTEM VALUE SELECT ${values} FROM ${CHANGES} AS new
       WHERE new.${OPERATION} = ${CHANGE.insert} ORDER BY ${this.#order()} RETURNING 1`,
    );
  }

  /** Inserts in the order of the ids wait for each other in one direction only. */
  #order(): string {
    const ids = this.#layout.ids.fields.map(({ name }) => escapeIdentifier(name));
    return [
      ...ids.filter((name) => this.#written.includes(name)).map((name) => `new.${name}`),
      `new.${NUMBER}`,
    ].join(", ");
  }

  #idList(alias: string): string {
    return this.#layout.ids.fields.map((_, i) => `${alias}.${idColumn(i)}`).join(", ");
  }

  /** Returns how many rows a statement returns. */
  async #count(statement: string): Promise<number> {
    return await this.#number(`WITH changed AS (${statement}) SELECT count(*) FROM changed`);
  }

  async #number(sql: string): Promise<number> {
    const [[count] = []] = await this.#session.query(this.#doing, sql);
    return Number(count);
  }
}

/** SQLSTATE of an error of a unique index. */
const UNIQUE_VIOLATION = "23505";

function isUniqueViolation(error: unknown): boolean {
  return (
    MillraceError.is(error) && (error.cause as { code?: unknown } | undefined)?.code === UNIQUE_VIOLATION
  );
}
