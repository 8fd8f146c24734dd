import {
  Binary,
  Bool,
  type Data,
  DataType,
  DateDay,
  Decimal,
  Field,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  List,
  Map_,
  Null,
  type RecordBatch,
  Schema,
  Struct,
  TimeNanosecond,
  TimestampMicrosecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from "apache-arrow";

/**
 * Values in a form that two programs can compare without rounding: integers and decimals as text,
 * times as nanoseconds, floats as the bits of a double, bytes in hexadecimal digits.
 */
export type Exact = null | boolean | string | readonly Exact[];

/** A file as pyarrow reads it. */
export interface PythonFile {
  readonly name: string;
  /** pyarrow's message, if it refuses the file. */
  readonly error?: string;
  readonly fields?: readonly PythonField[];
  readonly rows?: readonly (readonly Exact[])[];
}

interface PythonField {
  readonly name: string;
  readonly nullable: boolean;
  readonly type: readonly [kind: string, ...parameters: (number | boolean | PythonField)[]];
}

/** Prints a `PythonFile` for each Parquet file below the folder in the first argument. */
export const READ_WITH_PYARROW = `
import sys, json, glob, os, struct
import pyarrow as pa, pyarrow.parquet as pq
NANOS = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}
def field(f, physical=None):
  return {"name": f.name, "nullable": f.nullable, "type": kind(f.type, physical)}
def kind(t, physical=None):
  if pa.types.is_null(t): return ["null"]
  if pa.types.is_boolean(t): return ["boolean"]
  if pa.types.is_integer(t): return ["integer", t.bit_width, pa.types.is_signed_integer(t)]
  if pa.types.is_floating(t): return ["float", t.bit_width]
  if pa.types.is_decimal(t): return ["decimal", t.precision, t.scale]
  if pa.types.is_date(t): return ["date"]
  if pa.types.is_time(t): return ["time"]
  # Spark's INT96 is an instant, although pyarrow has no zone for it.
  if pa.types.is_timestamp(t): return ["timestamp", t.tz is not None or physical == "INT96"]
  if pa.types.is_string(t) or pa.types.is_large_string(t): return ["string"]
  if pa.types.is_binary(t) or pa.types.is_large_binary(t) or pa.types.is_fixed_size_binary(t): return ["binary"]
  if pa.types.is_struct(t): return ["struct"] + [field(f) for f in t]
  if pa.types.is_map(t): return ["map", field(t.key_field), field(t.item_field)]
  if pa.types.is_list(t): return ["list", field(t.value_field)]
  if isinstance(t, pa.BaseExtensionType): return ["string"] if t.extension_name in ("arrow.uuid", "arrow.json") else kind(t.storage_type)
  raise TypeError(str(t))
def exact(s):
  if not s.is_valid: return None
  t = s.type
  if isinstance(t, pa.BaseExtensionType): return str(s.as_py()) if t.extension_name == "arrow.uuid" else exact(s.value)
  if pa.types.is_timestamp(t) or pa.types.is_time(t): return str(s.value * NANOS[t.unit])
  if pa.types.is_date(t): return str(s.cast(pa.date32()).value)
  if pa.types.is_boolean(t): return s.as_py()
  if pa.types.is_integer(t): return str(s.as_py())
  if pa.types.is_floating(t):
    v = float(s.as_py())
    return "nan" if v != v else struct.pack(">d", v).hex()
  if pa.types.is_decimal(t): return format(s.as_py(), "f")
  if pa.types.is_string(t) or pa.types.is_large_string(t): return s.as_py()
  if pa.types.is_map(t): return [[exact(e[0]), exact(e[1])] for e in s.values]
  if pa.types.is_list(t): return [exact(e) for e in s.values]
  if pa.types.is_struct(t): return [exact(s[i]) for i in range(len(t))]
  return s.as_py().hex()
def read(path):
  name = os.path.relpath(path, sys.argv[1])
  try:
    table = pq.read_table(path, partitioning=None)
    table.validate(full=True)
    columns = {c.path: c.physical_type for c in (pq.ParquetFile(path).schema.column(i) for i in range(len(pq.ParquetFile(path).schema)))}
    values = [[exact(s) for s in column] for column in table.columns]
    return {"name": name, "fields": [field(f, columns.get(f.name)) for f in table.schema], "rows": [list(row) for row in zip(*values)]}
  except Exception as e:
    return {"name": name, "error": f"{type(e).__name__}: {str(e).splitlines()[0][:150]}"}
print(json.dumps([read(p) for p in sorted(glob.glob(sys.argv[1] + "/**/*.parquet", recursive=True))]))`;

/** Returns pyarrow's schema in the types that rows have. */
export function schemaOf(fields: readonly PythonField[]): Schema {
  return new Schema(fields.map(arrowField));
}

function arrowField({ name, nullable, type }: PythonField): Field {
  return new Field(name, arrowType(type), nullable);
}

const INTEGERS = new Map<unknown, readonly [unsigned: DataType, signed: DataType]>([
  [8, [new Uint8(), new Int8()]],
  [16, [new Uint16(), new Int16()]],
  [32, [new Uint32(), new Int32()]],
  [64, [new Uint64(), new Int64()]],
]);

function arrowType([kind, ...parameters]: PythonField["type"]): DataType {
  const [first, second] = parameters;
  const fields = parameters.filter((parameter) => typeof parameter === "object").map(arrowField);
  const [item, value] = fields;
  const types: Readonly<Record<string, () => DataType | undefined>> = {
    null: () => new Null(),
    boolean: () => new Bool(),
    integer: () => INTEGERS.get(first)?.[second === true ? 1 : 0],
    float: () => (first === 64 ? new Float64() : new Float32()),
    decimal: () => new Decimal(Number(second), Number(first), 128),
    date: () => new DateDay(),
    time: () => new TimeNanosecond(),
    timestamp: () => new TimestampMicrosecond(first === true ? "UTC" : null),
    string: () => new Utf8(),
    binary: () => new Binary(),
    struct: () => new Struct(fields),
    list: () => item && new List(new Field("element", item.type, item.nullable)),
    map: () => item && value && new Map_(entriesOf(item, value)),
  };
  const type = types[kind]?.();
  if (type === undefined) throw new Error(`a type of pyarrow that is not known here: ${kind}`);
  return type;
}

function entriesOf(key: Field, value: Field): Field<Struct<{ key: DataType; value: DataType }>> {
  const fields = [new Field("key", key.type, false), new Field("value", value.type, value.nullable)];
  return new Field("entries", new Struct<{ key: DataType; value: DataType }>(fields), false);
}

/** Returns the rows of a record batch in the form of `Exact`. */
export function exactRows(batch: RecordBatch): Exact[][] {
  return Array.from({ length: batch.numRows }, (_, row) =>
    batch.data.children.map((column) => exactValue(column, row)),
  );
}

function exactValue(data: Data, index: number): Exact {
  const { type, children } = data;
  if (DataType.isNull(type) || !data.getValid(index)) return null;
  if (DataType.isStruct(type)) return children.map((child) => exactValue(child, index));
  if (DataType.isList(type) || DataType.isMap(type))
    return range(data, index, (i) => (children[0] === undefined ? null : exactValue(children[0], i)));
  return exactLeaf(data, index);
}

function exactLeaf(data: Data, index: number): Exact {
  const { type } = data;
  const values = data.values as ArrayLike<number | bigint>;
  if (DataType.isUtf8(type) || DataType.isBinary(type)) {
    const bytes = Buffer.from(range(data, index, (i) => Number(values[i])));
    return bytes.toString(DataType.isUtf8(type) ? "utf8" : "hex");
  }
  if (DataType.isBool(type)) return ((Number(values[index >> 3]) >> (index & 7)) & 1) === 1;
  if (DataType.isDecimal(type)) return decimalText(data, index, type.scale);
  const value = values[index] ?? 0;
  if (DataType.isTimestamp(type)) return String(BigInt(value) * 1000n);
  return DataType.isFloat(type) ? floatBits(Number(value)) : String(value);
}

function range<T>({ valueOffsets }: Data, index: number, item: (i: number) => T): T[] {
  const [start = 0, end = 0] = (valueOffsets as Int32Array).subarray(index, index + 2);
  return Array.from({ length: end - start }, (_, i) => item(start + i));
}

function floatBits(value: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return Number.isNaN(value) ? "nan" : bytes.toString("hex");
}

function decimalText({ values }: Data, index: number, scale: number): string {
  const words = (values as Uint32Array).subarray(index * 4, index * 4 + 4);
  const unscaled = BigInt.asIntN(
    128,
    words.reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n),
  );
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  return `${unscaled < 0n ? "-" : ""}${whole}${scale === 0 ? "" : `.${digits.slice(-scale)}`}`;
}
