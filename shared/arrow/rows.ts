import {
  type Data,
  DataType,
  DateUnit,
  type Field,
  Precision,
  type RecordBatch,
  type Union,
  UnionMode,
} from "apache-arrow";
import { MillraceError } from "../contract/errors.ts";
import { viewBytes } from "./check-data.ts";
import { dictionaryOf } from "./dictionary-data.ts";
import { float16At } from "./float16.ts";
import { bitAt, isViewType, offsetClassOf } from "./layout.ts";
import {
  formatDate,
  formatDateMillis,
  formatDuration,
  formatInterval,
  formatTime,
  formatTimestamp,
} from "./row-times.ts";
import { rowType } from "./row-type.ts";

/** Returns the value at an index of a column. */
type ValueReader = (index: number) => unknown;

/** How values are written that JSON does not have. */
interface Form {
  integer64(value: bigint): unknown;
  bytes(value: Uint8Array): unknown;
  /** Returns `undefined` if a key is there twice. */
  map(pairs: readonly (readonly [unknown, unknown])[]): unknown;
}

const AS_JSON: Form = {
  integer64: (value) => (Number.isSafeInteger(Number(value)) ? Number(value) : String(value)),
  bytes: ({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer, byteOffset, byteLength).toString("base64"),
  map(pairs) {
    const map = Object.fromEntries(pairs.map(([key, value]) => [String(key), value]));
    return Object.keys(map).length === pairs.length ? map : undefined;
  },
};

const AS_VALUES: Form = {
  integer64: (value) => value,
  bytes: (value) => new Uint8Array(value),
  map(pairs) {
    const map = new Map(pairs);
    return map.size === pairs.length ? map : undefined;
  },
};

/**
 * Returns the rows of a record batch as objects with JSON values. Times are ISO 8601 with all
 * digits. 64-bit integers are numbers, or strings if they are beyond 2^53. Decimals are strings,
 * and bytes are base64. A map is an object, or an array of `{ key, value }` if its keys are lists
 * or structs. Errors: `COLUMN_DUPLICATE`; `ROW_MISMATCH` for a map with a key twice.
 */
export function rowsOf(batch: RecordBatch): Generator<Record<string, unknown>> {
  return rowsIn(AS_JSON, batch);
}

/**
 * Like `rowsOf`, with values that fit the schema again: 64-bit integers are bigint, bytes are
 * `Uint8Array`, and maps are `Map`.
 */
export function valueRowsOf(batch: RecordBatch): Generator<Record<string, unknown>> {
  return rowsIn(AS_VALUES, batch);
}

function* rowsIn(form: Form, batch: RecordBatch): Generator<Record<string, unknown>> {
  const { fields } = batch.schema;
  const names = new Set(fields.map(({ name }) => name));
  if (names.size < fields.length) {
    throw new MillraceError("COLUMN_DUPLICATE", "two columns have the same name, so a row cannot have both", {
      hint: "Give each column a name of its own.",
    });
  }
  const columns = fields.map(
    (field, i) => [field.name, childReader(form, batch.data, i, field.name)] as const,
  );
  for (let row = 0; row < batch.numRows; row++) {
    yield objectOf(columns, row);
  }
}

/** Returns the values at an index, by name. A loop is several times as fast as `fromEntries`. */
function objectOf(
  columns: readonly (readonly [string, ValueReader])[],
  index: number,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, read] of columns) {
    const value = read(index);
    if (name === "__proto__")
      Object.defineProperty(values, name, { value, enumerable: true, configurable: true, writable: true });
    else values[name] = value;
  }
  return values;
}

function childReader(form: Form, data: Data, child: number, path: string): ValueReader {
  const column = data.children[child];
  return column === undefined ? () => null : readerOf(form, column, path);
}

function readerOf(form: Form, data: Data, path: string): ValueReader {
  const type = data.type as DataType;
  if (DataType.isNull(type)) return () => null;
  const read = valueReader(form, type, data, path);
  if (DataType.isUnion(type) || data.nullCount === 0) return read;
  return (index) => (data.getValid(index) ? read(index) : null);
}

/**
 * Reads all values from the buffers, because Arrow's own accessors round times and return views for
 * nested values.
 */
function valueReader(form: Form, type: DataType, data: Data, path: string): ValueReader {
  if (DataType.isDictionary(type)) {
    const read = readerOf(form, dictionaryOf(data), path);
    return (index) => read(Number(data.values[index]));
  }
  if (DataType.isUnion(type)) return unionReader(form, type, data, path);
  if (DataType.isMap(type)) return mapReader(form, type, data, path);
  if (DataType.isStruct(type)) {
    const children = type.children.map(
      ({ name }, i) => [name, childReader(form, data, i, `${path}.${name}`)] as const,
    );
    return (index) => objectOf(children, index);
  }
  if (DataType.isList(rowType(type))) {
    const read = childReader(form, data, 0, path);
    return (index) => itemIndexes(data, index).map((place) => read(place));
  }
  return timeReader(type, data) ?? scalarReader(form, type, data);
}

