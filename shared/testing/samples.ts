import { DataType, type Field, type Schema, type Struct } from "apache-arrow";

/** Creates sample rows of a schema. Row `n` differs from all others if the types allow it. */
export function sampleRows(schema: Schema, from: number, count: number): Record<string, unknown>[] {
  return Array.from({ length: count }, (_, i) =>
    Object.fromEntries(schema.fields.map((field) => [field.name, sampleValue(field, from + i)])),
  );
}

function sampleValue({ type }: Field, n: number): unknown {
  if (DataType.isBool(type)) return n % 2 === 0;
  if (DataType.isInt(type)) return type.bitWidth === 64 ? BigInt(n) : n % 100;
  if (DataType.isFloat(type)) return n + 0.5;
  if (DataType.isDecimal(type)) return String(n % 10 ** Math.min(9, type.precision - type.scale));
  if (DataType.isUtf8(type)) return `row ${n}`;
  if (DataType.isBinary(type)) return new TextEncoder().encode(`row ${n}`);
  if (DataType.isDate(type)) return `2026-01-${String((n % 28) + 1).padStart(2, "0")}`;
  if (DataType.isTimestamp(type)) return BigInt(1_767_225_600 + n) * 1_000_000n + 1n;
  if (DataType.isStruct(type))
    return Object.fromEntries((type as Struct).children.map((field) => [field.name, sampleValue(field, n)]));
  if (DataType.isList(type)) return [sampleValue(type.children[0] as Field, n)];
  if (DataType.isMap(type)) {
    const [key, value] = type.childType.children;
    return new Map([[sampleValue(key as Field, n), sampleValue(value as Field, n)]]);
  }
  return null;
}
