import { MillraceError } from "../../contract/errors.ts";
import { sameOffset } from "../../contract/offset.ts";
import type { Cells, Session } from "../kit/postgres/session.ts";
import { escapeIdentifier } from "./identifier.ts";
import type { ParsedOptions } from "./options.ts";
import { type Column, columnNamed, type Table } from "./table.ts";

/**
 * A position in the order of the rows: the values of `cursorColumn` and, if set, `keyColumns`, by
 * name and in PostgreSQL's text format. `{}` is the position before the first row. Rows at or
 * before the position have been read.
 */
export type Position = { readonly [column: string]: string };

/**
 * The name under which an offset has what the table was, beside the position. No cursor or key
 * column can have it.
 */
export const MARK = "(table)";

/** The rows after position `after` (exclusive) up to `upTo` (inclusive). */
export type Range = { readonly after: Position; readonly upTo: Position };

/** The values of a statement's parameters. `bind` adds a value and returns its placeholder. */
export class Parameters {
  readonly values: unknown[] = [];

  /** Returns a placeholder such as `$1::type`. */
  bind(value: unknown, type: string): string {
    return `$${this.values.push(value)}::${type}`;
  }
}

/** SQL for the session's default time zone. `PRINTED_ALIKE` changes the current one. */
export const SESSION_ZONE = "(SELECT reset_val FROM pg_settings WHERE name = 'TimeZone')";

const NUMBERS = ["int2", "int4", "int8", "numeric"];
const TEXTS = ["text", "varchar"];
/** Types whose order depends on a collation. */
const COLLATED = [...TEXTS, "bpchar", "name"];
/**
 * Functions that return the SQL for the upper bound of the cursor column, by type of the column.
 * They receive SQL for a time and a time zone.
 */
const HORIZONS: Readonly<Record<string, (now: string, zone: string) => string>> = {
  timestamptz: (now) => now,
  timestamp: (now, zone) => `${now} AT TIME ZONE ${zone}`,
  date: (now, zone) => `(${now} AT TIME ZONE ${zone})::date`,
  // A UUID of version 7 starts with the time in milliseconds (48 bits).
  uuid: (now) =>
    `(lpad(to_hex((extract(epoch FROM ${now}) * 1000)::bigint), 12, '0') || '70000000000000000000')::uuid`,
};

/**
 * The order of a table's rows by the cursor column. Rows with equal values are ordered by the key
 * columns.
 */
export class Cursor {
  readonly table: Table;
  readonly columns: readonly [Column, ...Column[]];

  /**
   * Checks that the columns can order the rows. Errors: `POSTGRES_TABLE_MISMATCH`,
   * `POSTGRES_CURSOR_UNSAFE`.
   */
  constructor(table: Table, cursorColumn: string, keyColumns: readonly string[]) {
    const first = columnNamed(table, cursorColumn);
    if (!canOrder(first)) {
      throw unsafe(
        `"${cursorColumn}" is ${first.type}, whose values tell no order of the rows`,
        NAME_ANOTHER,
      );
    }
    if ([cursorColumn, ...keyColumns].includes(MARK))
      throw unsafe(`a column cannot be called "${MARK}" in an offset`, "Rename the column.");
    const keys = keyColumns.filter((name) => name !== cursorColumn).map((name) => columnNamed(table, name));
    const nullable = keys.find((column) => column.isNullable);
    if (nullable !== undefined) {
      throw new MillraceError("POSTGRES_TABLE_MISMATCH", `the key column "${nullable.name}" may be null`, {
        hint: "Rows with a null would be lost between two batches: name key columns that are NOT NULL.",
      });
    }
    this.table = table;
    this.columns = [first, ...keys];
  }

  /** True if the cursor column contains times (dates, timestamps or UUIDs of version 7). */
  get tellsTime(): boolean {
    return this.columns[0].base in HORIZONS;
  }

  /** Returns the condition for rows older than `lagSeconds` by the server's clock. */
  before(lagSeconds: number, parameters: Parameters): string {
    const [{ name, base }] = this.columns;
    const now = `(now() - make_interval(secs => ${parameters.bind(lagSeconds, "float8")}))`;
    return `${escapeIdentifier(name)} < ${HORIZONS[base]?.(now, SESSION_ZONE)}`;
  }

  /**
   * Returns the condition for rows after a position. It excludes rows whose cursor column is null.
   */
  after(position: Position, parameters: Parameters): string {
    return (
      this.#compare(">", position, parameters) ?? `${escapeIdentifier(this.columns[0].name)} IS NOT NULL`
    );
  }

  /** Returns the condition for rows up to and including a position. */
  upTo(position: Position, parameters: Parameters): string {
    return this.#compare("<=", position, parameters) ?? "false";
  }

  /** Returns the condition for rows at or after a position. */
  notBefore(position: Position, parameters: Parameters): string {
    return this.#compare(">=", position, parameters) ?? "true";
  }

  /** Returns the condition for rows with a position's cursor that do not lie after it. */
  atCursor(position: Position, parameters: Parameters): string {
    const [{ name, type }] = this.columns;
    const isEqual = `${orderedBy(this.columns[0])} = ${parameters.bind(position[name], type)}`;
    return `${isEqual} AND ${this.upTo(position, parameters)}`;
  }

  /** Returns the condition for rows before a position. */
  beforePosition(position: Position, parameters: Parameters): string {
    return this.#compare("<", position, parameters) ?? "false";
  }

