import { type Data, DataType, type Field } from "apache-arrow";
import { viewBytes } from "../check-data.ts";
import { dictionaryIndexes, dictionaryOf } from "../dictionary-data.ts";
import { emptyData } from "../ipc/vector-loader.ts";
import { isViewType, offsetClassOf } from "../layout.ts";
import { isSameType } from "../same-type.ts";
import { NULL_ROW, takeData } from "../take.ts";
import { convertNumbers, isBytes, isLeafConvertible, isText, withBuffers } from "./leaves.ts";

/** A field of a struct that the wanted type has and the found one does not. */
export type OnMissing = (field: Field, path: string, found: readonly Field[]) => void;

/**
 * The first place at which a found type cannot be read as the wanted one without a change of
 * values. Paths begin with the name of the column.
 */
export interface TypeDifference {
  readonly path: string;
  readonly found: DataType;
  readonly wanted: DataType;
}

/** Returns the first difference of types, or `undefined` if `convertColumn` can convert. */
export function differenceOf(
  found: DataType,
  wanted: DataType,
  path: string,
  onMissing: OnMissing,
): TypeDifference | undefined {
  if (isSameType(found, wanted)) return undefined;
  if (DataType.isDictionary(found)) return differenceOf(found.dictionary, wanted, path, onMissing);
  if (DataType.isStruct(found) && DataType.isStruct(wanted)) {
    return structDifference(found.children, wanted.children, path, onMissing);
  }
  const isNested = isListLike(found) && (DataType.isList(wanted) || DataType.isLargeList(wanted));
  if (isNested || (DataType.isMap(found) && DataType.isMap(wanted))) {
    const [own, other] = [found.children[0] as Field, wanted.children[0] as Field];
    return differenceOf(own.type, other.type, isNested ? `${path}[]` : path, onMissing);
  }
  return isLeafConvertible(found, wanted) ? undefined : { path, found, wanted };
}

function structDifference(
  found: readonly Field[],
  wanted: readonly Field[],
  path: string,
  onMissing: OnMissing,
): TypeDifference | undefined {
  for (const field of wanted) {
    const own = found.find(({ name }) => name === field.name);
    const place = `${path}.${field.name}`;
    if (own === undefined) onMissing(field, place, found);
    else {
      const difference = differenceOf(own.type, field.type, place, onMissing);
      if (difference !== undefined) return difference;
    }
  }
  return undefined;
}

/**
 * Converts a column to a type for which `differenceOf` found no difference. Values do not change;
 * one that the type cannot hold is an `UnfitValue`.
 */
export function convertColumn(data: Data, to: DataType): Data {
  const from = data.type as DataType;
  if (isSameType(from, to)) return data;
  if (DataType.isDictionary(from))
    return convertColumn(takeData(dictionaryOf(data), dictionaryIndexes(data)), to);
  if (DataType.isStruct(from) && DataType.isStruct(to)) {
    const children = to.children.map((field) => {
      const own = from.children.findIndex(({ name }) => name === field.name);
      return own < 0
        ? nullColumn(field.type, data.length)
        : convertColumn(data.children[own] as Data, field.type);
    });
    return withBuffers(data, to, {}, children);
  }
  if (isListLike(from) || DataType.isMap(from)) {
    const item = (to.children[0] as Field).type;
    return withBuffers(data, to, { 0: offsetsOf(data, to) }, [convertColumn(data.children[0] as Data, item)]);
  }
  return isText(from) || isBytes(from) ? convertBytes(data, to) : convertNumbers(data, to);
}

/** Returns a column of nulls. */
export function nullColumn(type: DataType, length: number): Data {
  return takeData(
    emptyData(type),
    Array.from({ length }, () => NULL_ROW),
  );
}

function isListLike(type: DataType): boolean {
  return DataType.isList(type) || DataType.isLargeList(type) || DataType.isFixedSizeList(type);
}

/** Returns the offsets of a list column for the type `to`. */
function offsetsOf(data: Data, to: DataType): object {
  const make = offsetClassOf(to) === BigInt64Array ? bigOffsets : smallOffsets;
  const size = DataType.isFixedSizeList(data.type) ? data.type.listSize : undefined;
  return make(data.length + 1, (i) => (size === undefined ? Number(data.valueOffsets[i] ?? 0) : i * size));
}

function convertBytes(data: Data, to: DataType): Data {
  const make = offsetClassOf(to) === BigInt64Array ? bigOffsets : smallOffsets;
  const { type, values, valueOffsets } = data;
  if (offsetClassOf(type) !== undefined) {
    const offsets = make(data.length + 1, (i) => Number(valueOffsets[i] ?? 0));
    return withBuffers(data, to, { 0: offsets, 1: values });
  }
  const bytesAt = (i: number): Uint8Array => {
    if (!data.getValid(i)) return new Uint8Array();
    if (isViewType(type)) return viewBytes(data, i) ?? new Uint8Array();
    return values.subarray(i * data.stride, (i + 1) * data.stride);
  };
  const pieces = Array.from({ length: data.length }, (_, i) => bytesAt(i));
  let end = 0;
  const ends = [0, ...pieces.map((piece) => (end += piece.length))];
  return withBuffers(data, to, {
    0: make(ends.length, (i) => ends[i] ?? 0),
    1: new Uint8Array(Buffer.concat(pieces)),
  });
}

function smallOffsets(length: number, at: (index: number) => number): Int32Array {
  return Int32Array.from({ length }, (_, i) => at(i));
}

function bigOffsets(length: number, at: (index: number) => number): BigInt64Array {
  return BigInt64Array.from({ length }, (_, i) => BigInt(at(i)));
}
