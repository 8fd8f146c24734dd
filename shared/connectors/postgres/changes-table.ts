import { MillraceError } from "../../contract/errors.ts";
import type { ScdType } from "../../contract/write/auto-cdc.ts";
import type { Session } from "../kit/postgres/session.ts";
import { lockCreation, withStatements } from "./batches-table.ts";
import { escapeIdentifier } from "./identifier.ts";
import type { ParsedOptions } from "./options.ts";
import { besideTable, columnNamed, findTable, quoteTable, readTable, type Table } from "./table.ts";
import { checkUnique } from "./unique-keys.ts";

/** The longest name that PostgreSQL keeps, in bytes. It cuts a longer one off. */
const MAX_NAME_BYTES = 63;
const SUFFIX = "_millrace_changes";

/** Columns of the side table beside the keys, and of a target with all states. */
export const START = "__START_AT";
export const END = "__END_AT";
const SEQUENCE_NAME = "__sequence";

/**
 * The side table of a merge. With type 1 it has a row for each key: the sequence of the last
 * change, and whether that was a delete. With type 2 it has a row for each change of each key.
 */
export class ChangesTable {
  readonly #name: string;
  readonly #keys: readonly string[];
  readonly #type: ScdType;

  /** Error: `OPTIONS_INVALID`, if the name of the table leaves no room for the suffix. */
  constructor(
    { table, changesTable }: Pick<ParsedOptions, "table" | "changesTable">,
    keys: readonly string[],
    type: ScdType,
  ) {
    this.#name = changesTable ?? besideTable(table, withSuffix);
    this.#keys = keys;
    this.#type = type;
  }

  get #unique(): readonly string[] {
    return this.#type === 1 ? this.#keys : [...this.#keys, SEQUENCE_NAME];
  }

  /**
   * Returns the table, and creates it in the current transaction if there is none. Its keys have
   * the types of the target's. Errors: `POSTGRES_TABLE_MISMATCH`, `POSTGRES_FAILED`.
   */
  async make(session: Session, target: Table): Promise<Table> {
    const there = await findTable(session, this.#name);
    if (there !== undefined) return await this.#checked(session, there);
    const statements = await this.#creation(session, target);
    try {
      await lockCreation(session, quoteTable(this.#name));
      // Another session may have made it while this one waited for the lock.
      if ((await findTable(session, this.#name)) === undefined)
        await session.execute(`making the table ${this.#name}`, statements.join("; "));
    } catch (error) {
      throw withStatements(error, statements);
    }
    return await this.#checked(session, await readTable(session, this.#name));
  }

  /** Checks a table that is there. In the step that plans a batch it may not be there yet. */
  async check(session: Session): Promise<void> {
    const there = await findTable(session, this.#name);
    if (there !== undefined) await this.#checked(session, there);
  }

  async #checked(session: Session, table: Table): Promise<Table> {
    try {
      for (const name of [...this.#keys, SEQUENCE_NAME, "__deleted", "__changed_at"])
        columnNamed(table, name);
      if (this.#type === 2) columnNamed(table, "__start_at");
      await checkUnique(session, table, this.#unique);
    } catch (error) {
      if (!MillraceError.is(error)) throw error;
      throw error.with({
        hint: `Nothing was written. It is no table of changes for these keys and storedAsScdType: ${this.#type}. Name another one with the option changesTable.`,
      });
    }
    return table;
  }

  async #creation(session: Session, target: Table): Promise<readonly string[]> {
    const sql = quoteTable(this.#name);
    const columns = [
      ...(await definitionsOf(session, target, this.#keys)).map((definition) => `${definition} NOT NULL`),
      `${SEQUENCE_NAME} bytea NOT NULL`,
      "__deleted boolean NOT NULL",
      "__changed_at timestamptz NOT NULL",
      ...(this.#type === 1 ? [] : [await this.#startDefinition(session, target)]),
      `PRIMARY KEY (${this.#unique.map(escapeIdentifier).join(", ")})`,
    ];
    const index = `CREATE INDEX ON ${sql} (__changed_at) WHERE __deleted`;
    return [`CREATE TABLE ${sql} (${columns.join(", ")})`, ...(this.#type === 1 ? [index] : [])];
  }

  async #startDefinition(session: Session, target: Table): Promise<string> {
    const [definition = ""] = await definitionsOf(session, target, [START]);
    return definition.replace(escapeIdentifier(START), "__start_at");
  }
}

function withSuffix(name: string): string {
  const changes = `${name}${SUFFIX}`;
  if (Buffer.byteLength(changes) <= MAX_NAME_BYTES) return changes;
  throw new MillraceError(
    "OPTIONS_INVALID",
    `Postgres: the name ${changes} of the table of changes has more than ${MAX_NAME_BYTES} bytes`,
    { hint: 'Nothing was written. Name a table with the option changesTable: "schema.name".' },
  );
}

/** Returns names, types and collations of columns as `CREATE TABLE` has them. */
async function definitionsOf(
  session: Session,
  table: Table,
  names: readonly string[],
): Promise<readonly string[]> {
  const rows = await session.query(
    "looking up the types of the keys",
    `SELECT a.attname, format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attcollation = t.typcollation THEN ''
       ELSE ' COLLATE ' || quote_ident(n.nspname) || '.' || quote_ident(l.collname) END
     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
     LEFT JOIN pg_collation l ON l.oid = a.attcollation LEFT JOIN pg_namespace n ON n.oid = l.collnamespace
     WHERE a.attrelid = $1 AND a.attname = ANY($2)`,
    [table.oid, names],
  );
  const types = new Map(rows.map(([name, type]) => [name, type]));
  return names.map((name) => `${escapeIdentifier(name)} ${types.get(columnNamed(table, name).name)}`);
}