function timeReader(type: DataType, data: Data): ValueReader | undefined {
  const integer = (index: number) => BigInt((data.values as BigInt64Array | Int32Array)[index] ?? 0);
  if (DataType.isTimestamp(type)) return (index) => formatTimestamp(type, integer(index));
  if (DataType.isTime(type)) return (index) => formatTime(type, integer(index));
  if (DataType.isDuration(type)) return (index) => formatDuration(type, integer(index));
  if (DataType.isInterval(type)) return (index) => formatInterval(type, data.values, index);
  if (!DataType.isDate(type)) return undefined;
  const format = type.unit === DateUnit.DAY ? formatDate : formatDateMillis;
  return (index) => format(integer(index));
}

function scalarReader(form: Form, type: DataType, data: Data): ValueReader {
  const { values, offset, stride } = data;
  if (DataType.isBool(type)) return (index) => bitAt(values, offset + index);
  if (DataType.isInt(type))
    return integerReader(form, values as { readonly [index: number]: number | bigint });
  if (DataType.isFloat(type)) {
    return type.precision === Precision.HALF ? (index) => float16At(values[index]) : (index) => values[index];
  }
  if (DataType.isDecimal(type)) {
    return (index) => formatDecimal(values.subarray(index * stride, (index + 1) * stride), type.scale);
  }
  const bytes = bytesReader(type, data);
  if (!DataType.isUtf8(rowType(type))) return (index) => form.bytes(bytes(index));
  return (index) => {
    const { buffer, byteOffset, byteLength } = bytes(index);
    return Buffer.from(buffer, byteOffset, byteLength).toString("utf8");
  };
}

function bytesReader(type: DataType, data: Data): (index: number) => Uint8Array {
  const { values, stride, valueOffsets } = data;
  if (isViewType(type)) return (index) => viewBytes(data, index) ?? new Uint8Array();
  if (offsetClassOf(type) === undefined)
    return (index) => values.subarray(index * stride, (index + 1) * stride);
  return (index) => values.subarray(Number(valueOffsets[index]), Number(valueOffsets[index + 1]));
}

function integerReader(form: Form, values: { readonly [index: number]: number | bigint }): ValueReader {
  return (index) => {
    const value = values[index];
    return typeof value === "bigint" ? form.integer64(value) : value;
  };
}

/** Returns the indexes of a list's items within the child column. */
function itemIndexes({ type, valueOffsets }: Data, index: number): number[] {
  const boundary = DataType.isFixedSizeList(type)
    ? (i: number) => i * type.listSize
    : (i: number) => Number(valueOffsets[i] ?? 0);
  const begin = boundary(index);
  return Array.from({ length: boundary(index + 1) - begin }, (_, i) => begin + i);
}

function unionReader(form: Form, type: Union, data: Data, path: string): ValueReader {
  const children = data.children.map((child) => readerOf(form, child, path));
  return (index) => {
    const read = children[type.typeIdToChildIndex[data.typeIds[index] ?? -1] ?? -1];
    return read?.(type.mode === UnionMode.Dense ? Number(data.valueOffsets[index]) : index) ?? null;
  };
}

function mapReader(form: Form, type: DataType, data: Data, path: string): ValueReader {
  const [entries] = data.children;
  if (entries === undefined) return () => form.map([]);
  const [key, value] = [childReader(form, entries, 0, path), childReader(form, entries, 1, path)];
  const keyType = rowType((entries.type.children as Field[])[0]?.type ?? type);
  if (form === AS_JSON && (keyType.children ?? []).length > 0) {
    return (index) => itemIndexes(data, index).map((place) => ({ key: key(place), value: value(place) }));
  }
  return (index) => {
    const map = form.map(itemIndexes(data, index).map((place) => [key(place), value(place)] as const));
    if (map !== undefined) return map;
    throw new MillraceError(
      "ROW_MISMATCH",
      `field "${path}": a map has a key twice, which ${form === AS_JSON ? "an object" : "a Map"} cannot have`,
      {
        where: { field: path },
        hint: "Write to a sink that takes record batches, such as arrow-table, or drop the column.",
      },
    );
  };
}

/**
 * Formats a decimal. `words` holds a two's complement integer, lowest word first, and `scale` is
 * the number of fractional digits.
 */
function formatDecimal(words: Uint32Array, scale: number): string {
  let unscaled = 0n;
  for (let i = words.length - 1; i >= 0; i--) unscaled = (unscaled << 32n) | BigInt(words[i] ?? 0);
  unscaled = BigInt.asIntN(words.length * 32, unscaled);
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(Math.max(0, scale) + 1, "0");
  const sign = unscaled < 0n ? "-" : "";
  if (scale < 0) return unscaled === 0n ? "0" : `${sign}${digits}${"0".repeat(-scale)}`;
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
