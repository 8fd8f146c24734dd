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

/** Spark's type names without parameters, and the Arrow types that Spark maps them to. */
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

/**
 * Metadata key under which Spark stores a type such as `varchar(20)`, because Arrow has no such
 * type.
 */
export const CHAR_TYPE = "__CHAR_VARCHAR_TYPE_STRING";

/**
 * Returns the type and the maximum length of a `varchar` or `char` field, in characters (code
 * points): `varchar(20)` allows 20. `undefined` for a field without a limit.
 */
export function lengthLimit(field: Field): { readonly type: string; readonly length: number } | undefined {
  const type = field.metadata.get(CHAR_TYPE);
  const length = /^(?:var)?char\((\d+)\)$/.exec(type ?? "")?.[1];
  return type === undefined || length === undefined ? undefined : { type, length: Number(length) };
}
