import { DataType, type Schema } from "apache-arrow";
import { rowType } from "../../arrow/row-type.ts";
import { typeName } from "../../contract/ddl/print.ts";
import { MillraceError } from "../../contract/errors.ts";
import { escapeIdentifier } from "./identifier.ts";

/**
 * Returns the column definitions for `CREATE TABLE`. Error: `POSTGRES_TABLE_MISMATCH` if PostgreSQL
 * has no type for a field.
 */
export function definitionOf(schema: Schema, keyColumns: readonly string[]): string {
  const columns = schema.fields.map(
    ({ name, type, nullable }) =>
      `${escapeIdentifier(name)} ${sqlType(name, type)}${nullable ? "" : " NOT NULL"}`,
  );
  const key = keyColumns.length === 0 ? [] : [`PRIMARY KEY (${keyColumns.map(escapeIdentifier).join(", ")})`];
  return [...columns, ...key].join(", ");
}

/** Returns the type of a column for a field. Error: `POSTGRES_TABLE_MISMATCH` if there is none. */
export function sqlType(name: string, fieldType: DataType): string {
  const type = rowType(fieldType);
  const scalar = sqlScalar(type);
  if (scalar !== undefined) return scalar;
  if (DataType.isList(type)) {
    const element = sqlScalar(type.valueType);
    return element === undefined ? "jsonb" : `${element}[]`;
  }
  if (DataType.isStruct(type) || DataType.isMap(type)) return "jsonb";
  throw new MillraceError(
    "POSTGRES_TABLE_MISMATCH",
    `PostgreSQL has no type for the field "${name}", which is ${typeName(fieldType)}`,
    { hint: "Make the table yourself, with a column that can hold it; or leave the field out." },
  );
}

function sqlScalar(fieldType: DataType): string | undefined {
  const type = rowType(fieldType);
  if (DataType.isBool(type)) return "boolean";
  if (DataType.isInt(type)) return integerOf(type.isSigned ? type.bitWidth : type.bitWidth + 1);
  if (DataType.isFloat(type)) return type.precision < 2 ? "real" : "double precision";
  if (DataType.isDecimal(type)) return `numeric(${type.precision}, ${type.scale})`;
  if (DataType.isUtf8(type)) return "text";
  if (DataType.isBinary(type)) return "bytea";
  if (DataType.isDate(type)) return "date";
  if (DataType.isTimestamp(type)) return type.timezone ? "timestamptz" : "timestamp";
  return undefined;
}

/** Returns the smallest type that holds integers with this number of bits. */
function integerOf(bits: number): string {
  if (bits <= 16) return "smallint";
  if (bits <= 32) return "integer";
  return bits <= 64 ? "bigint" : "numeric(20, 0)";
}