  #compare(operator: string, position: Position, parameters: Parameters): string | undefined {
    const known = this.columns.filter(({ name }) => Object.hasOwn(position, name));
    if (known.length === 0) return undefined;
    const names = known.map(orderedBy).join(", ");
    const values = known.map(({ name, type }) => parameters.bind(position[name], type)).join(", ");
    return `(${names}) ${operator} (${values})`;
  }

  /** The columns to select for `positionOf`. */
  get selected(): string {
    return this.columns.map(({ name }) => escapeIdentifier(name)).join(", ");
  }

  positionOf(cells: Cells): Position {
    return Object.fromEntries(this.columns.map(({ name }, i) => [name, cells[i] ?? ""]));
  }

  order(direction: "ASC" | "DESC" = "ASC"): string {
    return this.columns.map((column) => `${orderedBy(column)} ${direction}`).join(", ");
  }

  /**
   * Returns the condition for rows that lie on the other side of a position if they are ordered by
   * the collation of the database, as older versions did. Returns `undefined` if there are none.
   */
  disputed(position: Position, parameters: Parameters): string | undefined {
    const [column] = this.columns;
    const { name, type } = column;
    if (orderedBy(column) === escapeIdentifier(name)) return undefined;
    const value = parameters.bind(position[name], type);
    return `(${escapeIdentifier(name)} > ${value}) <> (${orderedBy(column)} > ${value})`;
  }

  /** Returns the position of the first row, or `undefined` if there is none. */
  async first(session: Session): Promise<Position | undefined> {
    const condition = this.after({}, new Parameters());
    const sql = `SELECT ${this.selected} FROM ${this.table.sql} WHERE ${condition} ORDER BY ${this.order()} LIMIT 1`;
    const [row] = await session.query("looking for the first row", sql);
    return row === undefined ? undefined : this.positionOf(row);
  }

  /**
   * Returns the position of the last row that meets the conditions, or `undefined` if there is
   * none.
   */
  async last(
    session: Session,
    conditions: readonly string[],
    parameters: Parameters,
  ): Promise<Position | undefined> {
    const sql = `SELECT ${this.selected} FROM ${this.table.sql} WHERE ${conditions.join(" AND ")} ORDER BY ${this.order("DESC")} LIMIT 1`;
    const [row] = await session.query("looking for the last row", sql, parameters.values);
    return row === undefined ? undefined : this.positionOf(row);
  }

  /** Checks that a position has the columns of this cursor. Error: `OPTIONS_INVALID`. */
  check(position: Position): void {
    const given = Object.keys(position);
    const names = this.columns.map(({ name }) => name);
    const isPrefix = names.slice(0, given.length).every((name) => given.includes(name));
    if (given.length <= names.length && isPrefix) return;
    throw new MillraceError(
      "OPTIONS_INVALID",
      `Postgres: the stream has been read by ${given.join(", ")}, the options say ${names.join(", ")}`,
      {
        hint: "Set cursorColumn and keyColumns back, or give the pipeline another name: it then begins anew.",
      },
    );
  }
}

/**
 * Returns the SQL by which rows are ordered. Text is ordered by its bytes, as programs that make
 * ids do: the collation of a database may change with a library, and may take different texts for
 * equal.
 */
function orderedBy({ name, base, isBytewise }: Column): string {
  const isCollated = COLLATED.includes(base) && !isBytewise;
  return isCollated ? `${escapeIdentifier(name)} COLLATE "C"` : escapeIdentifier(name);
}

const NAME_ANOTHER = "Name a column that a sequence or the clock of the server fills.";

export function unsafe(problem: string, hint: string): MillraceError {
  return new MillraceError("POSTGRES_CURSOR_UNSAFE", `rows would be lost: ${problem}`, { hint });
}

/** True if values of the column tell an order of the rows. */
export function canOrder({ base, isArray }: Column): boolean {
  return !isArray && [...NUMBERS, ...TEXTS, ...Object.keys(HORIZONS)].includes(base);
}

/** Returns the cursor for the option `cursorColumn`, or `undefined` if it is not set. */
export function cursorOf(table: Table, { cursorColumn, keyColumns = [] }: ParsedOptions): Cursor | undefined {
  return cursorColumn === undefined ? undefined : new Cursor(table, cursorColumn, keyColumns);
}

/**
 * Returns the positions that split the rows that meet the conditions into parts of equal size.
 * There are at most `maxPartitions` parts, each with at least `minRows` rows. The positions are in
 * order and do not include the end of the last part. Returns `undefined` if there are no rows.
 */
export async function splitRows(
  session: Session,
  cursor: Cursor,
  conditions: readonly string[],
  parameters: Parameters,
  { maxPartitions, fetchSize: minRows }: Pick<ParsedOptions, "maxPartitions" | "fetchSize">,
): Promise<readonly Position[] | undefined> {
  const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
  const from = `FROM ${cursor.table.sql} ${where}`;
  const doing = "splitting the rows into partitions";
  const [[count] = []] = await session.query(doing, `SELECT count(*) ${from}`, parameters.values);
  const rows = Number(count);
  if (rows === 0) return undefined;
  const step = Math.max(minRows, Math.ceil(rows / maxPartitions));
  if (step >= rows) return [];
  const numbered = `SELECT ${cursor.selected}, row_number() OVER (ORDER BY ${cursor.order()}) AS "row number" ${from}`;
  const ends = await session.query(
    doing,
    `SELECT * FROM (${numbered}) AS numbered WHERE "row number" % ${step} = 0 ORDER BY "row number"`,
    parameters.values,
  );
  const positions = ends.slice(0, Math.ceil(rows / step) - 1).map((row) => cursor.positionOf(row));
  // Removes equal positions, because rows with the same position must stay in one part.
  return positions.filter((position, i) => i === 0 || !sameOffset(position, positions[i - 1] ?? {}));
}
