import { type Data, DataType, Precision, type RecordBatch, type Schema } from "apache-arrow";
import type { Expression } from "../contract/write/predicates.ts";
import { viewBytes } from "./check-data.ts";
import { presenceOf } from "./conform.ts";
import { dictionaryOf } from "./dictionary-data.ts";
import { float16At } from "./float16.ts";
import { type KeyColumn, keyColumns } from "./keys/key-columns.ts";
import { bitAt, isViewType, offsetClassOf } from "./layout.ts";

export { checkClustering } from "./keys/key-columns.ts";

/**
 * Returns the bucket of each row. Rows with equal values are in one bucket: null equals null, NaN
 * equals NaN, and 0 equals -0. The encoding of a column does not matter, nor does the width of
 * integers and floats. The hash may change from one version of the code to the next, so all tasks
 * of one attempt must run the same code. Throws `DISTRIBUTION_INVALID`.
 */
export function bucketsOf(
  batch: RecordBatch,
  expressions: readonly Expression[],
  buckets: number,
): Uint32Array {
  return new RowHash(batch.schema, expressions).buckets(batch, buckets);
}

/** Puts the rows of record batches of one schema into buckets. */
export class RowHash {
  readonly #columns: readonly KeyColumn[];

  /** Throws `DISTRIBUTION_INVALID`. */
  constructor(schema: Schema, expressions: readonly Expression[]) {
    this.#columns = keyColumns(schema, expressions, "clustering");
  }

  /** Returns the bucket of each row, like `bucketsOf`. */
  buckets(batch: RecordBatch, buckets: number): Uint32Array {
    const { numRows } = batch;
    const hashes = new Uint32Array(numRows);
    for (const column of this.#columns) {
      const found = column(batch);
      if (found === undefined) continue;
      const own = hashesOf(found.data);
      for (const parent of found.parents)
        for (let row = 0; row < numRows; row++) if (!parent.getValid(row)) own[row] = NULL_HASH;
      for (let row = 0; row < numRows; row++)
        hashes[row] = combined(hashes[row] as number, own[row] as number);
    }
    for (let row = 0; row < numRows; row++) hashes[row] = bucketOf(hashes[row] as number, buckets);
    return hashes;
  }
}

const NULL_HASH = 0x2a;

/** The steps of MurmurHash3, by Austin Appleby: https://github.com/aappleby/smhasher. */
function combined(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const h = hash ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

function bucketOf(hash: number, buckets: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) % buckets;
}

/** Returns the hash of each value of a column. */
function hashesOf(data: Data): Int32Array {
  const hashes = presentHashes(data);
  const isPresent = presenceOf(data.type, data);
  if (isPresent !== undefined)
    for (let i = 0; i < hashes.length; i++) if (!isPresent(i)) hashes[i] = NULL_HASH;
  return hashes;
}

function presentHashes(data: Data): Int32Array {
  const type = data.type as DataType;
  if (DataType.isNull(type)) return new Int32Array(data.length);
  if (DataType.isDictionary(type)) {
    const hashes = hashesOf(dictionaryOf(data));
    return each(data, (i) => hashes[Number(data.values[i])] ?? NULL_HASH);
  }
  if (DataType.isStruct(type)) return structHashes(data);
  if (DataType.isList(type) || DataType.isLargeList(type)) return listHashes(data);
  if (DataType.isFixedSizeList(type)) return fixedListHashes(data, type.listSize);
  if (isViewType(type))
    return each(data, (i) => {
      const bytes = viewBytes(data, i) ?? new Uint8Array();
      return bytesHash(bytes, 0, bytes.length);
    });
  const { values, stride, valueOffsets: offsets } = data;
  if (DataType.isFixedSizeBinary(type))
    return each(data, (i) => bytesHash(values, i * stride, (i + 1) * stride));
  if (offsetClassOf(type) !== undefined)
    return each(data, (i) => bytesHash(values, Number(offsets[i]), Number(offsets[i + 1])));
  return numberHashes(type, data);
}

