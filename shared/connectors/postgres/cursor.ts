import { MillraceError } from "../../contract/errors.ts";
import { sameOffset } from "../../contract/offset.ts";
import type { Cells, Session } from "./connection.ts";
import { escapeIdentifier } from "./identifier.ts";
import type { ParsedOptions } from "./options.ts";
import { type Column, columnNamed, type Table } from "./table.ts";

/**
 * A place in the order of the rows: the values of `cursorColumn` and, if there are any,
 * `keyColumns`, by name and as PostgreSQL prints them; `{}` before the first row. All rows up to
 * it, and those equal to it, lie behind.
 */
export type Position = { readonly [column: string]: string };

/** Rows after one position, up to another one and with it. */
export type Range = { readonly after: Position; readonly upTo: Position };

/** What a statement is run with: `bind` returns the place of a value in it. */
export class Parameters {
  readonly values: unknown[] = [];

  /** `$1::type`. */
  bind(value: unknown, type: string): string {
    return `$${this.values.push(value)}::${type}`;
  }
}

const NUMBERS = ["int2", "int4", "int8", "numeric"];
const TEXTS = ["text", "varchar"];
/** What `now` and `zone` make a horizon of, by type. */
const HORIZONS: Readonly<Record<string, (now: string, zone: string) => string>> = {
  timestamptz: (now) => now,
  timestamp: (now, zone) => `${now} AT TIME ZONE ${zone}`,
  date: (now, zone) => `(${now} AT TIME ZONE ${zone})::date`,
  // Version 7 begins with 48 bits of milliseconds.
  uuid: (now) =>
    `(lpad(to_hex((extract(epoch FROM ${now}) * 1000)::bigint), 12, '0') || '70000000000000000000')::uuid`,
};

/**
 * The order of a table's rows by its cursor column, and by its key columns if that is the same.
 */
export class Cursor {
  readonly table: Table;
  readonly columns: readonly [Column, ...Column[]];

  /** Errors: `POSTGRES_TABLE_MISMATCH`, `POSTGRES_CURSOR_UNSAFE`. */
  constructor(table: Table, cursorColumn: string, keyColumns: readonly string[]) {
    const first = columnNamed(table, cursorColumn);
    if (first.isArray || ![...NUMBERS, ...TEXTS, ...Object.keys(HORIZONS)].includes(first.base)) {
      throw unsafe(
        `"${cursorColumn}" is ${first.type}, whose values tell no order of the rows`,
        NAME_ANOTHER,
      );
    }
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

  /** True if the first column tells times. */
  get tellsTime(): boolean {
    return this.columns[0].base in HORIZONS;
  }

  /** Rows of times before `lagSeconds` ago, by the clock of the server. */
  before(lagSeconds: number, parameters: Parameters): string {
    const [{ name, base }] = this.columns;
    const now = `(now() - make_interval(secs => ${parameters.bind(lagSeconds, "float8")}))`;
    // That of the session, which is not the one that values are printed in.
    const zone = "(SELECT reset_val FROM pg_settings WHERE name = 'TimeZone')";
    return `${escapeIdentifier(name)} < ${HORIZONS[base]?.(now, zone)}`;
  }

  /** Rows after a position. A null lies nowhere. */
  after(position: Position, parameters: Parameters): string {
    return (
      this.#compare(">", position, parameters) ?? `${escapeIdentifier(this.columns[0].name)} IS NOT NULL`
    );
  }

  /** Rows up to a position and with it. */
  upTo(position: Position, parameters: Parameters): string {
    return this.#compare("<=", position, parameters) ?? "false";
  }

  /** Rows before a position. */
  beforePosition(position: Position, parameters: Parameters): string {
    return this.#compare("<", position, parameters) ?? "false";
  }

  #compare(operator: string, position: Position, parameters: Parameters): string | undefined {
    const known = this.columns.filter(({ name }) => Object.hasOwn(position, name));
    if (known.length === 0) return undefined;
    const names = known.map(({ name }) => escapeIdentifier(name)).join(", ");
    const values = known.map(({ name, type }) => parameters.bind(position[name], type)).join(", ");
    return `(${names}) ${operator} (${values})`;
  }

  /** What is selected to make positions of. */
  get selected(): string {
    return this.columns.map(({ name }) => escapeIdentifier(name)).join(", ");
  }

  positionOf(cells: Cells): Position {
    return Object.fromEntries(this.columns.map(({ name }, i) => [name, cells[i] ?? ""]));
  }

  order(direction: "ASC" | "DESC" = "ASC"): string {
    return this.columns.map(({ name }) => `${escapeIdentifier(name)} ${direction}`).join(", ");
  }

  /** The position of the last row for which the conditions hold. */
  async last(
    session: Session,
    conditions: readonly string[],
    parameters: Parameters,
  ): Promise<Position | undefined> {
    const sql = `SELECT ${this.selected} FROM ${this.table.sql} WHERE ${conditions.join(" AND ")} ORDER BY ${this.order("DESC")} LIMIT 1`;
    const [row] = await session.query("looking for the last row", sql, parameters.values);
    return row === undefined ? undefined : this.positionOf(row);
  }

  /** Error: `OPTIONS_INVALID`, if the position is one of other columns. */
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

const NAME_ANOTHER = "Name a column that a sequence or the clock of the server fills.";

export function unsafe(problem: string, hint: string): MillraceError {
  return new MillraceError("POSTGRES_CURSOR_UNSAFE", `rows would be lost: ${problem}`, { hint });
}

/** The order of a table's rows, if the options name one. */
export function cursorOf(table: Table, { cursorColumn, keyColumns = [] }: ParsedOptions): Cursor | undefined {
  return cursorColumn === undefined ? undefined : new Cursor(table, cursorColumn, keyColumns);
}

/**
 * Positions that split the rows for which the conditions hold into parts of equal size: at most
 * `maxPartitions`, each of `minRows` or more. They are in order, and the end of the last part is
 * not among them. `undefined` if there are no rows.
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
  // Rows of one position stay together.
  return positions.filter((position, i) => i === 0 || !sameOffset(position, positions[i - 1] ?? {}));
}
