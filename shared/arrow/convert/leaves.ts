import {
  Data,
  DataType,
  type Date_,
  DateUnit,
  type Decimal,
  type Duration,
  type Float,
  type Int,
  Precision,
  type Time,
  type Timestamp,
  TimeUnit,
} from "apache-arrow";
import { float16At } from "../float16.ts";
import type { TypedArrayClass } from "../layout.ts";

/** A value that the wanted type cannot hold. `index` is its place in the column. */
export class UnfitValue extends Error {
  readonly index: number;

  constructor(index: number, problem: string) {
    super(problem);
    this.index = index;
  }
}

const PARTS: Readonly<Record<TimeUnit, bigint>> = {
  [TimeUnit.SECOND]: 1n,
  [TimeUnit.MILLISECOND]: 1000n,
  [TimeUnit.MICROSECOND]: 1_000_000n,
  [TimeUnit.NANOSECOND]: 1_000_000_000n,
};
const MILLIS_PER_DAY = 86_400_000n;

/**
 * True if a leaf column of the type `from` can be read as `to` without a change of its values.
 * Times may have another unit: a value that is not a whole number of it is then an error.
 */
export function isLeafConvertible(from: DataType, to: DataType): boolean {
  if (isText(from)) return DataType.isUtf8(to) || DataType.isLargeUtf8(to);
  if (isBytes(from)) return DataType.isBinary(to) || DataType.isLargeBinary(to);
  return isNumberConvertible(from, to) || isTimeConvertible(from, to);
}

/** True if each number of the type `from` is one of the type `to`. */
export function isNumberConvertible(from: DataType, to: DataType): boolean {
  if (DataType.isInt(from) && DataType.isInt(to)) return rangeHolds(to, from);
  if (DataType.isFloat(from) && DataType.isFloat(to)) return to.precision >= from.precision;
  if (DataType.isInt(from) && DataType.isDecimal(to)) return isUnsignedLong(from) && holdsUnsignedLong(to);
  if (!DataType.isDecimal(from) || !DataType.isDecimal(to)) return false;
  return to.scale === from.scale && to.precision >= from.precision;
}

/** Formats without unsigned integers store the largest ones as decimals. */
function isUnsignedLong({ bitWidth, isSigned }: Int): boolean {
  return bitWidth === 64 && !isSigned;
}

/** True if 20 digits, as many as the largest unsigned integer has, fit into a decimal. */
function holdsUnsignedLong({ precision, scale, bitWidth }: Decimal): boolean {
  return precision >= 20 && scale === 0 && bitWidth === 128;
}

function isTimeConvertible(from: DataType, to: DataType): boolean {
  if (DataType.isTimestamp(from) && DataType.isTimestamp(to)) return !from.timezone === !to.timezone;
  return [DataType.isDate, DataType.isTime, DataType.isDuration].some((is) => is(from) && is(to));
}

export function isText(type: DataType): boolean {
  return DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isUtf8View(type);
}

export function isBytes(type: DataType): boolean {
  const isVariable = DataType.isBinary(type) || DataType.isLargeBinary(type) || DataType.isBinaryView(type);
  return isVariable || DataType.isFixedSizeBinary(type);
}

function rangeHolds(wide: Int, narrow: Int): boolean {
  const bits = (type: Int) => (type.isSigned ? type.bitWidth - 1 : type.bitWidth);
  return (wide.isSigned || !narrow.isSigned) && bits(wide) >= bits(narrow);
}

/** Converts a column of numbers, decimals or times. Error: `UnfitValue`. */
export function convertNumbers(data: Data, to: DataType): Data {
  const { type: from, length, values } = data;
  if (DataType.isDecimal(from)) return convertDecimals(data, from, to as Decimal);
  if (DataType.isDecimal(to)) return unsignedAsDecimals(data, to);
  if (hasSameUnit(from, to)) return withBuffers(data, to, { 1: values });
  const convert = converterOf(from, to);
  const make = to.ArrayType as TypedArrayClass<{ [index: number]: number | bigint }>;
  const converted = new make(length);
  const isBig = make === (BigInt64Array as unknown) || make === (BigUint64Array as unknown);
  for (let i = 0; i < length; i++) {
    if (!data.getValid(i)) continue;
    const value = convert((values as Int32Array)[i] ?? 0, i);
    if (isBig && BigInt.asIntN(64, BigInt(value)) !== BigInt(value) && !DataType.isInt(to))
      throw new UnfitValue(i, "a time outside it");
    converted[i] = isBig ? BigInt(value) : Number(value);
  }
  return withBuffers(data, to, { 1: converted });
}

/** True for timestamps that differ only in the name of their zone, which is not part of a value. */
function hasSameUnit(from: DataType, to: DataType): boolean {
  return DataType.isTimestamp(from) && DataType.isTimestamp(to) && from.unit === to.unit;
}

type Converter = (value: number | bigint, index: number) => number | bigint;

function converterOf(from: DataType, to: DataType): Converter {
  if (DataType.isInt(from)) return (value) => value;
  if (DataType.isFloat(from)) return floatConverter(from, to as Float);
  const [own, wanted] = [partsOf(from as Timed), partsOf(to as Timed)];
  return (value, index) => {
    const scaled = BigInt(value) * wanted;
    if (scaled % own !== 0n) throw new UnfitValue(index, "a time with more digits");
    return scaled / own;
  };
}

type Timed = Timestamp | Time | Duration | Date_;

/** Number of the type's units in the largest unit that its kind of type has. */
function partsOf(type: Timed): bigint {
  if (DataType.isDate(type)) return type.unit === DateUnit.DAY ? 1n : MILLIS_PER_DAY;
  return PARTS[type.unit as TimeUnit];
}

function floatConverter(from: Float, to: Float): Converter {
  if (from.precision === to.precision || from.precision !== Precision.HALF) return (value) => value;
  return (value) => float16At(Number(value));
}

function convertDecimals(data: Data, from: Decimal, to: Decimal): Data {
  const [own, wanted] = [from.bitWidth / 32, to.bitWidth / 32];
  const words = new Uint32Array(data.length * wanted);
  const values = data.values as Uint32Array;
  for (let i = 0; i < data.length; i++) {
    const sign = (values[(i + 1) * own - 1] ?? 0) >>> 31 === 1 ? 0xffffffff : 0;
    for (let word = 0; word < wanted; word++) {
      words[i * wanted + word] = word < own ? (values[i * own + word] ?? 0) : sign;
    }
  }
  return withBuffers(data, to, { 1: words });
}

function unsignedAsDecimals(data: Data, to: Decimal): Data {
  const words = new BigUint64Array(data.length * 2);
  const values = data.values as BigUint64Array;
  for (let i = 0; i < data.length; i++) words[2 * i] = values[i] ?? 0n;
  return withBuffers(data, to, { 1: new Uint32Array(words.buffer) });
}

/** Returns a column of another type with the same nulls. */
export function withBuffers(data: Data, type: DataType, buffers: object, children: Data[] = []): Data {
  const hasNulls = data.nullCount > 0;
  const validity = hasNulls ? { 2: data.nullBitmap } : {};
  return new Data(
    type,
    data.offset,
    data.length,
    hasNulls ? -1 : 0,
    { ...buffers, ...validity } as never,
    children,
  );
}
