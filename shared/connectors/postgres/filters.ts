import { DataType, type Field, Precision, Schema } from "apache-arrow";
import { recordBatchOf } from "../../arrow/record-batches.ts";
import { rowsOf } from "../../arrow/rows.ts";
import type { Filter, LeafFilter } from "../../contract/filters.ts";
import { Parameters } from "./cursor.ts";
import { escapeIdentifier } from "./identifier.ts";
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

/** A filter that compares a column with one value. */
type Comparison = Exclude<LeafFilter, { readonly kind: "In" | "IsNull" | "IsNotNull" }>;

/**
 * Returns a filter as an SQL condition, which may stand beside `AND`. Returns `undefined` if
 * PostgreSQL would evaluate it differently than Millrace does; then nothing is bound.
 */
export function conditionOf(
  filter: Filter,
  table: Table,
  schema: Schema,
  parameters: Parameters,
): string | undefined {
  // PostgreSQL refuses a parameter that no condition uses, so it is tried with others first.
  const bindTo = (own: Parameters) =>
    condition(filter, (leaf: LeafFilter) => leafCondition(leaf, table, schema, own));
  return bindTo(new Parameters()) && bindTo(parameters);
}

type LeafCondition = (leaf: LeafFilter) => string | undefined;

function condition(filter: Filter, leafOf: LeafCondition): string | undefined {
  switch (filter.kind) {
    case "AlwaysTrue":
      return "TRUE";
    case "AlwaysFalse":
      return "FALSE";
    case "Not": {
      const child = condition(filter.child, leafOf);
      return child && `NOT (${child})`;
    }
    case "And":
    case "Or": {
      const [left, right] = [condition(filter.left, leafOf), condition(filter.right, leafOf)];
      return left && right && `((${left}) ${filter.kind.toUpperCase()} (${right}))`;
    }
    default:
      return leafOf(filter);
  }
}

function leafCondition(
  filter: LeafFilter,
  table: Table,
  schema: Schema,
  parameters: Parameters,
): string | undefined {
  const [attribute] = filter.attribute;
  const field = schema.fields.find((one) => one.name === attribute);
  const column = table.columns.find((one) => one.name === attribute);
  if (field === undefined || column === undefined || filter.attribute.length > 1) return undefined;
  const name = escapeIdentifier(column.name);
  if (filter.kind === "IsNull") return `${name} IS NULL`;
  if (filter.kind === "IsNotNull") return `${name} IS NOT NULL`;
  const type = comparedAs(field, column);
  if (type === undefined) return undefined;
  if (filter.kind === "In") {
    const values = filter.value.map((value) => print(field, value, type));
    return values.includes(undefined) ? undefined : `${name} = ANY(${parameters.bind(values, `${type}[]`)})`;
  }
  const value = print(field, filter.value, type);
  return value === undefined ? undefined : comparison(name, filter.kind, value, type, parameters);
}

/** Returns the SQL that compares a column with one value. */
function comparison(
  name: string,
  kind: Comparison["kind"],
  value: string | null,
  type: string,
  parameters: Parameters,
): string | undefined {
  if (kind === "EqualTo") return `${name} = ${parameters.bind(value, type)}`;
  if (kind === "EqualNullSafe") return `${name} IS NOT DISTINCT FROM ${parameters.bind(value, type)}`;
  if (kind in PATTERNS) {
    if (type !== "text" || value === null) return undefined;
    const pattern = PATTERNS[kind as keyof typeof PATTERNS](value.replace(/[\\%_]/g, "\\$&"));
    return `${name} LIKE ${parameters.bind(pattern, type)}`;
  }
  // Millrace orders strings by code points; a database may order them by the rules of a language.
  const collation = type === "text" ? 'COLLATE "C" ' : "";
  const operator = COMPARISONS[kind as keyof typeof COMPARISONS];
  return `${name} ${collation}${operator} ${parameters.bind(value, type)}`;
}

/**
 * Returns the SQL type in which the column is compared with a value, or `undefined` if PostgreSQL
 * and Millrace would compare values of these types differently.
 */
function comparedAs({ type }: Field, { base, isArray, isExact }: Column): string | undefined {
  if (isArray) return undefined;
  if (DataType.isInt(type)) return /^int\d$/.test(base) ? "int8" : undefined;
  if (DataType.isUtf8(type)) return textType(base, isExact);
  return base === sameType(type) ? base : undefined;
}

function textType(base: string, isExact: boolean): string | undefined {
  if (base === "uuid") return base;
  return (base === "text" || base === "varchar") && isExact ? "text" : undefined;
}

/** Returns PostgreSQL's name of a type that has the same values in PostgreSQL and in Arrow. */
function sameType(type: DataType): string | undefined {
  if (DataType.isDecimal(type)) return "numeric";
  if (DataType.isFloat(type)) return FLOATS[type.precision];
  if (DataType.isBool(type)) return "bool";
  if (DataType.isDate(type)) return "date";
  if (DataType.isTimestamp(type)) return type.timezone ? "timestamptz" : "timestamp";
  return undefined;
}

const FLOATS: Readonly<Partial<Record<Precision, string>>> = {
  [Precision.SINGLE]: "float4",
  [Precision.DOUBLE]: "float8",
};
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Returns a value as text for PostgreSQL, converted in the same way as a row's value. Returns
 * `undefined` if PostgreSQL cannot read it.
 */
function print(field: Field, value: unknown, type: string): string | null | undefined {
  const column = new Schema([field.clone({ nullable: true })]);
  const [row = {}] = rowsOf(recordBatchOf(column, [[value]]));
  const converted = row[field.name] ?? null;
  if (converted === null) return null;
  const text = String(converted);
  const isRead = type === "uuid" ? UUID.test(text) : !text.includes("\0");
  return isRead ? text : undefined;
}
