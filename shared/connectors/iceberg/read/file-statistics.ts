import type { ColumnStatistics, Statistics } from "../../../arrow/predicates/ranges.ts";
import type { Attribute } from "../../../contract/filters.ts";
import { primitiveOf } from "../format/primitive.ts";
import { decodeValue } from "../format/single-value.ts";
import type {
  DataFile,
  IcebergSchema,
  IcebergValue,
  NestedField,
  PartitionField,
  PartitionSpec,
  PrimitiveType,
} from "../format/types.ts";
import { rowValueOf } from "./row-values.ts";

const MICROS_PER_HOUR = 3_600_000_000n;

/**
 * Returns what a manifest tells of the rows of a data file, for filters. Nothing is concluded from
 * something that the manifest lacks.
 */
export function fileStatistics(file: DataFile, schema: IcebergSchema, spec: PartitionSpec): Statistics {
  return {
    rowCount: file.recordCount,
    column: (attribute) => {
      const field = leafAt(schema, attribute);
      if (field === undefined) return undefined;
      const nullCount = file.nullValueCounts?.get(field.id);
      return {
        ...partitionBounds(file, field, spec),
        ...ownBounds(file, field),
        ...(nullCount === undefined ? {} : { nullCount }),
      };
    },
  };
}

type Leaf = NestedField & { readonly type: PrimitiveType };

function leafAt(schema: IcebergSchema, attribute: Attribute): Leaf | undefined {
  let fields: readonly NestedField[] = schema.fields;
  let found: NestedField | undefined;
  for (const name of attribute) {
    found = fields.find((field) => field.name === name);
    const type = found?.type;
    fields = typeof type === "object" && type.type === "struct" ? type.fields : [];
  }
  return typeof found?.type === "string" ? (found as Leaf) : undefined;
}

type Bounds = Pick<ColumnStatistics, "min" | "max">;

function ownBounds(file: DataFile, { id, type }: Leaf): Bounds {
  const min = boundOf(type, file.lowerBounds?.get(id));
  const max = boundOf(type, file.upperBounds?.get(id));
  const isFloat = type === "float" || type === "double";
  // Bounds leave NaN out, and NaN is greater than all numbers.
  const mayHoldNan = isFloat && file.nanValueCounts?.get(id) !== 0;
  return {
    ...(min === undefined ? {} : { min }),
    ...(max === undefined || mayHoldNan ? {} : { max }),
  };
}

/** Returns a bound in the form that filters have, or `undefined` if it tells nothing. */
function boundOf(type: PrimitiveType, bytes: Uint8Array | undefined): unknown {
  if (bytes === undefined || primitiveOf(type).kind === "time") return undefined;
  try {
    const value = decodeValue(type, bytes);
    // NaN as a bound comes from old writers, and tells nothing.
    return Number.isNaN(value) ? undefined : rowValueOf(type, value);
  } catch {
    // A bound that other programs wrote wrong must not keep the rows from being read.
    return undefined;
  }
}

/** Returns the bounds that follow from the file's partition. */
function partitionBounds(file: DataFile, { id, type }: Leaf, spec: PartitionSpec): Bounds {
  for (const [i, field] of spec.fields.entries()) {
    const value = file.partition[i];
    if (field["source-id"] !== id || value === undefined || value === null) continue;
    const [min, max] = boundsOfPartition(field, type, value);
    if (min === undefined) continue;
    return { min: rowValueOf(type, min), ...(max === undefined ? {} : { max: rowValueOf(type, max) }) };
  }
  return {};
}

/** Returns the least and the greatest value of a partition, as far as the transform tells. */
function boundsOfPartition(
  { transform }: PartitionField,
  type: PrimitiveType,
  value: IcebergValue,
): readonly [min?: IcebergValue, max?: IcebergValue] {
  if (primitiveOf(type).kind === "time" || Number.isNaN(value)) return [];
  if (transform === "identity") return [value, value];
  const width = /^truncate\[(\d+)\]$/.exec(transform)?.[1];
  if (width !== undefined) {
    if (type === "string" || type === "binary") return [value];
    const end = BigInt(value as bigint) + BigInt(width) - 1n;
    return [value, type === "int" ? Number(end) : end];
  }
  return timeBounds(transform, type, Number(value));
}

function timeBounds(
  transform: string,
  type: PrimitiveType,
  ordinal: number,
): readonly [IcebergValue?, IcebergValue?] {
  const hours = (one: number): number | undefined => {
    if (transform === "hour") return one;
    if (transform === "day") return one * 24;
    const months = transform === "month" ? one : transform === "year" ? one * 12 : undefined;
    return months === undefined ? undefined : Date.UTC(1970, months) / 3_600_000;
  };
  const [start, end] = [hours(ordinal), hours(ordinal + 1)];
  if (start === undefined || end === undefined) return [];
  if (type === "date") return [start / 24, end / 24 - 1];
  return [BigInt(start) * MICROS_PER_HOUR, BigInt(end) * MICROS_PER_HOUR - 1n];
}
