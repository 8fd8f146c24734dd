import { type DataType, type Field, type Schema, DataType as Type } from "apache-arrow";
import { rowType } from "../../arrow/row-type.ts";
import { isPlainObject } from "../../contract/json.ts";
import type { NamedRow, Row } from "../../contract/stream-reader.ts";

/**
 * Rows in memory have JSON values, in which a large integer and bytes are text. This returns a row
 * as a reader may yield it.
 */
export function readableRow(row: NamedRow, fields: readonly Field[]): Row {
  return fields.map(({ name, type }) => readable(row[name] ?? null, type as DataType));
}

/** Returns the rows of a table in the form of its schema. Earlier rows may lack columns. */
export function readableRows(rows: readonly NamedRow[], { fields }: Schema): readonly Row[] {
  return rows.map((row) => readableRow(row, fields));
}

function readable(value: unknown, type: DataType): unknown {
  if (typeof value === "string") {
    if (Type.isInt(type)) return BigInt(value);
    return Type.isBinary(rowType(type)) || Type.isFixedSizeBinary(type)
      ? Buffer.from(value, "base64")
      : value;
  }
  if (value === null || typeof value !== "object") return value;
  const children = (type.children ?? []) as readonly Field[];
  if (Array.isArray(value)) {
    const [item] = children;
    return item === undefined ? value : value.map((each) => readable(each, item.type as DataType));
  }
  if (!isPlainObject(value)) return value;
  const ofMap = Type.isMap(type) ? ((children[0]?.type.children ?? []) as readonly Field[])[1] : undefined;
  const typeOf = (name: string) => (ofMap ?? children.find((child) => child.name === name))?.type as DataType;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, typeOf(name) ? readable(each, typeOf(name)) : each]),
  );
}

/** Returns one text for equal values of columns. In JSON, NaN and infinity would be null. */
export function keyText(values: readonly unknown[]): string {
  return JSON.stringify(values, (_, value: unknown) =>
    typeof value === "number" && !Number.isFinite(value) ? String(value) : value,
  );
}
