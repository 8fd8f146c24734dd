import { primitiveOf } from "../format/primitive.ts";
import { type LeafField, leavesOf } from "../format/schema.ts";
import { compareValues, encodeValue } from "../format/single-value.ts";
import { firstCodePoints } from "../format/transforms.ts";
import type { DataFile, IcebergSchema, IcebergValue, PrimitiveType } from "../format/types.ts";
import type { MetricsMode } from "./metrics-modes.ts";
import type { ChunkStatistics, RowGroupStatistics } from "./parquet-footer.ts";

export type Metrics = Required<
  Pick<
    DataFile,
    "columnSizes" | "valueCounts" | "nullValueCounts" | "lowerBounds" | "upperBounds" | "splitOffsets"
  >
>;

/**
 * Returns the metrics of a data file, as Spark and pyiceberg write them. Columns inside lists and
 * maps have counts, but no bounds. What the footer does not say is left out, which means unknown.
 */
export function metricsOf(
  groups: readonly RowGroupStatistics[],
  schema: IcebergSchema,
  modes: ReadonlyMap<number, MetricsMode>,
): Metrics {
  const metrics = {
    columnSizes: new Map<number, number>(),
    valueCounts: new Map<number, number>(),
    nullValueCounts: new Map<number, number>(),
    lowerBounds: new Map<number, Uint8Array>(),
    upperBounds: new Map<number, Uint8Array>(),
  };
  for (const leaf of leavesOf(schema)) {
    const chunks = groups.flatMap(({ columns }) => columns.filter(({ fieldId }) => fieldId === leaf.id));
    const mode = modes.get(leaf.id) ?? { kind: "none" };
    // Java's writer has the sizes of all columns, whatever the mode.
    metrics.columnSizes.set(leaf.id, sum(chunks.map(({ bytes }) => bytes)));
    if (mode.kind === "none") continue;
    metrics.valueCounts.set(leaf.id, sum(chunks.map(({ values }) => values)));
    const nulls = chunks.map((chunk) => chunk.nulls);
    if (nulls.every((count) => count !== undefined)) metrics.nullValueCounts.set(leaf.id, sum(nulls));
    if (mode.kind === "counts") continue;
    const { lower, upper } = boundsOf(leaf, chunks, mode);
    if (lower !== undefined) metrics.lowerBounds.set(leaf.id, lower);
    if (upper !== undefined) metrics.upperBounds.set(leaf.id, upper);
  }
  return { ...metrics, splitOffsets: groups.map(({ offset }) => offset) };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

interface Bounds {
  readonly lower?: Uint8Array | undefined;
  readonly upper?: Uint8Array | undefined;
}

/** Returns the bounds of a column over all row groups, or none if those of one are not known. */
function boundsOf(leaf: LeafField, chunks: readonly ChunkStatistics[], mode: MetricsMode): Bounds {
  if (leaf.isRepeated) return {};
  const filled = chunks.filter(({ nulls, values }) => nulls !== values);
  let lowest: IcebergValue | undefined;
  let highest: IcebergValue | undefined;
  for (const { bounds, physicalType } of filled) {
    if (bounds === undefined) return {};
    const min = statisticValue(leaf.type, physicalType, bounds.min);
    const max = statisticValue(leaf.type, physicalType, bounds.max);
    if (!isBound(leaf.type, min) || !isBound(leaf.type, max)) return {};
    if (lowest === undefined || compareValues(leaf.type, min, lowest) < 0) lowest = min;
    if (highest === undefined || compareValues(leaf.type, max, highest) > 0) highest = max;
  }
  if (lowest === undefined || highest === undefined) return {};
  return encodedBounds(leaf.type, lowest, highest, mode);
}

function encodedBounds(
  type: PrimitiveType,
  lowest: IcebergValue,
  highest: IcebergValue,
  mode: MetricsMode,
): Bounds {
  if (type === "float" || type === "double") {
    // A statistic does not say which zero it is, so the bounds hold both.
    return {
      lower: encodeValue(type, lowest === 0 ? -0 : lowest),
      upper: encodeValue(type, highest === 0 ? 0 : highest),
    };
  }
  if (mode.kind !== "truncate" || (type !== "string" && type !== "binary")) {
    return { lower: encodeValue(type, lowest), upper: encodeValue(type, highest) };
  }
  return {
    lower: encodeValue(type, cut(lowest, mode.length)),
    upper: encodedUpper(type, highest, mode.length),
  };
}

function cut(value: IcebergValue, length: number): IcebergValue {
  return typeof value === "string" ? firstCodePoints(value, length) : (value as Uint8Array).slice(0, length);
}

function encodedUpper(type: PrimitiveType, value: IcebergValue, length: number): Uint8Array | undefined {
  const short = cut(value, length);
  const isWhole = (short as string | Uint8Array).length === (value as string | Uint8Array).length;
  const upper = isWhole ? short : incremented(short);
  return upper === undefined ? undefined : encodeValue(type, upper);
}

/**
 * Returns the least value of this length that is greater than all longer ones that begin with it,
 * or `undefined` if there is none.
 */
function incremented(value: IcebergValue): IcebergValue | undefined {
  return typeof value === "string" ? nextText([...value]) : nextBytes(value as Uint8Array);
}

const MAX_CODE_POINT = 0x10ffff;
const FIRST_SURROGATE = 0xd800;
const AFTER_SURROGATES = 0xe000;

function nextText(characters: readonly string[]): string | undefined {
  for (let i = characters.length - 1; i >= 0; i--) {
    const next = (characters[i]?.codePointAt(0) ?? 0) + 1;
    if (next > MAX_CODE_POINT) continue;
    const valid = next === FIRST_SURROGATE ? AFTER_SURROGATES : next;
    return characters.slice(0, i).join("") + String.fromCodePoint(valid);
  }
  return undefined;
}

function nextBytes(bytes: Uint8Array): Uint8Array | undefined {
  for (let i = bytes.length - 1; i >= 0; i--) {
    const byte = bytes[i] as number;
    if (byte === 255) continue;
    const next = bytes.slice(0, i + 1);
    next[i] = byte + 1;
    return next;
  }
  return undefined;
}

/**
 * False if a statistic is no value of the type: NaN, other bytes than UTF-8, or a part of a value.
 */
function isBound(name: PrimitiveType, value: IcebergValue | undefined): value is IcebergValue {
  if (value === undefined || Number.isNaN(value)) return false;
  const type = primitiveOf(name);
  // The writer shortens statistics of long values.
  return type.kind !== "fixed" || (value as Uint8Array).length === type.length;
}

// `ignoreBOM` keeps a byte order mark, which is part of the text.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decodedText(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

const BOOLEAN = 0;
const INT32 = 1;
const INT64 = 2;
const FLOAT = 4;
const DOUBLE = 5;

/** Returns the value of a statistic. Parquet's physical type says how it is stored. */
function statisticValue(type: PrimitiveType, physical: number, bytes: Uint8Array): IcebergValue | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isDecimal = type.startsWith("decimal");
  switch (physical) {
    case BOOLEAN:
      return bytes[0] === 1;
    case INT32:
      return isDecimal ? BigInt(view.getInt32(0, true)) : view.getInt32(0, true);
    case INT64:
      return view.getBigInt64(0, true);
    case FLOAT:
      return view.getFloat32(0, true);
    case DOUBLE:
      return view.getFloat64(0, true);
    default:
      if (isDecimal)
        return BigInt.asIntN(8 * bytes.length, BigInt(`0x${Buffer.from(bytes).toString("hex")}`));
      return type === "string" ? decodedText(bytes) : new Uint8Array(bytes);
  }
}
