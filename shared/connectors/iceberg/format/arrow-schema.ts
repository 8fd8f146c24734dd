import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  Decimal,
  Field,
  FixedSizeBinary,
  Float32,
  Float64,
  Int32,
  Int64,
  List,
  Map_,
  Schema,
  Struct,
  TimeMicrosecond,
  TimestampMicrosecond,
  Utf8,
} from "apache-arrow";
import { primitiveOf } from "./primitive.ts";
import { childrenOf } from "./schema.ts";
import type { IcebergSchema, IcebergType, NestedField, PrimitiveType } from "./types.ts";

/** Key of an Arrow field's metadata under which programs for Parquet keep Iceberg's field id. */
export const FIELD_ID_KEY = "PARQUET:field_id";

const UUID_BYTES = 16;

/**
 * Returns the Arrow schema in which rows of a table are written and read: times in microseconds,
 * zones UTC or none, text and bytes with 32-bit offsets. Every field, also inside lists and maps,
 * has its id in its metadata. Throws `TABLE_TYPE_NOT_SUPPORTED`.
 */
export function arrowSchemaOf(schema: IcebergSchema): Schema {
  return new Schema(schema.fields.map(arrowField));
}

/** Returns the Arrow field of a column, with its id and those of the fields inside it. */
export function arrowField({ id, name, required, type }: NestedField): Field {
  return new Field(name, arrowType(type), !required, new Map([[FIELD_ID_KEY, String(id)]]));
}

function arrowType(type: IcebergType): DataType {
  if (typeof type === "string") return arrowLeaf(type);
  const fields = childrenOf(type).map(arrowField);
  if (type.type === "struct") return new Struct(fields);
  if (type.type === "list") return new List(fields[0] as Field);
  const entries = new Struct<{ key: DataType; value: DataType }>(fields);
  return new Map_(new Field("entries", entries, false));
}

function arrowLeaf(name: PrimitiveType): DataType {
  const type = primitiveOf(name);
  switch (type.kind) {
    case "decimal":
      return new Decimal(type.scale, type.precision, 128);
    case "fixed":
      return new FixedSizeBinary(type.length);
    default:
      return SIMPLE_TYPES[type.kind]();
  }
}

const SIMPLE_TYPES = {
  boolean: () => new Bool(),
  int: () => new Int32(),
  long: () => new Int64(),
  float: () => new Float32(),
  double: () => new Float64(),
  date: () => new DateDay(),
  time: () => new TimeMicrosecond(),
  timestamp: () => new TimestampMicrosecond(),
  timestamptz: () => new TimestampMicrosecond("UTC"),
  string: () => new Utf8(),
  uuid: () => new FixedSizeBinary(UUID_BYTES),
  binary: () => new Binary(),
} as const;
