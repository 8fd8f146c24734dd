import {
  type Data,
  DataType,
  type Field,
  type RecordBatch,
  type Schema,
  type Struct,
  Vector,
} from "apache-arrow";
import { ValueMismatch } from "../arrow/builders/builder.ts";
import { structBuilder } from "../arrow/builders/index.ts";
import { toRecordBatches } from "../arrow/record-batches.ts";
import { takeRows } from "../arrow/take.ts";
import { typeName } from "../contract/ddl/print.ts";
import type { ErrorLocation } from "../contract/errors.ts";
import { MillraceError } from "../contract/errors.ts";
import type { Attribute, Filter, FilterValue } from "../contract/filters.ts";
import type { RowSource } from "../contract/stream-reader.ts";
import { suggest } from "../contract/suggest.ts";

/**
 * Result of a filter for one row, in SQL's three-valued logic: `undefined` means unknown, because
 * of a null.
 */
type Test = (row: number) => boolean | undefined;

/**
 * Yields the rows for which all filters hold. Used for the filters that the source could not apply.
 * Throws `FILTER_INVALID`, and the errors of `toRecordBatches`.
 */
export async function* filterRows(
  schema: Schema,
  rows: RowSource,
  filters: readonly Filter[],
  where: ErrorLocation,
): AsyncGenerator<RecordBatch> {
  const compiled = filters.map((filter) => compile(schema, filter));
  for await (const batch of toRecordBatches(schema, rows, where)) {
    const tests = compiled.map((testOf) => testOf(batch));
    const kept: number[] = [];
    for (let row = 0; row < batch.numRows; row++)
      if (tests.every((test) => test(row) === true)) kept.push(row);
    if (kept.length === batch.numRows) yield batch;
    else if (kept.length > 0) yield takeRows(batch, kept);
  }
}

/**
 * Throws `FILTER_INVALID` if a filter names a column that does not exist, or compares it with a
 * value that the column cannot hold.
 */
export function checkFilters(schema: Schema, filters: readonly Filter[]): void {
  for (const filter of filters) compile(schema, filter);
}

function compile(schema: Schema, filter: Filter): (batch: RecordBatch) => Test {
  if (filter.kind === "Not") {
    const child = compile(schema, filter.child);
    return (batch) => {
      const test = child(batch);
      return (row) => {
        const result = test(row);
        return result === undefined ? undefined : !result;
      };
    };
  }
  const { field, path } = columnAt(schema, filter);
  const apply = filterFunction(field, filter);
  return (batch) => {
    const keyAt = keysOf(batch.data, path);
    return (row) => apply(keyAt(row));
  };
}

/**
 * A value in a form that has the order and equality of its column: strings are UTF-8 bytes, as in
 * Spark, and decimals are unscaled integers.
 */
type Key = number | bigint | boolean | Buffer;

/** Returns the function that applies a filter to the key of a row. */
function filterFunction(
  field: Field,
  filter: Exclude<Filter, { readonly kind: "Not" }>,
): (key: Key | null) => boolean | undefined {
  if (filter.kind === "IsNull") return (key) => key === null;
  if (filter.kind === "IsNotNull") return (key) => key !== null;
  if (filter.kind === "In") return inFunction(filter.value.map((value) => keyFor(field, value, filter.kind)));
  const wanted = keyFor(field, filter.value, filter.kind);
  if (filter.kind === "EqualNullSafe")
    return (key) => (key === null || wanted === null ? key === wanted : compare(key, wanted) === 0);
  const holds = COMPARISONS[filter.kind];
  return (key) => (key === null || wanted === null ? undefined : holds(key, wanted));
}

/**
 * Returns the test of an `In` filter. As in Spark, an empty list contains nothing: the result is
 * then false even for a null.
 */
function inFunction(wanted: readonly (Key | null)[]): (key: Key | null) => boolean | undefined {
  // Like `compare`, a Set treats NaN as equal to itself and 0 as equal to -0.
  const known = new Set(wanted.map(hashable));
  const ifNotFound = known.has(null) ? undefined : false;
  return (key) => {
    if (known.size === 0) return false;
    return key === null ? undefined : known.has(hashable(key)) || ifNotFound;
  };
}

function hashable(key: Key | null): number | bigint | boolean | string | null {
  return Buffer.isBuffer(key) ? key.toString("latin1") : key;
}

const COMPARISONS: Readonly<
  Record<
    Exclude<Filter["kind"], "Not" | "IsNull" | "IsNotNull" | "In" | "EqualNullSafe">,
    (key: Key, wanted: Key) => boolean
  >
