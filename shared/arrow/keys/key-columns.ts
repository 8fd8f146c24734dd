import {
  Binary,
  Bool,
  Data,
  DataType,
  Decimal,
  type Field,
  Float64,
  IntervalUnit,
  type RecordBatch,
  type Schema,
} from "apache-arrow";
import { typeName } from "../../contract/ddl/print.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { SortOrder } from "../../contract/write/distribution.ts";
import type { Expression } from "../../contract/write/predicates.ts";
import { Compiler } from "../predicates/compile.ts";
import type { Key, KeyReader } from "../predicates/keys.ts";
import type { ValueNode } from "../predicates/nodes.ts";
import { columnAt } from "../predicates/values.ts";

/** A column by which rows are compared or grouped, of one record batch. */
export interface KeyData {
  readonly data: Data;
  /** The structs around a nested field that have nulls: its value is null if one of them is. */
  readonly parents: readonly Data[];
}

/** Finds the values of an expression in a record batch. `undefined`: they are all the same. */
export type KeyColumn = (batch: RecordBatch) => KeyData | undefined;

/** What a column is used for. */
export type KeyUse = "ordering" | "clustering";

/**
 * Finds the columns of expressions in a schema. Throws `DISTRIBUTION_INVALID` if one is not there,
 * or is of a type that has no order or equality.
 */
export function keyColumns(
  schema: Schema,
  expressions: readonly Expression[],
  use: KeyUse,
): readonly KeyColumn[] {
  return expressions.map((expression) => keyColumn(schema, expression, use));
}

/** Throws `DISTRIBUTION_INVALID` if rows of the schema cannot be sorted by `orders`. */
export function checkOrdering(schema: Schema, orders: readonly SortOrder[]): void {
  keyColumns(
    schema,
    orders.map(({ expression }) => expression),
    "ordering",
  );
}

/** Throws `DISTRIBUTION_INVALID` if rows of the schema cannot be grouped by `expressions`. */
export function checkClustering(schema: Schema, expressions: readonly Expression[]): void {
  keyColumns(schema, expressions, "clustering");
}

function keyColumn(schema: Schema, expression: Expression, use: KeyUse): KeyColumn {
  if (expression.kind === "literal") return () => undefined;
  const label = `the ${use}`;
  if (expression.kind !== "reference") {
    const node = refused(() => new Compiler(schema, (name) => name).value(expression, label));
    return ({ data, numRows }) => ({ data: computedData(node, data, numRows), parents: [] });
  }
  const { path, field } = refused(() => columnAt(schema, expression.attribute, label));
  checkType(field.type, expression.attribute.join("."), use);
  return ({ data }) => columnData(data, path);
}

function columnData(rows: Data, path: readonly number[]): KeyData {
  const parents: Data[] = [];
  let data = rows;
  for (const [depth, index] of path.entries()) {
    if (depth > 0 && data.nullCount > 0) parents.push(data);
    data = data.children[index] as Data;
  }
  return { data, parents };
}

/** Gives an error of the expression's compiler the code of distributions. */
function refused<T>(compile: () => T): T {
  try {
    return compile();
  } catch (error) {
    if (!MillraceError.is(error) || error.code !== "FILTER_INVALID") throw error;
    throw invalid(error.message);
  }
}

function invalid(problem: string, field?: string): MillraceError {
  return new MillraceError("DISTRIBUTION_INVALID", problem, {
    where: field === undefined ? {} : { field },
    hint: 'Name a column of the rows, or ["place", "x"] for a field of a struct, whose values can be compared.',
  });
}

function checkType(type: DataType, path: string, use: KeyUse): void {
  if (DataType.isDictionary(type)) checkType(type.dictionary, path, use);
  const problem = problemOf(type, use);
  if (problem !== undefined)
    throw invalid(`the ${use} names "${path}", which is ${typeName(type)}: ${problem}`, path);
  for (const child of (type.children as readonly Field[] | undefined) ?? [])
    checkType(child.type, `${path}.${child.name}`, use);
}

function problemOf(type: DataType, use: KeyUse): string | undefined {
  if (DataType.isMap(type)) return "maps cannot be compared";
  if (DataType.isUnion(type)) return "unions cannot be compared";
  const isCalendar = DataType.isInterval(type) && type.unit === IntervalUnit.MONTH_DAY_NANO;
  return isCalendar && use === "ordering" ? "its values have no order, as a month has no length" : undefined;
}

/**
 * Most words of a computed number. It is exact beyond the range of its type, so that the product of
 * several integers still has its place in the order.
 */
const WORDS = 8;

/** Makes a column of computed values. Exact numbers become decimals. */
function computedData(node: ValueNode, rows: Data, length: number): Data {
  const { type } = node.field;
  const keyAt = node.bind(rows);
  const validity = new Uint8Array((length + 7) >> 3);
  const valid = (row: number): Key | null => {
    const key = keyAt(row);
    if (key !== null) validity[row >> 3] = (validity[row >> 3] ?? 0) | (1 << (row & 7));
    return key;
  };
  const make = (made: DataType, buffers: object) =>
    new Data(made, 0, length, -1, { ...buffers, 2: validity } as never);
  if (DataType.isNull(type)) return new Data(type, 0, length, length);
  if (DataType.isFloat(type)) {
    const values = Float64Array.from({ length }, (_, row) => Number(valid(row) ?? 0));
    return make(new Float64(), { 1: values });
  }
  if (DataType.isBool(type)) return make(new Bool(), { 1: bitsOf(length, valid) });
  if (DataType.isUtf8(type) || DataType.isBinary(type)) return make(new Binary(), bytesOf(length, valid));
  return make(new Decimal(0, 76, WORDS * 32), { 1: wordsOf(length, valid) });
}

function bitsOf(length: number, keyAt: KeyReader): Uint8Array {
  const bits = new Uint8Array((length + 7) >> 3);
  for (let row = 0; row < length; row++)
    if (keyAt(row) === true) bits[row >> 3] = (bits[row >> 3] ?? 0) | (1 << (row & 7));
  return bits;
}

function bytesOf(length: number, keyAt: KeyReader): object {
  const pieces: Buffer[] = [];
  const offsets = new Int32Array(length + 1);
  for (let row = 0; row < length; row++) {
    const bytes = (keyAt(row) as Buffer | null) ?? Buffer.alloc(0);
    pieces.push(bytes);
    offsets[row + 1] = (offsets[row] ?? 0) + bytes.length;
  }
  return { 0: offsets, 1: new Uint8Array(Buffer.concat(pieces)) };
}

function wordsOf(length: number, keyAt: KeyReader): Uint32Array {
  const words = new Uint32Array(length * WORDS);
  const view = new DataView(words.buffer);
  for (let row = 0; row < length; row++) {
    const integer = BigInt((keyAt(row) as number | bigint | null) ?? 0);
    if (BigInt.asIntN(WORDS * 32, integer) !== integer)
      throw invalid("an expression computes a number of more than 76 digits");
    for (let word = 0; word < WORDS / 2; word++)
      view.setBigInt64(row * WORDS * 4 + word * 8, BigInt.asIntN(64, integer >> BigInt(word * 64)), true);
  }
  return words;
}
