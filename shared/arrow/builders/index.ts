import { DataType, DateUnit, type Int, Precision, type Struct, TimeUnit } from "apache-arrow";
import { MillraceError } from "../../contract/errors.ts";
import { typeName } from "../../contract/schema.ts";
import { BooleanBuilder } from "./boolean.ts";
import type { ColumnBuilder } from "./builder.ts";
import { DecimalBuilder } from "./decimal.ts";
import { FixedWidthBuilder } from "./fixed-width.ts";
import { ListBuilder, MapBuilder, StructBuilder } from "./nested.ts";
import {
  toDays,
  toDouble,
  toFloat,
  toInt64,
  toInteger,
  toMicrosLocal,
  toMicrosUtc,
  toUint64,
} from "./values.ts";
import { BinaryBuilder, StringBuilder } from "./variable-width.ts";

/**
 * The builder for a type; `capacity` is the number of values expected. Types are told by their ids, not by their classes: a schema
 * that was read back has only the base classes. Error: `TYPE_NOT_SUPPORTED`.
 */
export function columnBuilder(type: DataType, capacity: number): ColumnBuilder {
  if (DataType.isUtf8(type)) return new StringBuilder(capacity);
  if (DataType.isFloat(type) && type.precision === Precision.DOUBLE) {
    return new FixedWidthBuilder(type, capacity, Float64Array, toDouble);
  }
  if (DataType.isFloat(type) && type.precision === Precision.SINGLE) {
    return new FixedWidthBuilder(type, capacity, Float32Array, toFloat);
  }
  if (DataType.isInt(type)) return integerBuilder(type, capacity);
  if (DataType.isTimestamp(type) && type.unit === TimeUnit.MICROSECOND) {
    return new FixedWidthBuilder(type, capacity, BigInt64Array, type.timezone ? toMicrosUtc : toMicrosLocal);
  }
  if (DataType.isBool(type)) return new BooleanBuilder(capacity);
  if (DataType.isDate(type) && type.unit === DateUnit.DAY)
    return new FixedWidthBuilder(type, capacity, Int32Array, toDays);
  if (DataType.isDecimal(type) && type.bitWidth === 128) return new DecimalBuilder(type, capacity);
  if (DataType.isBinary(type)) return new BinaryBuilder(capacity);
  if (DataType.isList(type)) return new ListBuilder(type, columnBuilder(type.valueType, capacity), capacity);
  if (DataType.isStruct(type)) return structBuilder(type, capacity);
  if (DataType.isMap(type)) return new MapBuilder(type, structBuilder(type.childType, capacity), capacity);
  throw new MillraceError(
    "TYPE_NOT_SUPPORTED",
    `rows cannot be turned into the Arrow type ${typeName(type)}`,
    {
      hint: "Yield Arrow record batches instead of rows, or choose one of the types in the schema's DDL.",
    },
  );
}

function structBuilder(type: Struct, capacity: number): StructBuilder {
  return new StructBuilder(
    type,
    type.children.map((field) => columnBuilder(field.type, capacity)),
    capacity,
  );
}

function integerBuilder(type: Int, capacity: number): ColumnBuilder {
  const name = typeName(type);
  const signed = type.isSigned;
  switch (type.bitWidth) {
    case 8:
      return new FixedWidthBuilder<Int8Array | Uint8Array>(
        type,
        capacity,
        signed ? Int8Array : Uint8Array,
        toInteger(name, 8, signed),
      );
    case 16:
      return new FixedWidthBuilder<Int16Array | Uint16Array>(
        type,
        capacity,
        signed ? Int16Array : Uint16Array,
        toInteger(name, 16, signed),
      );
    case 32:
      return new FixedWidthBuilder<Int32Array | Uint32Array>(
        type,
        capacity,
        signed ? Int32Array : Uint32Array,
        toInteger(name, 32, signed),
      );
    default:
      return signed
        ? new FixedWidthBuilder(type, capacity, BigInt64Array, toInt64)
        : new FixedWidthBuilder(type, capacity, BigUint64Array, toUint64);
  }
}
