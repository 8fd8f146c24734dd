import {
  Binary,
  Bool,
  DataType,
  DateDay,
  Decimal,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  Null,
  TimeNanosecond,
  TimestampMicrosecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from "apache-arrow";
import { MillraceError } from "../../../contract/errors.ts";
import { quoted } from "../column-names.ts";
import { MalformedFileError } from "../malformed.ts";
import { type Annotation, showAnnotation } from "./annotation.ts";
import type { PhysicalType } from "./footer.ts";
import type { Leaf } from "./tree.ts";

/** The largest precision of `decimal`. */
const MAX_PRECISION = 38;

const BYTES: readonly PhysicalType[] = ["BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"];

/** The physical types that a logical type may have. */
const STORED_AS: Readonly<Record<Annotation["kind"], readonly PhysicalType[]>> = {
  STRING: BYTES,
  ENUM: BYTES,
  JSON: BYTES,
  BSON: BYTES,
  GEOMETRY: BYTES,
  GEOGRAPHY: BYTES,
  DECIMAL: ["INT32", "INT64", ...BYTES],
  INTEGER: ["INT32", "INT64"],
  DATE: ["INT32"],
  TIME: ["INT32", "INT64"],
  TIMESTAMP: ["INT64"],
  UUID: ["FIXED_LEN_BYTE_ARRAY"],
  FLOAT16: ["FIXED_LEN_BYTE_ARRAY"],
  INTERVAL: ["FIXED_LEN_BYTE_ARRAY"],
  UNKNOWN: ["BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", ...BYTES],
  // Annotations of groups.
  LIST: [],
  MAP: [],
  VARIANT: [],
};

const LENGTHS: Readonly<Partial<Record<Annotation["kind"], number>>> = { UUID: 16, FLOAT16: 2, INTERVAL: 12 };

const PHYSICAL_TYPES: Readonly<Record<PhysicalType, DataType>> = {
  BOOLEAN: new Bool(),
  INT32: new Int32(),
  INT64: new Int64(),
  // Spark, Hive and Impala store instants in it.
  INT96: new TimestampMicrosecond("UTC"),
  FLOAT: new Float32(),
  DOUBLE: new Float64(),
  BYTE_ARRAY: new Binary(),
  FIXED_LEN_BYTE_ARRAY: new Binary(),
};

const SIGNED: ReadonlyMap<number, DataType> = new Map<number, DataType>([
  [8, new Int8()],
  [16, new Int16()],
  [32, new Int32()],
  [64, new Int64()],
]);
const UNSIGNED: ReadonlyMap<number, DataType> = new Map<number, DataType>([
  [8, new Uint8()],
  [16, new Uint16()],
  [32, new Uint32()],
  [64, new Uint64()],
]);

/**
 * Returns the Arrow type of a column's values. Errors: `MalformedFileError` if logical and physical
 * type do not go together, `TYPE_NOT_SUPPORTED`.
 */
export function leafType(leaf: Leaf): DataType {
  const { type, annotation } = leaf.element;
  if (annotation === undefined) return PHYSICAL_TYPES[type];
  checkStorage(leaf, annotation);
  const arrowType = annotatedType(annotation, type);
  if (arrowType !== undefined) return arrowType;
  throw typeNotSupported(leaf.path, showAnnotation(annotation));
}

function annotatedType(annotation: Annotation, physical: PhysicalType): DataType | undefined {
  switch (annotation.kind) {
    case "STRING":
    case "ENUM":
    case "JSON":
    case "UUID":
      return new Utf8();
    case "DECIMAL":
      return decimalType(annotation);
    case "INTEGER":
      return (annotation.isSigned ? SIGNED : UNSIGNED).get(annotation.bits);
    case "DATE":
      return new DateDay();
    case "TIME":
      return new TimeNanosecond();
    case "TIMESTAMP":
      return new TimestampMicrosecond(annotation.isUtc ? "UTC" : null);
    case "FLOAT16":
      return new Float32();
    case "UNKNOWN":
      return new Null();
    case "INTERVAL":
      return undefined;
    default:
      return PHYSICAL_TYPES[physical];
  }
}

function decimalType({ precision, scale }: { precision: number; scale: number }): DataType | undefined {
  return precision > MAX_PRECISION || scale > precision ? undefined : new Decimal(scale, precision, 128);
}

function checkStorage(leaf: Leaf, annotation: Annotation): void {
  const { type, typeLength } = leaf.element;
  const { kind } = annotation;
  const isWide = type === "INT64";
  const fits =
    kind === "INTEGER"
      ? isWide === (annotation.bits === 64)
      : kind === "TIME"
        ? isWide === (annotation.unit !== "MILLIS")
        : typeLength === (LENGTHS[kind] ?? typeLength);
  if (fits && STORED_AS[kind].includes(type)) return;
  throw new MalformedFileError(
    `its column ${quoted([leaf.path.join(".")])} is ${showAnnotation(annotation)} stored as ${type}, which the format does not have`,
  );
}

/** Returns the error for a column whose type rows do not have. */
export function typeNotSupported(path: readonly string[], type: string): MillraceError {
  const field = path.join(".");
  return new MillraceError(
    "TYPE_NOT_SUPPORTED",
    `column ${quoted([field])} is of Parquet's type ${type}, which rows do not have`,
    { where: { field }, hint: "Leave the column out: name those to read in .schema(…)." },
  );
}

/** Formats the type of a column for error messages. */
export function showLeafType({ element: { type, typeLength, annotation } }: Leaf): string {
  if (annotation !== undefined) return showAnnotation(annotation);
  return type === "FIXED_LEN_BYTE_ARRAY" ? `${type}(${typeLength})` : `${type} without a logical type`;
}

/**
 * Returns true if each value of a column can be a value of the schema's type as it is, or is an
 * error of its row. Values are never rounded, and no unit, zone or charset is guessed.
 */
export function isReadableAs(leaf: Leaf, target: DataType): boolean {
  const own = leafType(leaf);
  if (DataType.isNull(own)) return true;
  if (DataType.isInt(own)) return isIntegerReadableAs(own.bitWidth, target);
  if (DataType.isDecimal(own))
    return (
      (DataType.isDecimal(target) && target.scale >= own.scale) || (DataType.isInt(target) && own.scale === 0)
    );
  if (DataType.isFloat(own)) return DataType.isFloat(target) && target.precision >= own.precision;
  if (DataType.isTimestamp(own))
    return DataType.isTimestamp(target) && (own.timezone == null) === (target.timezone == null);
  return own.typeId === target.typeId;
}

function isIntegerReadableAs(bits: number, target: DataType): boolean {
  if (DataType.isInt(target) || DataType.isDecimal(target)) return true;
  // A double holds 32 bits exactly, a float 16.
  return DataType.isFloat(target) && bits <= (target.precision === 2 ? 32 : 16);
}
