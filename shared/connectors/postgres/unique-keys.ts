import { MillraceError } from "../../contract/errors.ts";
import type { Session } from "../kit/postgres/session.ts";
import { escapeIdentifier } from "./identifier.ts";
import { columnNamed, type Table } from "./table.ts";

/** A unique index of a table. */
export interface UniqueIndex {
  readonly columns: readonly string[];
  readonly isPrimary: boolean;
  /** True if none of the columns may be null. */
  readonly isNotNull: boolean;
  /** False for a deferrable constraint, which `ON CONFLICT` cannot use. */
  readonly isImmediate: boolean;
}

/** Lists the unique indexes over plain columns that hold for all rows, the primary key first. */
const INDEXES = `
  SELECT i.indisprimary, i.indimmediate, bool_and(a.attnotnull OR t.typnotnull), json_agg(a.attname ORDER BY k.place)
  FROM pg_index i
  CROSS JOIN LATERAL unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(number, place)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
  JOIN pg_type t ON t.oid = a.atttypid
  WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
  GROUP BY i.indexrelid, i.indisprimary, i.indimmediate
  ORDER BY i.indisprimary DESC, i.indexrelid`;

/** Returns the unique indexes, the primary key first. */
export async function uniqueIndexes(session: Session, table: Table): Promise<readonly UniqueIndex[]> {
  const rows = await session.query("looking up the unique indexes", INDEXES, [table.oid]);
  return rows.map(([isPrimary, isImmediate, isNotNull, columns]) => ({
    columns: JSON.parse(columns ?? "[]") as string[],
    isPrimary: isPrimary === "t",
    isNotNull: isNotNull === "t",
    isImmediate: isImmediate === "t",
  }));
}

/**
 * Returns the columns that identify a row: those of `chosen`, else of the primary key, else of the
 * first unique index whose columns are not null. Error: `POSTGRES_TABLE_MISMATCH`.
 */
export async function rowIdOf(
  session: Session,
  table: Table,
  chosen: readonly string[] | undefined,
): Promise<readonly string[]> {
  for (const name of chosen ?? []) columnNamed(table, name);
  const indexes = (await uniqueIndexes(session, table)).filter(({ isNotNull }) => isNotNull);
  const index = chosen === undefined ? indexes[0] : indexes.find(({ columns }) => isSameSet(columns, chosen));
  if (index !== undefined) return chosen ?? index.columns;
  const [problem, hint] =
    chosen === undefined
      ? [
          "has no primary key, nor a unique index of columns that are NOT NULL",
          `Its rows cannot be told apart, so none can be changed. Nothing was read or written. Run \`ALTER TABLE ${table.sql} ADD PRIMARY KEY (…)\`.`,
        ]
      : [
          `has no unique index of just the columns ${chosen.join(", ")} of rowId, or one of them may be null`,
          `Nothing was read or written. Make them NOT NULL and run \`CREATE UNIQUE INDEX ON ${table.sql} (${listed(chosen)})\`, or leave rowId out.`,
        ];
  throw new MillraceError("POSTGRES_TABLE_MISMATCH", `${table.sql} ${problem}`, { hint });
}

/**
 * Checks that `ON CONFLICT` of these columns finds a unique index. Error:
 * `POSTGRES_TABLE_MISMATCH`.
 */
export async function checkUnique(session: Session, table: Table, columns: readonly string[]): Promise<void> {
  for (const name of columns) columnNamed(table, name);
  const indexes = await uniqueIndexes(session, table);
  if (indexes.some((index) => index.isImmediate && isSameSet(index.columns, columns))) return;
  throw new MillraceError(
    "POSTGRES_TABLE_MISMATCH",
    `${table.sql} has no unique index of just the columns ${columns.join(", ")}, by which changes are merged`,
    {
      hint: `Nothing was written. Run \`CREATE UNIQUE INDEX ON ${table.sql} (${listed(columns)})\`. A deferrable constraint does not do.`,
    },
  );
}

function listed(columns: readonly string[]): string {
  return columns.map(escapeIdentifier).join(", ");
}

function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name));
}
