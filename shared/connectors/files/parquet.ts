import {
  Binary,
  Bool,
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
import {
  type AsyncBuffer,
  type FileMetaData,
  type ParquetParsers,
  type ParquetType,
  parquetMetadataAsync,
  parquetScan,
  parquetSchema,
  type SchemaElement,
  type SchemaTree,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { MillraceError } from "../../contract/errors.ts";
import { isPlainObject } from "../../contract/json.ts";
import type { Row } from "../../contract/stream-reader.ts";
import type { FileBytes } from "./bytes.ts";
import { checkColumns } from "./columns.ts";
import { MalformedFileError, MalformedRowError } from "./malformed.ts";

type Convert = (value: unknown) => unknown;

/**
 * A column or a nested part of one: its Arrow field, and the function that converts hyparquet's
 * value to a value of that field.
 */
interface Column {
  readonly field: Field;
  readonly convert: Convert;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Keeps times as integers, so that no value is rounded to the milliseconds of a Date or to a
 * double.
 */
const PARSERS: Partial<ParquetParsers> = {
  timestampFromMilliseconds: (millis) => mapNonNull(millis, () => millis * 1000n),
  timestampFromMicroseconds: (micros) => micros,
  timestampFromNanoseconds: (nanos) => mapNonNull(nanos, () => wholeMicros(nanos)),
  dateFromDays: (days) => mapNonNull(days, () => new Date(days * 86_400_000)),
  stringFromBytes: (bytes) => mapNonNull(bytes, () => utf8.decode(bytes)),
};

/** Reads the rows of a Parquet file. Only one row group at a time is held in memory. */
export async function* readParquet(file: FileBytes, schema: Schema): AsyncGenerator<Iterable<Row>> {
  const metadata = await metadataOf(file);
  const trees = parquetSchema(metadata).children;
  const columns = schema.fields.map(({ name }) => {
    const tree = trees.find(({ element }) => element.name === name);
    return tree && columnOf(tree);
  });
  const names = columns.flatMap((column) => column?.field.name ?? []);
  checkColumns(
    schema,
    trees.map(({ element }) => element.name),
  );
  const scan = await parquetScan({
    file: bufferOf(file),
    metadata: { ...metadata, schema: metadata.schema.map(withoutLossyAnnotations) },
    columns: names,
    compressors,
    parsers: PARSERS,
    utf8: false,
    geoparquet: false,
  });
  for (const { rowStart, rowEnd } of scan.ranges) {
    const rows = rowEnd - rowStart;
    const values = await Promise.all(
      columns.map((column) => column && scan.readColumn({ column: column.field.name, rowStart, rowEnd })),
    );
    if (values.some((column) => column !== undefined && column.length !== rows))
      throw new MalformedFileError("a column has not as many values as the file has rows");
    yield new Array(rows)
      .keys()
      .map((row) => columns.map((column, i) => column?.convert(values[i]?.[row]) ?? null));
  }
}

/** Returns the schema of the rows of a file. Error: `TYPE_NOT_SUPPORTED`. */
export async function parquetFileSchema(file: FileBytes): Promise<Schema> {
  const trees = parquetSchema(await metadataOf(file)).children;
  return new Schema(trees.map((tree) => columnOf(tree).field));
}

async function metadataOf(file: FileBytes): Promise<FileMetaData> {
  return await parquetMetadataAsync(bufferOf(file), { geoparquet: false });
}

function bufferOf(file: FileBytes): AsyncBuffer {
  return {
    byteLength: file.size,
    slice: async (start, end = file.size) => {
      const bytes = await file.range(start, end);
      // Copies the bytes, because hyparquet needs a buffer that contains only this range.
      return bytes.slice().buffer as ArrayBuffer;
    },
  };
}

/** Maps old converted types to the logical types with the same meaning, if their names differ. */
const LOGICAL_TYPES: Readonly<Record<string, string>> = {
  MAP_KEY_VALUE: "MAP",
  UTF8: "STRING",
  TIME_MILLIS: "TIME",
  TIME_MICROS: "TIME",
  TIMESTAMP_MILLIS: "TIMESTAMP",
  TIMESTAMP_MICROS: "TIMESTAMP",
};

/** Returns the logical type of a column, whether the file uses the new or the old annotation. */
function annotationOf({ logical_type, converted_type }: SchemaElement): string {
  const converted: string = converted_type ?? "";
  return logical_type?.type ?? LOGICAL_TYPES[converted] ?? converted;
}

const TEXT_KINDS: ReadonlySet<string> = new Set(["STRING", "ENUM", "JSON"]);
const RAW_KINDS: ReadonlySet<string> = new Set(["DECIMAL", "MAP", "BSON", "GEOMETRY", "GEOGRAPHY"]);

/**
 * Removes annotations for which hyparquet's conversion loses data: decimals would become doubles,
 * and maps would become objects with string keys.
 */
function withoutLossyAnnotations(element: SchemaElement): SchemaElement {
  const { converted_type, logical_type, ...rest } = element;
  const kind = annotationOf(element);
  if (RAW_KINDS.has(kind)) return rest;
  if (TEXT_KINDS.has(kind)) return { ...rest, converted_type: "UTF8" };
  return kind === "LIST" ? { ...rest, converted_type: "LIST" } : element;
}

function columnOf(tree: SchemaTree): Column {
  const { name, repetition_type } = tree.element;
  const column = singleColumn(tree);
  if (repetition_type !== "REPEATED")
    return { field: new Field(name, column.type, repetition_type === "OPTIONAL"), convert: column.convert };
  // A list in the legacy form, a repeated field without a surrounding group.
  const type = new List(new Field("element", column.type, false));
  return { field: new Field(name, type, false), convert: listOf(column.convert) };
}

function singleColumn(tree: SchemaTree): { readonly type: DataType; readonly convert: Convert } {
  const { element, children } = tree;
  const [inner] = children;
  if (inner === undefined) return leafColumn(tree);
  const kind = annotationOf(element);
  if (kind === "LIST" && children.length === 1 && inner.children.length <= 1 && isRepeated(inner)) {
    const [item] = inner.children;
    const { field, convert } = item === undefined ? { ...requiredColumn(inner) } : columnOf(item);
    return { type: new List(new Field("element", field.type, field.nullable)), convert: listOf(convert) };
  }
  if (kind === "MAP" && isRepeated(inner) && inner.children.length === 2) return mapOf(inner);
  if (kind === "VARIANT") throw notSupported(tree);
  const columns = children.map(columnOf);
  return {
    type: new Struct(columns.map(({ field }) => field)),
    convert: (value) =>
      isPlainObject(value)
        ? Object.fromEntries(columns.map(({ field, convert }) => [field.name, convert(value[field.name])]))
        : (value ?? null),
  };
}

function isRepeated({ element }: SchemaTree): boolean {
  return element.repetition_type === "REPEATED";
}

function requiredColumn(tree: SchemaTree): Column {
  const { type, convert } = singleColumn(tree);
  return { field: new Field(tree.element.name, type, false), convert };
}

function listOf(item: Convert): Convert {
  return (value) => (Array.isArray(value) ? value.map((one) => item(one)) : (value ?? null));
}

/** Reads a map in its stored form, a list of keys and values. */
function mapOf(entries: SchemaTree): { readonly type: DataType; readonly convert: Convert } {
  const [key, value] = entries.children.map(columnOf);
  if (key === undefined || value === undefined) throw new MalformedFileError("a map without keys or values");
  const struct = new Struct<{ key: DataType; value: DataType }>([
    new Field("key", key.field.type, false),
    new Field("value", value.field.type, value.field.nullable),
  ]);
  return {
    type: new Map_(new Field("entries", struct, false)),
    convert: (map) => {
      const list = isPlainObject(map) ? map[entries.element.name] : map;
      if (!Array.isArray(list)) return list ?? null;
      return new Map(
        list.map((entry: Record<string, unknown>) => [
          key.convert(entry[key.field.name]),
          value.convert(entry[value.field.name]),
        ]),
      );
    },
  };
}

function leafColumn(tree: SchemaTree): { readonly type: DataType; readonly convert: Convert } {
  const { element } = tree;
  const type = leafType(element);
  if (type !== undefined) return { type, convert: leafConvert(type, element) };
  throw notSupported(tree);
}

function notSupported({ element, path }: SchemaTree): MillraceError {
  const name = path.join(".");
  return new MillraceError(
    "TYPE_NOT_SUPPORTED",
    `column "${name}" is of Parquet's type ${annotationOf(element) || element.type}, which rows do not have`,
    {
      where: { field: name },
      hint: "Leave the column out: name those to read in .schema(…).",
    },
  );
}

function leafConvert(type: DataType, { logical_type, converted_type }: SchemaElement): Convert {
  if (DataType.isDecimal(type)) return decimalText(type.scale);
  if (!DataType.isTime(type)) return (value) => value ?? null;
  const isMillis =
    logical_type?.type === "TIME" ? logical_type.unit === "MILLIS" : converted_type?.endsWith("MILLIS");
  const isNanos = logical_type?.type === "TIME" && logical_type.unit === "NANOS";
  return (value) =>
    mapNonNull(value, () => {
      const time = BigInt(value as number | bigint);
      return isMillis ? time * 1000n : isNanos ? wholeMicros(time) : time;
    });
}

const PHYSICAL_TYPES: Readonly<Record<ParquetType, DataType>> = {
  BOOLEAN: new Bool(),
  INT32: new Int32(),
  INT64: new Int64(),
  INT96: new TimestampMicrosecond("UTC"),
  FLOAT: new Float32(),
  DOUBLE: new Float64(),
  BYTE_ARRAY: new Binary(),
  FIXED_LEN_BYTE_ARRAY: new Binary(),
};

const SMALL_INTEGERS: Readonly<Record<string, DataType>> = {
  INT_8: new Int8(),
  INT_16: new Int16(),
  UINT_8: new Uint8(),
  UINT_16: new Uint16(),
  UINT_32: new Uint32(),
  UINT_64: new Uint64(),
};

function leafType(element: SchemaElement): DataType | undefined {
  const { type, logical_type, converted_type, scale = 0, precision = 0 } = element;
  switch (annotationOf(element)) {
    case "STRING":
    case "ENUM":
    case "JSON":
    case "UUID":
      return new Utf8();
    case "DECIMAL":
      return logical_type?.type === "DECIMAL"
        ? decimal(logical_type.scale, logical_type.precision)
        : decimal(scale, precision);
    case "DATE":
      return new DateDay();
    case "TIMESTAMP": {
      const isLocal = logical_type?.type === "TIMESTAMP" && !logical_type.isAdjustedToUTC;
      return new TimestampMicrosecond(isLocal ? null : "UTC");
    }
    case "FLOAT16":
      return new Float32();
    case "TIME":
      return new TimeNanosecond();
    case "INTERVAL":
      return undefined;
    default:
      return SMALL_INTEGERS[converted_type ?? ""] ?? (type && PHYSICAL_TYPES[type]);
  }
}

function decimal(scale: number, precision: number): DataType | undefined {
  return precision > 38 ? undefined : new Decimal(scale, precision, 128);
}

/**
 * Returns a function that formats an unscaled number (an integer or big-endian bytes) as decimal
 * text.
 */
function decimalText(scale: number): Convert {
  return (value) => {
    if (value === null || value === undefined) return null;
    const unscaled = value instanceof Uint8Array ? bigEndian(value) : BigInt(value as number | bigint);
    const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0");
    const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
    return unscaled < 0n ? `-${text}` : text;
  };
}

function bigEndian(bytes: Uint8Array): bigint {
  return bytes.length === 0
    ? 0n
    : BigInt.asIntN(bytes.length * 8, BigInt(`0x${Buffer.from(bytes).toString("hex")}`));
}

function wholeMicros(nanos: bigint): bigint {
  if (nanos % 1000n === 0n) return nanos / 1000n;
  throw new MalformedRowError("it has a time with nanoseconds, and times are of microseconds here");
}

function mapNonNull<T>(value: unknown, convert: () => T): T | null {
  return value === undefined || value === null ? null : convert();
}