function each({ length }: Data, hashAt: (index: number) => number): Int32Array {
  const hashes = new Int32Array(length);
  for (let i = 0; i < length; i++) hashes[i] = hashAt(i);
  return hashes;
}

function structHashes({ length, children }: Data): Int32Array {
  const hashes = new Int32Array(length);
  for (const child of children) {
    const own = hashesOf(child);
    for (let i = 0; i < length; i++) hashes[i] = combined(hashes[i] as number, own[i] as number);
  }
  return hashes;
}

/** Only the items of this slice are hashed. */
function listHashes(data: Data): Int32Array {
  const { length, valueOffsets: offsets, children } = data;
  if (length === 0) return new Int32Array(0);
  const start = Number(offsets[0]);
  const items = hashesOf((children[0] as Data).slice(start, Number(offsets[length]) - start));
  return each(data, (i) => rangeHash(items, Number(offsets[i]) - start, Number(offsets[i + 1]) - start));
}

function fixedListHashes(data: Data, size: number): Int32Array {
  const items = hashesOf(data.children[0] as Data);
  return each(data, (i) => rangeHash(items, i * size, (i + 1) * size));
}

function rangeHash(items: Int32Array, begin: number, end: number): number {
  let hash = end - begin;
  for (let i = begin; i < end; i++) hash = combined(hash, items[i] as number);
  return hash;
}

function bytesHash(bytes: Uint8Array, begin: number, end: number): number {
  let hash = end - begin;
  let at = begin;
  for (; at + 4 <= end; at += 4) {
    const [a, b] = [bytes[at] as number, bytes[at + 1] as number];
    const [c, d] = [bytes[at + 2] as number, bytes[at + 3] as number];
    hash = combined(hash, a | (b << 8) | (c << 16) | (d << 24));
  }
  let rest = 0;
  for (let shift = 0; at < end; at++, shift += 8) rest |= (bytes[at] as number) << shift;
  return combined(hash, rest);
}

function numberHashes(type: DataType, data: Data): Int32Array {
  const { values, offset, stride, length } = data;
  if (DataType.isBool(type)) return each(data, (i) => combined(0, bitAt(values, offset + i) ? 1 : 0));
  if (DataType.isFloat(type)) return floatHashes(type.precision, data);
  const words = (values.BYTES_PER_ELEMENT * stride) / 4;
  if (words < 1) return each(data, (i) => longHash(values[i], values[i] < 0 ? -1 : 0));
  const parts = new Int32Array(values.buffer, values.byteOffset, length * words);
  if (words > 1) return wordHashes(parts, words, length);
  const isUnsigned = DataType.isInt(type) && !type.isSigned;
  return each(data, (i) => {
    const low = parts[i] as number;
    return longHash(low, low < 0 && !isUnsigned ? -1 : 0);
  });
}

function longHash(low: number, high: number): number {
  return combined(combined(0, low), high);
}

/** A number of more than 64 bits has the hash of a 64-bit one if it is small enough. */
function wordHashes(parts: Int32Array, words: number, length: number): Int32Array {
  const hashes = new Int32Array(length);
  for (let i = 0, at = 0; i < length; i++, at += words) {
    const high = parts[at + 1] as number;
    let hash = longHash(parts[at] as number, high);
    let end = at + words;
    const sign = high >> 31;
    while (end > at + 2 && parts[end - 1] === sign) end--;
    for (let word = at + 2; word < end; word++) hash = combined(hash, parts[word] as number);
    hashes[i] = hash;
  }
  return hashes;
}

const float = new Float64Array(1);
const floatWords = new Int32Array(float.buffer);

function floatHashes(precision: Precision, data: Data): Int32Array {
  const { values } = data;
  const isHalf = precision === Precision.HALF;
  return each(data, (i) => {
    const value = isHalf ? float16At(values[i]) : (values[i] as number);
    if (Number.isNaN(value)) return NaN_HASH;
    float[0] = value === 0 ? 0 : value;
    return longHash(floatWords[0] as number, floatWords[1] as number);
  });
}

const NaN_HASH = 0x7ff8;
