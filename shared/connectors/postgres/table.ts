import {
  Binary,
  Bool,
  DataType,
  DateDay,
  Decimal,
  Field,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  List,
  Schema,
  TimestampMicrosecond,
  Utf8,
} from "apache-arrow";
import { MillraceError } from "../../contract/errors.ts";
import { suggest } from "../../contract/suggest.ts";
import type { Session } from "../kit/postgres/session.ts";
import { escapeIdentifier } from "./identifier.ts";

/** A column as described in PostgreSQL's catalog. */
export interface Column {
  readonly name: string;
  /** The column's number in the table (`attnum`). */
  readonly number: string;
  /** The type as written in a cast: `bigint`, `numeric`, `orders.status`. */
  readonly type: string;
  /**
   * The catalog name of the type, such as `int8`. For a domain it is the underlying type; for an
   * array, the element type.
   */
  readonly base: string;
  readonly isArray: boolean;
  /** Precision and scale of a `numeric`; `undefined` if it has none. */
  readonly digits: readonly [precision: number, scale: number] | undefined;
  readonly isNullable: boolean;
  /** True if the collation is deterministic: only identical texts are equal. */
  readonly isExact: boolean;
  /** True if the collation orders texts by their bytes. */
  readonly isBytewise: boolean;
  /** The type as written in a cast; for a domain, the type below it, which has no checks. */
  readonly plainType: string;
  /** `always` if only the server numbers its rows, unless an INSERT overrides it. */
  readonly identity: "always" | "default" | "none";
  /** True if the server computes the value, so that no statement may set it. */
  readonly isGenerated: boolean;
  /**
   * True if the server has a value for a row that has none: a default, a number, or it computes
   * it.
   */
  readonly isFilled: boolean;
}

/** A table as described in PostgreSQL's catalog. */
export interface Table {
  readonly oid: string;
  /** The quoted name of the table, with its schema. */
  readonly sql: string;
  /** `relkind`: `r` is a table, `p` a partitioned table, `v` a view; there are others. */
  readonly kind: string;
  /** True if it may have triggers. */
  readonly hasTriggers: boolean;
  /** The columns in the table's order. */
  readonly columns: readonly Column[];
}

const COLUMNS = `
  SELECT c.oid, n.nspname, c.relname, c.relkind, c.relhastriggers, a.attname, a.attnum, format_type(a.atttypid, -1), coalesce(e.typname, b.typname),
    e.oid IS NOT NULL, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, a.attnotnull OR t.typnotnull,
    coalesce(l.collisdeterministic, true),
    coalesce(l.collname IN ('C', 'POSIX', 'ucs_basic')
      OR l.collname = 'default' AND d.datcollate IN ('C', 'POSIX') AND coalesce(to_jsonb(d)->>'datlocprovider', 'c') = 'c', false),
    format_type(b.oid, -1), a.attidentity, a.attgenerated <> '',
    a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
  LEFT JOIN pg_type e ON e.oid = b.typelem AND b.typcategory = 'A'
  LEFT JOIN pg_collation l ON l.oid = a.attcollation
  JOIN pg_database d ON d.datname = current_database()
  WHERE c.oid = to_regclass($1)
  ORDER BY a.attnum`;

/** Returns the table with this name, or `undefined` if there is none. */
export async function findTable(session: Session, name: string): Promise<Table | undefined> {
  const rows = await session.query(`looking up the table ${name}`, COLUMNS, [quoteTable(name)]);
  const [oid, schema, table, kind, hasTriggers] = rows[0] ?? [];
  if (oid == null || schema == null || table == null || kind == null) return undefined;
  return {
    oid,
    sql: `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`,
    kind,
    hasTriggers: hasTriggers === "t",
    columns: rows.map(columnOf),
  };
}

/** Returns the table with this name. Error: `POSTGRES_TABLE_MISMATCH`. */
export async function readTable(session: Session, name: string): Promise<Table> {
  const table = await findTable(session, name);
  if (table !== undefined) return table;
  throw new MillraceError(
    "POSTGRES_TABLE_MISMATCH",
    `there is no table ${name}, or the user may not see it`,
    {
      hint: "Name it as schema.table; capital letters count.",
    },
  );
}

function columnOf(row: readonly (string | null)[]): Column {
  const [name, number, type, base, isArray, modifier, isNotNull, isExact, isBytewise, ...others] =
    row.slice(5);
  const [plainType, identity, isGenerated, isFilled] = others;
  return {
    name: name ?? "",
    number: number ?? "",
    type: type ?? "",
    base: base ?? "",
    isArray: isArray === "t",
    digits: base === "numeric" ? digitsOf(Number(modifier)) : undefined,
    isNullable: isNotNull === "f",
    isExact: isExact === "t",
    isBytewise: isBytewise === "t",
    plainType: plainType ?? "",
    identity: identity === "a" ? "always" : identity === "d" ? "default" : "none",
    isGenerated: isGenerated === "t",
    isFilled: isFilled === "t",
  };
}

