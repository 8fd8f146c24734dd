import type { Chance } from "../engine/row-level/model.ts";

/** Types of columns whose values all engines of the histories have exactly. */
export type ColumnType = "bigint" | "int" | "string" | "double" | "timestamp";

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable: boolean;
}

/** The columns of a table, and those that identify its rows. Without keys rows may be equal. */
export interface TableShape {
  readonly columns: readonly Column[];
  readonly keys: readonly string[];
}

/** A value of a row. A timestamp is ISO 8601 text. */
export type Value = bigint | number | string | null;
export type HistoryRow = Readonly<Record<string, Value>>;

export const notNull = (name: string, type: ColumnType): Column => ({ name, type, nullable: false });
export const nullable = (name: string, type: ColumnType): Column => ({ name, type, nullable: true });

export const SHAPES: readonly TableShape[] = [
  {
    columns: [
      notNull("id", "bigint"),
      nullable("k", "int"),
      nullable("c", "string"),
      nullable("d", "double"),
      nullable("w", "timestamp"),
    ],
    keys: ["id"],
  },
  {
    columns: [
      notNull("a", "int"),
      notNull("b", "string"),
      nullable("n", "bigint"),
      notNull("k", "int"),
      nullable("d", "double"),
    ],
    keys: ["a", "b"],
  },
  {
    columns: [notNull("u", "timestamp"), nullable("k", "int"), nullable("j", "int"), nullable("c", "string")],
    keys: ["u"],
  },
  {
    columns: [
      nullable("id", "bigint"),
      nullable("k", "int"),
      nullable("d", "double"),
      nullable("w", "timestamp"),
    ],
    keys: [],
  },
];

/**
 * Few values, so that rows meet. Those of bigint, string and double are also the awkward ones, but
 * not -0: DuckDB does not write an update that only changes the sign of a zero.
 */
const VALUES: Readonly<Record<ColumnType, readonly Exclude<Value, null>[]>> = {
  bigint: [0n, 1n, 2n, 3n, 4n, 5n, -1n, 9_007_199_254_740_993n],
  int: [0, 1, 2, 3, 4, -1],
  string: ["", "a", "ab", "A", "ä", "b%", "it's", "😀", " a"],
  double: [0, 0.5, -1.5, 2, 1e300, Number.NaN, Number.POSITIVE_INFINITY, 0.1],
  timestamp: [
    "2026-01-01T00:00:00.000000Z",
    "2026-01-01T00:00:00.000001Z",
    "2026-03-29T01:30:00.000000Z",
    "1969-12-31T23:59:59.999999Z",
    "2026-01-02T00:00:00.500000Z",
  ],
};

/** Returns a random value of the type that is not null, of the first `count` ones. */
export function randomPresent(chance: Chance, type: ColumnType, count?: number): Exclude<Value, null> {
  return chance.pick(VALUES[type].slice(0, count));
}

export function randomValue(chance: Chance, { type, nullable }: Column): Value {
  return nullable && chance.below(4) === 0 ? null : randomPresent(chance, type);
}

export function randomRows(chance: Chance, columns: readonly Column[], count: number): HistoryRow[] {
  return Array.from({ length: count }, () =>
    Object.fromEntries(columns.map((column) => [column.name, randomValue(chance, column)])),
  );
}

/** Leaves out rows whose keys an earlier one has. */
export function distinctRows(rows: readonly HistoryRow[], keys: readonly string[]): HistoryRow[] {
  if (keys.length === 0) return [...rows];
  const textOf = (row: HistoryRow) => keys.map((key) => String(row[key])).join("|");
  return [...Map.groupBy(rows, textOf).values()].flatMap((equal) => equal.slice(0, 1));
}

export function ddlOf(columns: readonly Column[]): string {
  return columns
    .map(({ name, type, nullable }) => `${name} ${type}${nullable ? "" : " NOT NULL"}`)
    .join(", ");
}

const DUCKDB_TYPES: Readonly<Record<ColumnType, string>> = {
  bigint: "BIGINT",
  int: "INTEGER",
  string: "VARCHAR",
  double: "DOUBLE",
  timestamp: "TIMESTAMP",
};

export function duckDbType(type: ColumnType): string {
  return DUCKDB_TYPES[type];
}

/** Returns a literal of DuckDB. */
export function sqlOf(value: Value, type: ColumnType): string {
  const text = type === "double" && value !== null ? canonical(value, type) : String(value);
  if (value === null) return `CAST(NULL AS ${duckDbType(type)})`;
  const inUtc = type === "timestamp" ? text.slice(0, -1) : text;
  return `CAST('${inUtc.replaceAll("'", "''")}' AS ${duckDbType(type)})`;
}

/** Returns one text for each value, whichever engine it comes from. */
export function canonical(value: unknown, type: ColumnType): string {
  if (value === null || value === undefined) return "null";
  if (type === "double") {
    const text = String(value)
      .replace(/^(-?)inf$/i, "$1Infinity")
      .replace(/^nan$/i, "NaN");
    const number = typeof value === "number" ? value : Number(text);
    return Object.is(number, -0) ? "-0" : String(number);
  }
  if (type === "bigint" || type === "int") return String(BigInt(value as string | number | bigint));
  if (type === "string") return JSON.stringify(value);
  const [, start = "", fraction = ""] = /^(.{19})(?:\.(\d+))?Z$/.exec(String(value)) ?? [];
  return `${start}.${fraction.padEnd(6, "0")}`;
}

/** Returns rows in canonical form, sorted. */
export function canonicalRows(columns: readonly Column[], rows: readonly object[]): readonly string[] {
  return rows
    .map((row) =>
      columns.map(({ name, type }) => canonical((row as Record<string, unknown>)[name], type)).join(", "),
    )
    .sort();
}
