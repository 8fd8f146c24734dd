import type { RecordBatch, Schema } from "apache-arrow";
import { rowsOf } from "../../arrow/rows.ts";
import { selectColumns } from "../../arrow/select.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { Filter } from "../../contract/filters.ts";
import { filtersOf } from "../../contract/write/convert-filters.ts";
import { predicatesText } from "../../contract/write/predicate-text.ts";
import type { Disposition } from "../../contract/write/writer-table.ts";
import type { Session } from "../kit/postgres/session.ts";
import { Parameters } from "./cursor.ts";
import { conditionOf } from "./filters.ts";
import { escapeIdentifier } from "./identifier.ts";
import { jsonRows, sentRows } from "./sent-rows.ts";
import { comparedSchema, type Table } from "./table.ts";

/** Maximum number of JSON characters, and of partitions, in one statement. */
const MAX_CHARACTERS = 4 * 1024 * 1024;
const MAX_PARTITIONS = 5000;
const ORDINALITY = escapeIdentifier("number of the partition among those sent at once");

/** The rows of the table that a batch replaces. */
export type Replaced =
  | { readonly replaces: "none" | "all" | "partitions" }
  | { readonly replaces: "matching"; readonly filters: readonly Filter[] };

/**
 * Returns what a batch replaces. Called before anything is read. Throws `WRITE_NOT_SUPPORTED` for
 * predicates that are not sent to the server.
 */
export function replacedBy(disposition: Disposition): Replaced {
  if (disposition.replaces !== "matching") return disposition;
  const { predicates } = disposition;
  const filters = filtersOf(predicates);
  if (filters?.every(isTopLevel)) return { replaces: "matching", filters };
  throw new MillraceError(
    "WRITE_NOT_SUPPORTED",
    `table "postgres" cannot overwrite the rows with ${predicatesText(predicates)}`,
    {
      hint: "Nothing was read or written. Compare columns with values, and combine that with AND, OR and NOT.",
    },
  );
}

/** True if the filter names no fields of structs. */
export function isTopLevel(filter: Filter): boolean {
  if ("attribute" in filter) return filter.attribute.length === 1;
  if ("child" in filter) return isTopLevel(filter.child);
  return !("left" in filter) || (isTopLevel(filter.left) && isTopLevel(filter.right));
}

/**
 * Waits for all transactions that write to the table, and keeps others from writing until this one
 * ends. Otherwise two overwrites at once would each keep the rows of the other.
 */
export async function lockForOverwrite(session: Session, table: Table): Promise<void> {
  await session.execute(`locking ${table.sql}`, `LOCK TABLE ${table.sql} IN SHARE ROW EXCLUSIVE MODE`);
}

/**
 * Deletes the rows that match all filters, in the current transaction, and returns their number.
 * `unchanged` says in errors that nothing has happened. Error: `WRITE_NOT_SUPPORTED`.
 */
export async function deleteMatching(
  session: Session,
  table: Table,
  schema: Schema,
  filters: readonly Filter[],
  unchanged = "Nothing was changed.",
): Promise<number> {
  const parameters = new Parameters();
  const compared = comparedSchema(table, schema);
  const conditions = filters.map((filter) => {
    const condition = conditionOf(filter, table, compared, parameters);
    if (condition !== undefined) return `(${condition})`;
    throw new MillraceError(
      "WRITE_NOT_SUPPORTED",
      `the rows of ${table.sql} cannot be deleted by this filter: a column is missing, or PostgreSQL compares its type differently`,
      {
        hint: `${unchanged} Name top-level columns of the table that are numbers, booleans, texts of an exact collation, dates, times or UUIDs, and compare them with values.`,
      },
    );
  });
  const sql = `WITH gone AS (DELETE FROM ${table.sql} WHERE ${conditions.join(" AND ")} RETURNING 1) SELECT count(*) FROM gone`;
  const [[count] = []] = await session.query(`deleting from ${table.sql}`, sql, parameters.values);
  return Number(count);
}

/**
 * Deletes the rows of the partitions that occur in new rows: those with equal values of some
 * columns. A null equals a null. New rows must be inserted after all partitions are deleted.
 */
export class PartitionDeleter {
  readonly #session: Session;
  readonly #table: Table;
  readonly #schema: Schema;
  readonly #names: readonly string[];
  readonly #textOf: (row: Record<string, unknown>) => string;
  /** The partitions that were not sent yet, by the columns that are null in them. */
  #partitions = new Map<string, Set<string>>();
  #count = 0;
  #characters = 0;

  /** `names` are the partition columns, which must be fields of the schema. */
  constructor(session: Session, table: Table, schema: Schema, names: readonly string[]) {
    this.#session = session;
    this.#table = table;
    this.#names = names;
    this.#schema = schema.select([...names]);
    this.#textOf = jsonRows(this.#schema);
  }

  async add(batch: RecordBatch): Promise<void> {
    for (const row of rowsOf(selectColumns(batch, this.#names))) {
      const nulls = JSON.stringify(this.#names.filter((name) => row[name] === null));
      const text = this.#textOf(row);
      const known = this.#partitions.get(nulls) ?? new Set();
      this.#partitions.set(nulls, known);
      if (known.has(text)) continue;
      known.add(text);
      this.#count++;
      this.#characters += text.length;
      if (this.#count >= MAX_PARTITIONS || this.#characters >= MAX_CHARACTERS) await this.flush();
    }
  }

  /** Deletes the partitions that were added. */
  async flush(): Promise<void> {
    const partitions = this.#partitions;
    this.#partitions = new Map();
    this.#count = 0;
    this.#characters = 0;
    for (const [nulls, texts] of partitions)
      await this.#session.query(`deleting from ${this.#table.sql}`, this.#deleteOf(JSON.parse(nulls)), [
        `[${[...texts].join(",")}]`,
      ]);
  }

  /** With `=` for all columns that are not null, the server can use an index or a hash. */
  #deleteOf(nulls: readonly string[]): string {
    const { rows } = sentRows(this.#table, this.#schema, ORDINALITY);
    const conditions = this.#names.map((name) => {
      const sql = escapeIdentifier(name);
      return nulls.includes(name) ? `old.${sql} IS NULL` : `old.${sql} = gone.${sql}`;
    });
    return `DELETE FROM ${this.#table.sql} AS old USING (${rows}) AS gone WHERE ${conditions.join(" AND ")}`;
  }
}