/**
 * Decodes precision and scale from the type modifier of a `numeric`. The modifier is -1 if it has
 * none.
 */
function digitsOf(modifier: number): readonly [number, number] | undefined {
  if (modifier < 0) return undefined;
  // Since PostgreSQL 15 the scale is an 11-bit number that may be negative.
  return [((modifier - 4) >> 16) & 0xffff, (((modifier - 4) & 0x7ff) ^ 1024) - 1024];
}

/** Returns the column with this name. Error: `POSTGRES_TABLE_MISMATCH`. */
export function columnNamed<C extends Pick<Column, "name"> = Column>(
  table: { readonly sql: string; readonly columns: readonly C[] },
  name: string,
): C {
  const column = table.columns.find((one) => one.name === name);
  if (column !== undefined) return column;
  const names = table.columns.map((one) => one.name);
  throw new MillraceError(
    "POSTGRES_TABLE_MISMATCH",
    `${table.sql} has no column "${name}"${suggest(name, names)}`,
    { hint: "Write columns as the table has them; capital letters count." },
  );
}

/**
 * Returns the fields as which the columns of a table are compared with values: those of its
 * catalog. A `numeric` without a precision is compared as the field of the rows; without one it is
 * left out.
 */
export function comparedSchema(table: Table, rows: Schema): Schema {
  return new Schema(
    table.columns.flatMap((column) => {
      if (column.base === "numeric" && !hasDecimal(column)) {
        const own = rows.fields.find(({ name, type }) => name === column.name && DataType.isDecimal(type));
        return own ?? [];
      }
      return new Field(column.name, arrowType(table, column), column.isNullable);
    }),
  );
}

const TYPES: Readonly<Record<string, () => DataType>> = {
  bool: () => new Bool(),
  int2: () => new Int16(),
  int4: () => new Int32(),
  int8: () => new Int64(),
  float4: () => new Float32(),
  float8: () => new Float64(),
  bytea: () => new Binary(),
  date: () => new DateDay(),
  timestamp: () => new TimestampMicrosecond(),
  timestamptz: () => new TimestampMicrosecond("UTC"),
};

/**
 * Returns the Arrow schema of these columns. Types without an Arrow equivalent become strings in
 * PostgreSQL's text format. Error: `POSTGRES_TABLE_MISMATCH`.
 */
export function schemaOf(table: Table, names: readonly string[] | undefined): Schema {
  const columns = names?.map((name) => columnNamed(table, name)) ?? table.columns;
  return new Schema(
    columns.map((column) => new Field(column.name, arrowType(table, column), column.isNullable)),
  );
}

function arrowType(table: Table, column: Column): DataType {
  const type = column.base === "numeric" ? decimalOf(table, column) : (TYPES[column.base]?.() ?? new Utf8());
  return column.isArray ? new List(new Field("element", type, true)) : type;
}

/** True if a decimal can hold all values of a `numeric` column. */
function hasDecimal({ digits }: Column): boolean {
  const [precision, scale] = digits ?? [0, 0];
  return precision >= 1 && precision <= 38 && scale >= 0 && scale <= precision;
}

function decimalOf(table: Table, column: Column): DataType {
  const { name, digits } = column;
  const [precision, scale] = digits ?? [0, 0];
  if (hasDecimal(column)) return new Decimal(scale, precision, 128);
  const problem = digits === undefined ? "no precision" : `the precision ${precision} and the scale ${scale}`;
  throw new MillraceError(
    "POSTGRES_TABLE_MISMATCH",
    `the numeric column "${name}" of ${table.sql} has ${problem}, which no decimal can hold`,
    {
      hint: `Give the schema with .schema(…), in it "${name}" as a decimal(38,9) that is wide enough, or as a string.`,
    },
  );
}

/** Returns `schema.table` or `table` with each part quoted for SQL. Error: `OPTIONS_INVALID`. */
export function quoteTable(name: string): string {
  const parts = /^(?:("(?:[^"]|"")+"|[^".]+)\.)?("(?:[^"]|"")+"|[^".]+)$/.exec(name);
  if (parts === null) {
    throw new MillraceError("OPTIONS_INVALID", `Postgres: "${name}" names no table`, {
      hint: 'Write schema.table or table; "my.table" in quotes where a name has a dot.',
    });
  }
  return parts
    .slice(1)
    .filter((part) => part !== undefined)
    .map((part) => (part.startsWith('"') ? part : escapeIdentifier(part)))
    .join(".");
}

/**
 * Returns the name of a table in the same schema as another table. `rename` receives the name of
 * that table without quotes.
 */
export function besideTable(table: string, rename: (name: string) => string): string {
  const [, schema = "", name = ""] = /^(?:(.+)\.)?("[^"]*(?:""[^"]*)*"|[^".]+)$/.exec(table) ?? [];
  const plain = name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
  const renamed = escapeIdentifier(rename(plain));
  return schema === "" ? renamed : `${schema}.${renamed}`;
}
