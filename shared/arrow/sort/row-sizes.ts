import { type Data, DataType, type Field, type RecordBatch } from "apache-arrow";
import { offsetClassOf } from "../layout.ts";
import type { RowIndexes } from "../take.ts";

/** Returns about how many bytes a value has. */
type SizeAt = (index: number) => number;

/** Returns about how many bytes each row has. The batch must have no dictionaries and views. */
export function rowSizes(batch: RecordBatch): SizeAt {
  return sum(batch.data.children.map(sizeOf));
}

function sum(sizes: readonly (number | SizeAt)[]): SizeAt {
  let fixed = 0;
  const others: SizeAt[] = [];
  for (const size of sizes)
    if (typeof size === "number") fixed += size;
    else others.push(size);
  return (index) => {
    let total = fixed;
    for (const size of others) total += size(index);
    return total;
  };
}

/** Returns the size of each value, or one function if they differ. */
function sizeOf(data: Data): number | SizeAt {
  const type = data.type as DataType;
  if (DataType.isNull(type) || DataType.isBool(type)) return 1;
  if (DataType.isStruct(type) || DataType.isUnion(type)) {
    const sizes = data.children.map(sizeOf);
    return sizes.every((size) => typeof size === "number") || DataType.isUnion(type)
      ? sizes.reduce<number>((total, size) => total + (typeof size === "number" ? size : AVERAGE), 0)
      : sum(sizes);
  }
  const item = itemSize(type, data);
  if (DataType.isFixedSizeList(type)) return type.listSize * item;
  if (offsetClassOf(type) === undefined) return data.stride * (data.values?.BYTES_PER_ELEMENT ?? 1);
  const offsets = data.valueOffsets as ArrayLike<number | bigint>;
  const width = offsets instanceof BigInt64Array ? 8 : 4;
  return (index) => width + (Number(offsets[index + 1]) - Number(offsets[index])) * item;
}

const AVERAGE = 16;

/** The items of lists are taken to be of equal size. */
function itemSize(type: DataType, { children }: Data): number {
  const [field] = (type.children as readonly Field[] | undefined) ?? [];
  const [child] = children;
  if (field === undefined || child === undefined) return 1;
  const size = sizeOf(child);
  if (typeof size === "number") return size;
  const { length } = child;
  let total = 0;
  for (let i = 0; i < length; i++) total += size(i);
  return length === 0 ? AVERAGE : total / length;
}

/** Most rows of a chunk. */
const MAX_ROWS = 16_384;

/** Returns where the next chunk of `rows` ends, which has at least one row. */
export function endOfChunk(rows: RowIndexes, start: number, sizeAt: SizeAt, maxBytes: number): number {
  const limit = Math.min(rows.length, start + MAX_ROWS);
  let bytes = 0;
  for (let i = start; i < limit; i++) {
    bytes += sizeAt(rows[i] as number);
    if (bytes > maxBytes && i > start) return i;
  }
  return limit;
}
