import type { Field, Schema } from "apache-arrow";
import { type ColumnDifference, describeDifferences, remedyOf } from "../../arrow/compare-schemas.ts";
import { typeName } from "../../contract/ddl/print.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { OnSchemaChange } from "../../contract/write/write-info.ts";
import type { Session } from "../kit/postgres/session.ts";
import { sqlType } from "./create.ts";
import { escapeIdentifier } from "./identifier.ts";
import { type Column, readTable, type Table } from "./table.ts";

/** What a batch may do to a table whose columns are others than those of its rows. */
export type SchemaChoice = "fail" | "evolve";

/** Returns the choice. Error: `WRITE_NOT_SUPPORTED` for `ignore`. */
export function choiceOf(onSchemaChange: OnSchemaChange = "fail"): SchemaChoice {
  if (onSchemaChange !== "ignore") return onSchemaChange;
  throw new MillraceError("WRITE_NOT_SUPPORTED", "Postgres leaves out no columns of the rows", {
    hint: 'Nothing was read or written. Remove `.onSchemaChange("ignore")` and leave the columns out of the schema, or add them: `.onSchemaChange("evolve")`.',
  });
}

/** What a table needs so that it takes rows. */
interface TableChange {
  readonly differences: readonly ColumnDifference[];
  /** The parts of an ALTER TABLE. */
  readonly actions: readonly string[];
}

/**
 * Checks that a table takes rows of a schema, now or after a change. Errors:
 * `POSTGRES_TABLE_MISMATCH`, with all columns.
 */
export function checkColumns(
  table: Table,
  schema: Schema,
  keyColumns: readonly string[],
  choice: SchemaChoice,
): void {
  const { differences } = changeOf(table, schema, keyColumns);
  const left = choice === "evolve" ? differences.filter(({ evolves }) => !evolves) : differences;
  if (left.length === 0) return;
  throw new MillraceError(
    "POSTGRES_TABLE_MISMATCH",
    `${table.sql} does not have the columns of the rows: ${describeDifferences(left)}`,
    { hint: `Nothing was written. ${remedyOf(left)}` },
  );
}

/**
 * Adds the columns that a table lacks, and widens those that are too narrow, in the transaction of
 * the session. Returns the table as it is then. Errors: those of `checkColumns`, `POSTGRES_FAILED`.
 */
export async function evolved(
  session: Session,
  name: string,
  table: Table,
  schema: Schema,
  keyColumns: readonly string[],
): Promise<Table> {
  checkColumns(table, schema, keyColumns, "evolve");
  const { actions } = changeOf(table, schema, keyColumns, true);
  if (actions.length === 0) return table;
  await session.execute(
    `changing the columns of ${table.sql}`,
    `ALTER TABLE ${table.sql} ${actions.join(", ")}`,
  );
  return await readTable(session, name);
}

/**
 * A column that is narrower than the rows is a difference only if it is widened: without that, each
 * value that fits is stored.
 */
function changeOf(table: Table, schema: Schema, keyColumns: readonly string[], widens = false): TableChange {
  const differences: ColumnDifference[] = [];
  const actions: string[] = [];
  for (const field of schema.fields) {
    const { name } = field;
    const column = table.columns.find((one) => one.name === name);
    if (column === undefined) {
      const evolves = !keyColumns.includes(name);
      differences.push({ column: name, text: `"${name}" (${typeName(field.type)}) is new`, evolves });
      if (evolves)
        actions.push(`ADD COLUMN IF NOT EXISTS ${escapeIdentifier(name)} ${sqlType(name, field.type)}`);
    } else if (widens) {
      const wider = widerType(column, field);
      if (wider !== undefined) actions.push(`ALTER COLUMN ${escapeIdentifier(name)} TYPE ${wider}`);
    }
  }
  return { differences: [...differences, ...neededColumns(table, schema)], actions };
}

/** The columns that the rows lack and that the table cannot fill. A trigger might. */
function neededColumns(table: Table, schema: Schema): readonly ColumnDifference[] {
  if (table.hasTriggers) return [];
  const names = new Set(schema.fields.map(({ name }) => name));
  return table.columns
    .filter(({ name, isNullable, isFilled }) => !names.has(name) && !isNullable && !isFilled)
    .map(({ name }) => ({
      column: name,
      text: `"${name}" is gone: the rows do not have it, and it is NOT NULL without a default`,
      evolves: false,
    }));
}

const RANKS: Readonly<Record<string, readonly [family: string, rank: number]>> = {
  int2: ["integer", 2],
  int4: ["integer", 4],
  int8: ["integer", 8],
  float4: ["float", 4],
  float8: ["float", 8],
};
const SQL_RANKS: Readonly<Record<string, readonly [family: string, rank: number]>> = {
  smallint: ["integer", 2],
  integer: ["integer", 4],
  bigint: ["integer", 8],
  real: ["float", 4],
  "double precision": ["float", 8],
};

/** Returns the type of the rows, if it holds all values of the column, and more. */
function widerType(column: Column, { name, type }: Field): string | undefined {
  // A domain has checks of its own, and the elements of arrays are not widened.
  if (column.isArray || column.type !== column.plainType) return undefined;
  const wanted = sqlType(name, type);
  const digits = /^numeric\((\d+), (\d+)\)$/.exec(wanted);
  if (digits !== null) {
    const [precision, scale] = column.digits ?? [Number.POSITIVE_INFINITY, -1];
    const isWider = column.base === "numeric" && scale === Number(digits[2]) && precision < Number(digits[1]);
    return isWider ? wanted : undefined;
  }
  const [own, other] = [RANKS[column.base], SQL_RANKS[wanted]];
  return own !== undefined && own[0] === other?.[0] && own[1] < other[1] ? wanted : undefined;
}
