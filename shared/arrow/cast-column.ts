import { type Data, DataType, type Field, Precision, type RecordBatch } from "apache-arrow";
import { lengthLimit } from "../contract/ddl/types.ts";
import { ValueMismatch } from "./builders/builder.ts";
import { columnBuilder } from "./builders/index.ts";
import { convertColumn, differenceOf, nullColumn } from "./convert/columns.ts";
import { UnfitValue } from "./convert/leaves.ts";
import { decimalText, floatText } from "./number-text.ts";
import { type Key, keysOf } from "./predicates/keys.ts";
import { rowType } from "./row-type.ts";
import { rowsOf } from "./rows.ts";

/** A value that the type of a cast cannot hold. `index` is its row in the record batch. */
export class CastFailure extends Error {
  readonly index: number;
  readonly value: unknown;

  constructor(index: number, problem: string, value?: unknown) {
    super(problem);
    this.index = index;
    this.value = value;
  }
}

/** Returns a column of a record batch in another type. Throws `CastFailure`. */
export type Cast = (batch: RecordBatch, column: number) => Data;

/** What happens to fields of structs inside columns that only one of the types has. */
export interface InnerFields {
  /** Fields that the found type lacks: the types do not match, or the fields are null. */
  readonly missing: "refuse" | "null";
  /** Fields that the wanted type lacks. */
  readonly extra: "refuse" | "leave-out";
}

/** The types must have the same fields. */
export const SAME_FIELDS: InnerFields = { missing: "refuse", extra: "refuse" };

/**
 * Returns the cast of a column to the type of another, or `undefined` if Spark does not store
 * values of one type as the other, or if values would change. Numbers may be stored as other kinds
 * of numbers if each value stays the same, and all values but nested ones as text.
 */
export function castTo(from: Field, to: Field, inner: InnerFields = SAME_FIELDS): Cast | undefined {
  const [found, wanted] = [rowType(from.type), to.type];
  if (DataType.isNull(found)) return (batch) => nullColumn(wanted, batch.numRows);
  // The builder of text checks the lengths of a `varchar` or `char`.
  const isLimited = lengthLimit(to) !== undefined;
  if (!isLimited && isSafe(from.type, wanted, inner)) return safeCast(wanted);
  if (DataType.isUtf8(wanted)) return isNested(found) ? undefined : textCast(to);
  const convert = converterOf(found, wanted);
  return convert && valueCast(to, convert);
}

/** True if each value of the found type is one of the wanted type, or is a time. */
function isSafe(found: DataType, wanted: DataType, { missing, extra }: InnerFields): boolean {
  let isSameShape = true;
  const onMissing = ({ nullable }: Field) => {
    if (missing === "refuse" || !nullable) isSameShape = false;
  };
  return (
    differenceOf(found, wanted, "", onMissing) === undefined &&
    (extra === "leave-out" || hasNoMore(found, wanted)) &&
    isSameShape
  );
}

/** True if no struct of the found type has a field that the wanted type does not have. */
function hasNoMore(found: DataType, wanted: DataType): boolean {
  const [own, others] = [childrenOf(found), childrenOf(wanted)];
  if (!DataType.isStruct(found)) return own.every(({ type }, i) => hasNoMore(type, others[i]?.type ?? type));
  return own.every(({ name, type }) => {
    const other = others.find((field) => field.name === name);
    return other !== undefined && hasNoMore(type, other.type);
  });
}

function childrenOf(type: DataType): readonly Field[] {
  return DataType.isDictionary(type)
    ? childrenOf(type.dictionary)
    : ((type.children ?? []) as readonly Field[]);
}

function isNested(type: DataType): boolean {
  return childrenOf(type).length > 0;
}

function safeCast(type: DataType): Cast {
  return (batch, column) => {
    try {
      return convertColumn(batch.data.children[column] as Data, type);
    } catch (error) {
      throw error instanceof UnfitValue ? new CastFailure(error.index, error.message) : error;
    }
  };
}

