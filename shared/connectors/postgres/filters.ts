import { DataType, type Field, Precision, Schema } from "apache-arrow";
import { escapeIdentifier } from "pg";
import { recordBatchOf } from "../../arrow/record-batches.ts";
import { rowsOf } from "../../arrow/rows.ts";
import type { Filter } from "../../contract/filters.ts";
import type { Parameters } from "./cursor.ts";
import type { Column, Table } from "./table.ts";

const COMPARISONS = {
  GreaterThan: ">",
  GreaterThanOrEqual: ">=",
  LessThan: "<",
  LessThanOrEqual: "<=",
} as const;

const PATTERNS = {
  StringStartsWith: (text: string) => `${text}%`,
  StringEndsWith: (text: string) => `%${text}`,
  StringContains: (text: string) => `%${text}%`,
};

/** A filter as a condition; `undefined` where PostgreSQL would not see it exactly as Millrace does. */
export function conditionOf(
  filter: Filter,
  table: Table,
  schema: Schema,
  parameters: Parameters,
): string | undefined {
  if (filter.kind === "Not") {
    const child = conditionOf(filter.child, table, schema, parameters);
    return child === undefined ? undefined : `NOT (${child})`;
  }
  const [attribute] = filter.attribute;
  const field = schema.fields.find((one) => one.name === attribute);
  const column = table.columns.find((one) => one.name === attribute);
  if (field === undefined || column === undefined || filter.attribute.length > 1) return undefined;
  const name = escapeIdentifier(column.name);
  if (filter.kind === "IsNull") return `${name} IS NULL`;
  if (filter.kind === "IsNotNull") return `${name} IS NOT NULL`;
  const type = comparedAs(field, column);
  if (type === undefined) return undefined;
  const printed = (value: unknown) => print(field, value, type);
  if (filter.kind === "In") {
    const values = filter.value.map(printed);
    return values.includes(undefined) ? undefined : `${name} = ANY(${parameters.bind(values, `${type}[]`)})`;
  }
  const value = printed(filter.value);
  if (value === undefined) return undefined;
  if (filter.kind === "EqualTo") return `${name} = ${parameters.bind(value, type)}`;
  if (filter.kind === "EqualNullSafe") return `${name} IS NOT DISTINCT FROM ${parameters.bind(value, type)}`;
  if (filter.kind in PATTERNS) {
    if (type !== "text" || value === null) return undefined;
    const pattern = PATTERNS[filter.kind as keyof typeof PATTERNS](value.replace(/[\\%_]/g, "\\$&"));
    return `${name} LIKE ${parameters.bind(pattern, type)}`;
  }
  // Millrace orders strings by their characters, a database by its language.
  const collation = type === "text" ? 'COLLATE "C" ' : "";
  const operator = COMPARISONS[filter.kind as keyof typeof COMPARISONS];
  return `${name} ${collation}${operator} ${parameters.bind(value, type)}`;
}

/** The type of the values in a comparison with the column, where both sides mean the same by it. */
function comparedAs({ type }: Field, { base, isArray, isExact }: Column): string | undefined {
  if (isArray) return undefined;
  if (DataType.isInt(type)) return /^int\d$/.test(base) ? "int8" : undefined;
  if (DataType.isDecimal(type)) return base === "numeric" ? "numeric" : undefined;
  if (DataType.isFloat(type)) return base === FLOATS[type.precision] ? base : undefined;
  if (DataType.isBool(type)) return base === "bool" ? base : undefined;
  if (DataType.isDate(type)) return base === "date" ? base : undefined;
  if (DataType.isTimestamp(type))
    return base === (type.timezone ? "timestamptz" : "timestamp") ? base : undefined;
  if (!DataType.isUtf8(type)) return undefined;
  if (base === "uuid") return base;
  return (base === "text" || base === "varchar") && isExact ? "text" : undefined;
}

const FLOATS: Readonly<Partial<Record<Precision, string>>> = {
  [Precision.SINGLE]: "float4",
  [Precision.DOUBLE]: "float8",
};
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A value as PostgreSQL reads it, on the way that a row's value takes; `undefined` where it does not. */
function print(field: Field, value: unknown, type: string): string | null | undefined {
  const column = new Schema([field.clone({ nullable: true })]);
  const [row = {}] = rowsOf(recordBatchOf(column, [[value]]));
  const converted = row[field.name] ?? null;
  if (converted === null) return null;
  const text = String(converted);
  const isRead = type === "uuid" ? UUID.test(text) : !text.includes("\0");
  return isRead ? text : undefined;
}