> = {
  EqualTo: (key, wanted) => compare(key, wanted) === 0,
  GreaterThan: (key, wanted) => compare(key, wanted) > 0,
  GreaterThanOrEqual: (key, wanted) => compare(key, wanted) >= 0,
  LessThan: (key, wanted) => compare(key, wanted) < 0,
  LessThanOrEqual: (key, wanted) => compare(key, wanted) <= 0,
  StringStartsWith: (key, wanted) => bytes(key).subarray(0, bytes(wanted).length).equals(bytes(wanted)),
  StringEndsWith: (key, wanted) =>
    bytes(key).length >= bytes(wanted).length &&
    bytes(key)
      .subarray(bytes(key).length - bytes(wanted).length)
      .equals(bytes(wanted)),
  StringContains: (key, wanted) => bytes(key).includes(bytes(wanted)),
};

const bytes = (key: Key): Buffer => key as Buffer;

/**
 * Compares two values like Spark: NaN equals NaN and is greater than any other number, and 0 equals
 * -0.
 */
function compare(a: Key, b: Key): number {
  if (Buffer.isBuffer(a)) return a.compare(bytes(b));
  if (a === b) return 0;
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : 1;
  return a < b || Number.isNaN(b) ? -1 : 1;
}

interface Column {
  readonly field: Field;
  /** Index of the column, then the indexes of nested struct fields. */
  readonly path: readonly number[];
}

function columnAt(schema: Schema, { kind, attribute }: { kind: string; attribute: Attribute }): Column {
  const name = attribute.join(".");
  const path: number[] = [];
  let fields: readonly Field[] = schema.fields;
  let field: Field | undefined;
  for (const part of attribute) {
    const index = fields.findIndex((other) => other.name === part);
    field = fields[index];
    if (field === undefined) {
      const names = fields.map((other) => other.name);
      throw invalid(`${kind} names the column "${name}", which is not there${suggest(part, names)}`);
    }
    path.push(index);
    fields = DataType.isStruct(field.type) ? (field.type as Struct).children : [];
  }
  if (field === undefined) throw invalid(`${kind} names no column`);
  const { type } = field;
  const isString = DataType.isUtf8(type) || DataType.isLargeUtf8(type);
  if (kind.startsWith("String") && !isString)
    throw invalid(`${kind} looks into "${name}", which is no string but ${typeName(type)}`);
  const isNested = DataType.isStruct(type) || DataType.isList(type) || DataType.isMap(type);
  if (isNested && kind !== "IsNull" && kind !== "IsNotNull")
    throw invalid(`${kind} cannot compare "${name}", which is ${typeName(type)}`);
  return { field, path };
}

/**
 * Returns a function that reads the key of a row. The key is null if the value or a struct around
 * it is null.
 */
function keysOf(rows: Data, path: readonly number[]): (row: number) => Key | null {
  const levels: Data[] = [];
  let data = rows;
  for (const index of path) {
    data = data.children[index] as Data;
    levels.push(data);
  }
  if (DataType.isNull(data.type)) return () => null;
  const keyAt = keyReader(data);
  return (row) => (levels.every((level) => level.getValid(row)) ? keyAt(row) : null);
}

function keyReader(data: Data): (row: number) => Key {
  const { type, values, valueOffsets: offsets, stride } = data;
  if (DataType.isBool(type)) {
    const vector = new Vector([data]);
    return (row) => vector.get(row) as boolean;
  }
  if (DataType.isDecimal(type)) return (row) => integerOf(values, row * stride, stride);
  // Nested values cannot be compared. Only `IsNull` and `IsNotNull` use them, so any key will do.
  if (data.children.length > 0) return () => true;
  if (offsets === undefined) return (row) => values[row] as number | bigint;
  const { buffer, byteOffset } = values as Uint8Array;
  return (row) => {
    const start = Number(offsets[row]);
    return Buffer.from(buffer, byteOffset + start, Number(offsets[row + 1]) - start);
  };
}

/** Reads a two's complement integer from 32-bit words, lowest word first. */
function integerOf(words: Uint32Array, from: number, count: number): bigint {
  let integer = 0n;
  for (let i = from + count - 1; i >= from; i--) integer = (integer << 32n) | BigInt(words[i] ?? 0);
  return BigInt.asIntN(count * 32, integer);
}

/**
 * Returns the key of a filter's value. The value is converted by the same column builder as the
 * values of rows.
 */
function keyFor(field: Field, value: FilterValue, kind: string): Key | null {
  try {
    const column = structBuilder([field.clone({ nullable: true })], false, 1);
    column.append([value]);
    return keysOf(column.finish(), [0])(0);
  } catch (error) {
    throw invalid(`${kind} compares with a value that does not fit: ${mismatchMessage(error)}`);
  }
}

function mismatchMessage(error: unknown): string {
  // The path begins with a dot, as in `.tags[2]`.
  if (error instanceof ValueMismatch) return `field "${error.path.slice(1)}": ${error.message}`;
  return MillraceError.is(error) ? error.message : String(error);
}

function invalid(problem: string): MillraceError {
  return new MillraceError("FILTER_INVALID", problem, {
    hint: 'Name a column of the schema, or ["place", "x"] for a field of a struct, and compare it with a value that it can hold.',
  });
}
