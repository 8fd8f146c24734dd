import type { ThriftStruct } from "./thrift.ts";

export type TimeUnit = "MILLIS" | "MICROS" | "NANOS";

/** The logical type of a column: what its values mean. */
export type Annotation =
  | { readonly kind: "DECIMAL"; readonly precision: number; readonly scale: number }
  | { readonly kind: "INTEGER"; readonly bits: number; readonly isSigned: boolean }
  | { readonly kind: "TIME" | "TIMESTAMP"; readonly unit: TimeUnit; readonly isUtc: boolean }
  | { readonly kind: SimpleKind };

type SimpleKind =
  | "STRING"
  | "MAP"
  | "LIST"
  | "ENUM"
  | "DATE"
  | "UNKNOWN"
  | "JSON"
  | "BSON"
  | "UUID"
  | "FLOAT16"
  | "VARIANT"
  | "GEOMETRY"
  | "GEOGRAPHY"
  | "INTERVAL";

/** Logical types without parameters, by their field in the union `LogicalType`. */
const LOGICAL: ReadonlyMap<number, SimpleKind> = new Map([
  [1, "STRING"],
  [2, "MAP"],
  [3, "LIST"],
  [4, "ENUM"],
  [6, "DATE"],
  [11, "UNKNOWN"],
  [12, "JSON"],
  [13, "BSON"],
  [14, "UUID"],
  [15, "FLOAT16"],
  [16, "VARIANT"],
  [17, "GEOMETRY"],
  [18, "GEOGRAPHY"],
]);

/** The old annotations, by their number in the enum `ConvertedType`; DECIMAL, 5, has parameters. */
const CONVERTED: ReadonlyMap<number, Annotation> = new Map<number, Annotation>([
  [0, { kind: "STRING" }],
  [1, { kind: "MAP" }],
  [2, { kind: "MAP" }],
  [3, { kind: "LIST" }],
  [4, { kind: "ENUM" }],
  [6, { kind: "DATE" }],
  [7, { kind: "TIME", unit: "MILLIS", isUtc: true }],
  [8, { kind: "TIME", unit: "MICROS", isUtc: true }],
  [9, { kind: "TIMESTAMP", unit: "MILLIS", isUtc: true }],
  [10, { kind: "TIMESTAMP", unit: "MICROS", isUtc: true }],
  ...[8, 16, 32, 64].flatMap((bits, i): [number, Annotation][] => [
    [11 + i, { kind: "INTEGER", bits, isSigned: false }],
    [15 + i, { kind: "INTEGER", bits, isSigned: true }],
  ]),
  [19, { kind: "JSON" }],
  [20, { kind: "BSON" }],
  [21, { kind: "INTERVAL" }],
]);

const UNITS: ReadonlyMap<number | undefined, TimeUnit> = new Map([
  [1, "MILLIS"],
  [2, "MICROS"],
  [3, "NANOS"],
]);

/**
 * Returns the logical type of a schema element, whether the file uses the new or the old
 * annotation. A logical type that is newer than this code counts as none, as the format asks of
 * readers: the values are then read as they are stored.
 */
export function annotationOf(element: ThriftStruct): Annotation | undefined {
  const logical = element.struct(10, "logical type");
  const known = logical === undefined ? undefined : logicalOf(logical);
  if (known !== undefined) return known;
  const converted = element.integer(6, "converted type");
  if (converted === undefined) return undefined;
  if (converted === 5) {
    const precision = element.required(element.size(8, "precision"), "precision");
    return { kind: "DECIMAL", precision, scale: element.size(7, "scale") ?? 0 };
  }
  return CONVERTED.get(converted);
}

function logicalOf(union: ThriftStruct): Annotation | undefined {
  const id = union.first ?? 0;
  const kind = LOGICAL.get(id);
  if (kind !== undefined) return { kind };
  const type = [5, 7, 8, 10].includes(id) ? union.struct(id, "logical type") : undefined;
  if (type === undefined) return undefined;
  if (id === 5) {
    const scale = type.required(type.size(1, "scale"), "scale");
    return { kind: "DECIMAL", scale, precision: type.required(type.size(2, "precision"), "precision") };
  }
  if (id === 10) {
    const bits = type.required(type.size(1, "bit width"), "bit width");
    return { kind: "INTEGER", bits, isSigned: type.required(type.boolean(2, "sign"), "sign") };
  }
  return {
    kind: id === 7 ? "TIME" : "TIMESTAMP",
    isUtc: type.required(type.boolean(1, "isAdjustedToUTC"), "isAdjustedToUTC"),
    unit: type.required(UNITS.get(type.struct(2, "time unit")?.first), "time unit"),
  };
}

/** Formats an annotation for error messages, as in `TIMESTAMP(MICROS, isAdjustedToUTC=false)`. */
export function showAnnotation(annotation: Annotation): string {
  switch (annotation.kind) {
    case "DECIMAL":
      return `DECIMAL(${annotation.precision},${annotation.scale})`;
    case "INTEGER":
      return `${annotation.isSigned ? "INT" : "UINT"}(${annotation.bits})`;
    case "TIME":
    case "TIMESTAMP":
      return `${annotation.kind}(${annotation.unit}, isAdjustedToUTC=${annotation.isUtc})`;
    default:
      return annotation.kind;
  }
}
