import { DataType, DateUnit, type Field, type Float, type Int, Precision, TimeUnit } from "apache-arrow";
import { typeName } from "../../contract/ddl/print.ts";
import { lengthLimit } from "../../contract/ddl/types.ts";
import { MillraceError } from "../../contract/errors.ts";
import { BooleanBuilder } from "./boolean.ts";
import type { ColumnBuilder } from "./builder.ts";
import { DateBuilder } from "./date.ts";
import { DecimalBuilder } from "./decimal.ts";
import { DoubleBuilder, FloatBuilder } from "./float.ts";
import { Int64Builder, IntegerBuilder, Uint64Builder } from "./integer.ts";
import { IntervalBuilder } from "./interval.ts";
import { ListBuilder, MapBuilder, StructBuilder } from "./nested.ts";
import { TimeBuilder } from "./time.ts";
import { TimestampBuilder, TimestampNtzBuilder } from "./timestamp.ts";
import { BinaryBuilder, StringBuilder } from "./variable-width.ts";
import { VoidBuilder } from "./void.ts";

/**
 * Millrace has its own column builders, because converting rows to columns is its main work. The
 * builders of apache-arrow throw on microseconds as bigints, silently truncate values that do not
 * fit, and are several times slower.
 */

/**
 * Returns the builder for a field. `capacity` is the expected number of values. Types are
 * recognised by their type ids rather than by `instanceof`, because a schema that was read back has
 * only the base classes. Throws `TYPE_NOT_SUPPORTED`.
 */
export function columnBuilder(field: Field, capacity: number): ColumnBuilder {
  const builder =
    valueBuilder(field, capacity) ?? timeBuilder(field, capacity) ?? nestedBuilder(field, capacity);
  if (builder !== undefined) return builder;
  throw new MillraceError(
    "TYPE_NOT_SUPPORTED",
    `rows cannot be turned into the Arrow type ${typeName(field.type)}`,
    {
      hint: "Yield Arrow record batches instead of rows, or choose one of the types in the schema's DDL.",
    },
  );
}

function valueBuilder(field: Field, capacity: number): ColumnBuilder | undefined {
  const { type, nullable } = field;
  if (DataType.isUtf8(type)) return new StringBuilder(nullable, capacity, lengthLimit(field));
  if (DataType.isFloat(type)) return floatBuilder(type, nullable, capacity);
  if (DataType.isInt(type)) return integerBuilder(type, nullable, capacity);
  if (DataType.isBool(type)) return new BooleanBuilder(nullable, capacity);
  if (DataType.isDecimal(type) && isDdlDecimal(type)) return new DecimalBuilder(type, nullable, capacity);
  if (DataType.isBinary(type)) return new BinaryBuilder(nullable, capacity);
  return DataType.isNull(type) ? new VoidBuilder() : undefined;
}

function timeBuilder({ type, nullable }: Field, capacity: number): ColumnBuilder | undefined {
  if (DataType.isTimestamp(type) && type.unit === TimeUnit.MICROSECOND) {
    return new (type.timezone ? TimestampBuilder : TimestampNtzBuilder)(type, nullable, capacity);
  }
  if (DataType.isDate(type) && type.unit === DateUnit.DAY) return new DateBuilder(type, nullable, capacity);
  if (DataType.isTime(type) && type.unit === TimeUnit.NANOSECOND)
    return new TimeBuilder(type, nullable, capacity);
  if (DataType.isDuration(type) && type.unit === TimeUnit.MICROSECOND)
    return new IntervalBuilder(type, nullable, capacity);
  return undefined;
}

function nestedBuilder({ type, nullable }: Field, capacity: number): ColumnBuilder | undefined {
  if (DataType.isList(type))
    return new ListBuilder(type, columnBuilder(type.valueField, capacity), nullable, capacity);
  if (DataType.isStruct(type)) return structBuilder(type.children, nullable, capacity);
  if (!DataType.isMap(type)) return undefined;
  const [keys, values] = type.childType.children as [Field, Field];
  const [keyBuilder, itemBuilder] = [columnBuilder(keys, capacity), columnBuilder(values, capacity)];
  return new MapBuilder(type, keyBuilder, itemBuilder, nullable, capacity);
}

/**
 * Returns a builder for structs with these fields. Rows are built with it too: `noun` is then
 * `"row"`.
 */
export function structBuilder(
  fields: readonly Field[],
  nullable: boolean,
  capacity: number,
  noun?: string,
): StructBuilder {
  if (fields.some(({ name }) => name === "__proto__")) {
    throw new MillraceError("TYPE_NOT_SUPPORTED", 'rows cannot have a field "__proto__"', {
      hint: "Call it something else: every JavaScript object has one.",
    });
  }
  const columns = fields.map((field) => columnBuilder(field, capacity));
  return new StructBuilder(fields, columns, nullable, capacity, noun);
}

/**
 * True for a decimal type that DDL can express. Digits of any other precision or scale would be
 * stored at the wrong place.
 */
function isDdlDecimal(type: { bitWidth: number; precision: number; scale: number }): boolean {
  return type.bitWidth === 128 && type.precision <= 38 && type.scale >= 0 && type.scale <= type.precision;
}

function floatBuilder(type: Float, nullable: boolean, capacity: number): ColumnBuilder | undefined {
  if (type.precision === Precision.DOUBLE) return new DoubleBuilder(type, nullable, capacity);
  return type.precision === Precision.SINGLE ? new FloatBuilder(type, nullable, capacity) : undefined;
}

function integerBuilder(type: Int, nullable: boolean, capacity: number): ColumnBuilder {
  const { bitWidth, isSigned } = type;
  if (bitWidth === 64) return new (isSigned ? Int64Builder : Uint64Builder)(type, nullable, capacity);
  const make = isSigned
    ? { 8: Int8Array, 16: Int16Array, 32: Int32Array }[bitWidth]
    : { 8: Uint8Array, 16: Uint16Array, 32: Uint32Array }[bitWidth];
  const min = isSigned ? -(2 ** (bitWidth - 1)) : 0;
  const max = 2 ** (isSigned ? bitWidth - 1 : bitWidth) - 1;
  return new IntegerBuilder(type, nullable, capacity, { make, name: typeName(type), min, max });
}
