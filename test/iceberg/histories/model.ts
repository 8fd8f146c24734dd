import type { Row } from "../support/readers.ts";

/** A column that the table can have besides `id` and `batch`. */
export interface Column {
  readonly name: string;
  readonly type: "int" | "bigint" | "string";
}

/** The rows of a table by id. An id that is there twice can be in a table, but not here. */
export type Rows = ReadonlyMap<number, Row>;

/** Returns rows as readers return them: with all columns, sorted by id. */
export function expectedRows({
  rows,
  columns,
}: {
  readonly rows: Rows;
  readonly columns: readonly Column[];
}): Row[] {
  return [...rows.values()]
    .sort((a, b) => Number(a["id"]) - Number(b["id"]))
    .map((row) => ({
      id: row["id"],
      batch: row["batch"] ?? null,
      ...Object.fromEntries(columns.map(({ name }) => [name, row[name] ?? null])),
    }));
}

/** Adds the columns of a write to those of the table, and widens those that it has wider. */
export function mergedColumns(table: readonly Column[], written: readonly Column[]): Column[] {
  const added = written.filter(({ name }) => !table.some((own) => own.name === name));
  const merged = table.map((own) => {
    const other = written.find(({ name }) => name === own.name);
    return other?.type === "bigint" ? { ...own, type: other.type } : own;
  });
  return [...merged, ...added];
}

/** Adds a column, or widens one. Equal names have equal types, because two pipelines add them. */
export function evolvedColumns(columns: readonly Column[], widens: boolean): readonly Column[] {
  const narrow = columns.find(({ type }) => type === "int");
  if (narrow !== undefined && widens)
    return columns.map((column) => (column === narrow ? { ...column, type: "bigint" } : column));
  const n = columns.length;
  return [...columns, { name: `c${n}`, type: n % 2 === 0 ? "int" : "string" }];
}

export function ddlOf(columns: readonly Column[]): string {
  return ["id bigint", "batch int", ...columns.map(({ name, type }) => `${name} ${type}`)].join(", ");
}
