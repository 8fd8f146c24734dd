import { DataType } from "apache-arrow";
import { SIMPLE_TYPES } from "./types.ts";

/**
 * The type names that are shown. If several names mean the same type (`int`, `integer`), only one
 * is listed.
 */
export const DISPLAY_NAMES = [
  "boolean",
  "tinyint",
  "smallint",
  "int",
  "bigint",
  "float",
  "double",
  "string",
  "binary",
  "date",
  "timestamp",
  "timestamp_ntz",
  "time",
  "interval day to second",
  "void",
];

/** Returns the DDL name of an Arrow type, or Arrow's own name if DDL has none. */
export function typeName(type: DataType): string {
  if (DataType.isDecimal(type)) {
    return `decimal${type.bitWidth === 128 ? "" : type.bitWidth}(${type.precision},${type.scale})`;
  }
  if (DataType.isList(type)) return `array<${typeName(type.valueType)}>`;
  if (DataType.isMap(type)) return `map<${typeName(type.keyType)},${typeName(type.valueType)}>`;
  if (DataType.isStruct(type)) {
    return `struct<${type.children.map((field) => `${quotedName(field.name)}:${typeName(field.type)}`).join(",")}>`;
  }
  const text = type.toString();
  for (const name of DISPLAY_NAMES) if (SIMPLE_TYPES.get(name)?.().toString() === text) return name;
  return text;
}

/** Returns a field name as DDL writes it: in backticks unless it is a plain word. */
export function quotedName(name: string): string {
  return /^[\p{L}\p{N}_$.-]+$/u.test(name) ? name : `\`${name.replaceAll("`", "``")}\``;
}