/** Returns a value for the column builder. Throws `ValueMismatch`. */
type Convert = (key: Key) => unknown;

function converterOf(from: DataType, to: DataType): Convert | undefined {
  const isExact = DataType.isInt(from) || (DataType.isDecimal(from) && from.scale >= 0);
  if (DataType.isInt(to)) {
    if (DataType.isFloat(from)) return (key) => wholeNumber(key as number);
    return isExact ? scaleDown(scaleOf(from)) : undefined;
  }
  if (DataType.isFloat(to) && to.precision !== Precision.HALF) {
    const isSingle = to.precision === Precision.SINGLE;
    return DataType.isInt(from) || DataType.isFloat(from) ? (key) => sameFloat(key, isSingle) : undefined;
  }
  if (!DataType.isDecimal(to) || to.bitWidth !== 128 || !isExact) return undefined;
  return (key) => decimalText(BigInt(key as number | bigint), scaleOf(from));
}

function scaleOf(type: DataType): number {
  return DataType.isDecimal(type) ? type.scale : 0;
}

function wholeNumber(value: number): bigint {
  if (!Number.isInteger(value)) throw new ValueMismatch("a whole number", value);
  return BigInt(value);
}

function scaleDown(scale: number): Convert {
  const factor = 10n ** BigInt(scale);
  return (key) => {
    const unscaled = BigInt(key as number | bigint);
    if (unscaled % factor !== 0n)
      throw new ValueMismatch("a whole number", undefined, "a number with a fraction");
    return unscaled / factor;
  };
}

function sameFloat(key: Key, isSingle: boolean): number {
  const number = isSingle ? Math.fround(Number(key)) : Number(key);
  const isSame =
    typeof key === "bigint" ? Number.isFinite(number) && BigInt(number) === key : Object.is(number, key);
  if (isSame) return number;
  throw new ValueMismatch(
    `a number that a ${isSingle ? "32-bit float" : "double"} can hold`,
    key,
    "a number with more digits, or outside it",
  );
}

/** Builds the column anew from its values. */
function valueCast(to: Field, convert: Convert): Cast {
  return (batch, column) => {
    const keyAt = keysOf(batch.data, [column]);
    return built(to, batch.numRows, (row) => {
      const key = keyAt(row);
      return key === null ? null : convert(key);
    });
  };
}

function built(to: Field, length: number, valueAt: (row: number) => unknown): Data {
  const builder = columnBuilder(to.clone({ nullable: true }), length);
  for (let row = 0; row < length; row++) {
    try {
      builder.append(valueAt(row));
    } catch (error) {
      throw error instanceof ValueMismatch ? new CastFailure(row, error.message, error.value) : error;
    }
  }
  return builder.finish();
}

function textCast(to: Field): Cast {
  return (batch, column) => {
    const texts = textsOf(batch, column);
    return built(to, batch.numRows, () => texts.next().value ?? null);
  };
}

/** Returns the values as text: times as ISO 8601, like in rows, and floats as Spark prints them. */
function* textsOf(batch: RecordBatch, column: number): Generator<string | null, undefined> {
  const type = rowType(batch.schema.fields[column]?.type as DataType);
  if (DataType.isBinary(type)) {
    yield* utf8Texts(batch, column);
    return;
  }
  const isSingle = DataType.isFloat(type) && type.precision === Precision.SINGLE;
  for (const row of rowsOf(batch.selectAt([column]))) {
    const [value] = Object.values(row);
    if (value === null) yield null;
    else yield DataType.isFloat(type) ? floatText(Number(value), isSingle) : String(value);
  }
}

function* utf8Texts(batch: RecordBatch, column: number): Generator<string | null> {
  const keyAt = keysOf(batch.data, [column]);
  for (let row = 0; row < batch.numRows; row++) {
    const key = keyAt(row);
    yield key === null ? null : utf8Text(key as Buffer);
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function utf8Text(bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new ValueMismatch("text in UTF-8", undefined, "other bytes");
  }
}
