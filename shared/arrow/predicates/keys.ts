import { type Data, DataType, type Field, Precision } from "apache-arrow";
import { MillraceError } from "../../contract/errors.ts";
import type { FilterValue } from "../../contract/filters.ts";
import { ValueMismatch } from "../builders/builder.ts";
import { structBuilder } from "../builders/index.ts";
import { viewBytes } from "../check-data.ts";
import { dictionaryOf } from "../dictionary-data.ts";
import { float16At } from "../float16.ts";
import { bitAt, isViewType, offsetClassOf } from "../layout.ts";

/**
 * A value in a form that has the order and equality of its column: strings are UTF-8 bytes, as in
 * Spark, and decimals are unscaled integers.
 */
export type Key = number | bigint | boolean | Buffer;

/** Returns the key of a row, or null if the value is null. */
export type KeyReader = (row: number) => Key | null;

/**
 * Compares two keys like Spark: NaN equals NaN and is greater than any other number, and 0 equals
 * -0.
 */
export function compareKeys(a: Key, b: Key): number {
  if (Buffer.isBuffer(a)) return a.compare(b as Buffer);
  if (a === b) return 0;
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : 1;
  return a < b || Number.isNaN(b) ? -1 : 1;
}

/** Returns what a `Set` finds by value. Like `compareKeys`, a `Set` has one NaN and one zero. */
export function hashable(key: Key | null): number | bigint | boolean | string | null {
  return Buffer.isBuffer(key) ? key.toString("latin1") : key;
}

/**
 * Returns a function that reads the key of a row. `path` has the index of the column, then those of
 * nested struct fields. The key is null if the value or a struct around it is null.
 */
export function keysOf(rows: Data, path: readonly number[]): KeyReader {
  const nullable: Data[] = [];
  let data = rows;
  for (const index of path) {
    data = data.children[index] as Data;
    if (data.nullCount > 0) nullable.push(data);
  }
  const keyAt = keyReader(data);
  const [only] = nullable;
  if (only === undefined) return keyAt;
  if (nullable.length === 1) return (row) => (only.getValid(row) ? keyAt(row) : null);
  return (row) => (nullable.every((level) => level.getValid(row)) ? keyAt(row) : null);
}

function keyReader(data: Data): KeyReader {
  const { type, values, offset, stride } = data;
  if (DataType.isNull(type)) return () => null;
  if (DataType.isDictionary(type)) {
    const dictionary = dictionaryOf(data);
    const keyAt = keyReader(dictionary);
    return (row) => {
      const index = Number(values[row]);
      return dictionary.getValid(index) ? keyAt(index) : null;
    };
  }
  if (DataType.isBool(type)) return (row) => bitAt(values, offset + row);
  if (DataType.isDecimal(type)) return (row) => integerOf(values, row * stride, stride);
  if (isViewType(type)) return (row) => bufferOf(viewBytes(data, row) ?? new Uint8Array());
  if (DataType.isFloat(type) && type.precision === Precision.HALF) return (row) => float16At(values[row]);
  // Nested values cannot be compared. Only tests for null use them, so any key will do.
  if (data.children.length > 0 || DataType.isUnion(type)) return () => true;
  if (offsetClassOf(type) !== undefined) return bytesReader(data);
  if (DataType.isFixedSizeBinary(type))
    return (row) => bufferOf((values as Uint8Array).subarray(row * stride, (row + 1) * stride));
  return (row) => values[row] as number | bigint;
}

function bytesReader({ values, valueOffsets: offsets }: Data): KeyReader {
  const { buffer, byteOffset } = values as Uint8Array;
  return (row) => {
    const start = Number(offsets[row]);
    return Buffer.from(buffer, byteOffset + start, Number(offsets[row + 1]) - start);
  };
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** Reads a two's complement integer from 32-bit words, lowest word first. */
function integerOf(words: Uint32Array, from: number, count: number): bigint {
  let integer = 0n;
  for (let i = from + count - 1; i >= from; i--) integer = (integer << 32n) | BigInt(words[i] ?? 0);
  return BigInt.asIntN(count * 32, integer);
}

/**
 * Returns the key of a value that a column is compared with. The value is converted by the same
 * column builder as the values of rows. `problem` begins the message of a `FILTER_INVALID`.
 */
export function keyOfValue(field: Field, value: FilterValue, problem: string): Key | null {
  try {
    const column = structBuilder([field.clone({ nullable: true })], false, 1);
    column.append([value]);
    return keysOf(column.finish(), [0])(0);
  } catch (error) {
    throw invalidFilter(`${problem}: ${mismatchMessage(error)}`);
  }
}

function mismatchMessage(error: unknown): string {
  // The path begins with a dot, as in `.tags[2]`.
  if (error instanceof ValueMismatch) return `field "${error.path.slice(1)}": ${error.message}`;
  return MillraceError.is(error) ? error.message : String(error);
}

/** Returns an error with the code `FILTER_INVALID`. */
export function invalidFilter(problem: string): MillraceError {
  return new MillraceError("FILTER_INVALID", problem, {
    hint: 'Name a column of the schema, or ["place", "x"] for a field of a struct, and compare it with a value that it can hold.',
  });
}
