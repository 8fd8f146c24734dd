import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  DurationMicrosecond,
  type Field,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  Null,
  TimeNanosecond,
  TimestampMicrosecond,
  Utf8,
} from "apache-arrow";

/** Spark's type names and the Arrow types that Spark maps them to. */
export const SIMPLE_TYPES = new Map<string, () => DataType>(
  Object.entries({
    boolean: () => new Bool(),
    tinyint: () => new Int8(),
    byte: () => new Int8(),
    smallint: () => new Int16(),
    short: () => new Int16(),
    int: () => new Int32(),
    integer: () => new Int32(),
    bigint: () => new Int64(),
    long: () => new Int64(),
    float: () => new Float32(),
    real: () => new Float32(),
    double: () => new Float64(),
    string: () => new Utf8(),
    binary: () => new Binary(),
    date: () => new DateDay(),
    timestamp: () => new TimestampMicrosecond("UTC"),
    timestamp_ltz: () => new TimestampMicrosecond("UTC"),
    timestamp_ntz: () => new TimestampMicrosecond(),
    time: () => new TimeNanosecond(),
    "interval day to second": () => new DurationMicrosecond(),
    void: () => new Null(),
  }),
);

/** Where Spark keeps `varchar(20)`, for which Arrow has no type, in a field's metadata. */
export const CHAR_TYPE = "__CHAR_VARCHAR_TYPE_STRING";

/**
 * What DDL says of the length of a field's strings: `varchar(20)` is at most 20 characters (code
 * points).
 */
export function lengthLimit(field: Field): { readonly type: string; readonly length: number } | undefined {
  const type = field.metadata.get(CHAR_TYPE);
  const length = /^(?:var)?char\((\d+)\)$/.exec(type ?? "")?.[1];
  return type === undefined || length === undefined ? undefined : { type, length: Number(length) };
}
