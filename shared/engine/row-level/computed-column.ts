import { Binary, Data, DataType, type Field, Int64, type RecordBatch, type Schema, Utf8 } from "apache-arrow";
import { ValueMismatch } from "../../arrow/builders/builder.ts";
import { columnBuilder } from "../../arrow/builders/index.ts";
import { nullColumn } from "../../arrow/convert/columns.ts";
import { emptyData } from "../../arrow/ipc/vector-loader.ts";
import { offsetClassOf } from "../../arrow/layout.ts";
import { Compiler } from "../../arrow/predicates/compile.ts";
import type { Key, KeyReader } from "../../arrow/predicates/keys.ts";
import { fieldOfLiterals } from "../../arrow/predicates/types.ts";
import { columnAt } from "../../arrow/predicates/values.ts";
import { NULL_ROW, takeData } from "../../arrow/take.ts";
import { typeName } from "../../contract/ddl/print.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { FilterValue } from "../../contract/filters.ts";
import type { Expression } from "../../contract/write/predicates.ts";

/** The values of an expression. */
export interface ComputedColumn {
  readonly type: DataType;
  /** Returns the values of all rows. Throws `ROW_MISMATCH` if a number is too large. */
  of(batch: RecordBatch): Data;
}

/**
 * Returns the column of an expression over rows of `schema`. A literal has the type of `target`, if
 * that can hold it. Throws `FILTER_INVALID` or `MERGE_INVALID`.
 */
export function computedColumn(schema: Schema, expression: Expression, target: Field): ComputedColumn {
  const label = `the new value of "${target.name}"`;
  if (expression.kind === "literal") return literalColumn(expression.value, target, label);
  if (expression.kind === "reference") {
    const { path, field } = columnAt(schema, expression.attribute, label);
    return { type: field.type, of: (batch) => columnOf(batch.data as Data, path) };
  }
  const node = new Compiler(schema, (name) => name).value(expression, label);
  const { type } = node.field;
  return { type, of: (batch) => dataOf(type, batch.numRows, node.bind(batch.data as Data), label) };
}

function literalColumn(value: FilterValue, target: Field, label: string): ComputedColumn {
  if (value === null) return { type: target.type, of: ({ numRows }) => nullColumn(target.type, numRows) };
  const ofTarget = columnWith(value, target);
  const field = ofTarget === undefined ? fieldOfLiterals([value], label) : target;
  const one = ofTarget ?? columnWith(value, field);
  if (one === undefined) throw unfit(label, target.type);
  return { type: field.type, of: ({ numRows }) => takeData(one, new Array<number>(numRows).fill(0)) };
}

/** Returns a column with this one value, or `undefined` if the type cannot hold it. */
function columnWith(value: FilterValue, field: Field): Data | undefined {
  try {
    const builder = columnBuilder(field.clone({ nullable: true }), 1);
    builder.append(value);
    return builder.finish();
  } catch (error) {
    if (error instanceof ValueMismatch) return undefined;
    throw error;
  }
}

/** Returns a column within structs. A value is null if a struct around it is. */
function columnOf(rows: Data, path: readonly number[]): Data {
  let data = rows;
  let hidden: boolean[] | undefined;
  for (const index of path) {
    if (data.nullCount > 0) {
      const own = data;
      hidden = Array.from({ length: rows.length }, (_, row) => hidden?.[row] === true || !own.getValid(row));
    }
    data = data.children[index] as Data;
  }
  return hidden === undefined
    ? data
    : takeData(
        data,
        hidden.map((isHidden, row) => (isHidden ? NULL_ROW : row)),
      );
}

/** Builds a column of keys, which are the values of Arrow's buffers. */
function dataOf(type: DataType, length: number, keyAt: KeyReader, label: string): Data {
  const keys = Array.from({ length }, (_, row) => keyAt(row));
  const nullCount = keys.filter((key) => key === null).length;
  const validity = nullCount === 0 ? undefined : bitsOf(keys, (key) => key !== null);
  const buffers = { ...valueBuffers(type, keys, label), ...(validity === undefined ? {} : { 2: validity }) };
  return new Data(type, 0, length, nullCount, buffers as never);
}

type Keys = readonly (Key | null)[];

function valueBuffers(type: DataType, keys: Keys, label: string): object {
  if (DataType.isNull(type)) return {};
  if (DataType.isBool(type)) return { 1: bitsOf(keys, (key) => key === true) };
  if (type instanceof Utf8 || type instanceof Binary || offsetClassOf(type) === Int32Array)
    return byteBuffers(keys as readonly (Buffer | null)[]);
  if (DataType.isDecimal(type)) return { 1: words(keys, type.bitWidth / 32) };
  const make = emptyData(type).values.constructor as new (length: number) => { [index: number]: unknown };
  const values = new make(keys.length);
  const isBig = values instanceof BigInt64Array || values instanceof BigUint64Array;
  for (const [row, key] of keys.entries()) {
    if (key === null) continue;
    const value = isBig ? BigInt(key as bigint) : Number(key);
    values[row] = value;
    // An array of 64-bit integers keeps the lowest bits of a larger one.
    if (isBig && values[row] !== value) throw tooLarge(label);
  }
  return { 1: values };
}

function byteBuffers(keys: readonly (Buffer | null)[]): object {
  const offsets = new Int32Array(keys.length + 1);
  for (const [row, key] of keys.entries()) offsets[row + 1] = (offsets[row] ?? 0) + (key?.length ?? 0);
  return { 0: offsets, 1: new Uint8Array(Buffer.concat(keys.filter((key) => key !== null))) };
}

function bitsOf(keys: Keys, isSet: (key: Key | null) => boolean): Uint8Array {
  const bits = new Uint8Array((keys.length + 7) >> 3);
  for (const [row, key] of keys.entries())
    if (isSet(key)) bits[row >> 3] = (bits[row >> 3] ?? 0) | (1 << (row & 7));
  return bits;
}

/** Writes two's complement integers, lowest word first. */
function words(keys: Keys, stride: number): Uint32Array {
  const values = new Uint32Array(keys.length * stride);
  for (const [row, key] of keys.entries()) {
    let rest = BigInt.asUintN(stride * 32, BigInt((key ?? 0) as bigint));
    for (let i = 0; i < stride; i++) {
      values[row * stride + i] = Number(rest & 0xffffffffn);
      rest >>= 32n;
    }
  }
  return values;
}

function unfit(label: string, type: DataType): MillraceError {
  return new MillraceError("MERGE_INVALID", `${label} is no ${typeName(type)}`, {
    hint: "Give a value that the column can hold.",
  });
}

function tooLarge(label: string): MillraceError {
  return new MillraceError("ROW_MISMATCH", `${label} is outside the numbers of ${typeName(new Int64())}`, {
    hint: "Leave such rows out by a condition, or compute another value.",
  });
}
