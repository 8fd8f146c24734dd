import {
  type Data,
  DataType,
  type Field,
  IntervalUnit,
  type RecordBatch,
  type Union,
  UnionMode,
} from "apache-arrow";

/**
 * The values of Arrow columns in a form that can be compared: integers and decimals as text, floats
 * as numbers, times in nanoseconds, bytes in hexadecimal. It reads the buffers by itself, so that
 * it shares no error with the code that it checks.
 */
export type Value = null | boolean | number | string | readonly Value[];

/** Nanoseconds of each unit of time, by its number in the format. */
const UNIT: readonly bigint[] = [1_000_000_000n, 1_000_000n, 1000n, 1n];
const DAY = 86_400_000_000_000n;

/** Returns the values of each column. */
export function columnsOf(batches: readonly RecordBatch[]): Value[][] {
  const [first] = batches;
  return (first?.schema.fields ?? []).map((_, i) =>
    batches.flatMap((batch) => {
      const data = batch.data.children[i] as Data;
      return Array.from({ length: batch.numRows }, (_, row) => valueAt(data, row));
    }),
  );
}

export function valueAt(data: Data, index: number): Value {
  const type = data.type as DataType;
  if (DataType.isNull(type)) return null;
  if (DataType.isUnion(type)) return unionAt(type, data, index);
  if (isNull(data, index)) return null;
  if (DataType.isDictionary(type)) {
    let at = Number(data.values[index]);
    for (const chunk of data.dictionary?.data ?? []) {
      if (at < chunk.length) return valueAt(chunk, at);
      at -= chunk.length;
    }
    throw new Error("an index beyond the dictionary");
  }
  return leafAt(type, data, index) ?? nestedAt(type, data, index);
}

function isNull({ nullBitmap, offset }: Data, index: number): boolean {
  if (nullBitmap === undefined || nullBitmap.length === 0) return false;
  return ((nullBitmap[(offset + index) >> 3] as number) & (1 << ((offset + index) & 7))) === 0;
}

function unionAt(type: Union, data: Data, index: number): Value {
  const id = data.typeIds[index] as number;
  const child = [...type.typeIds].indexOf(id);
  const at = type.mode === UnionMode.Dense ? (data.valueOffsets[index] as number) : index;
  return [id, valueAt(data.children[child] as Data, at)];
}

function leafAt(type: DataType, data: Data, index: number): Value | undefined {
  const { values, offset, stride } = data;
  if (DataType.isBool(type))
    return ((values[(offset + index) >> 3] as number) & (1 << ((offset + index) & 7))) !== 0;
  if (DataType.isInt(type)) return String(values[index]);
  if (DataType.isFloat(type)) return type.precision === 0 ? halfOf(values[index]) : (values[index] as number);
  if (DataType.isDecimal(type)) return decimalAt(values, index, stride);
  if (DataType.isInterval(type)) return intervalAt(type.unit, values, index);
  return timeAt(type, values, index) ?? bytesLike(type, data, index);
}

function timeAt(type: DataType, values: BigInt64Array | Int32Array, index: number): Value | undefined {
  const raw = (): bigint => BigInt(values[index] as bigint);
  if (DataType.isDate(type)) return String(raw() * (type.unit === 0 ? DAY : (UNIT[1] as bigint)));
  if (DataType.isTimestamp(type)) return `${raw() * (UNIT[type.unit] as bigint)}${type.timezone ? "Z" : ""}`;
  return DataType.isTime(type) || DataType.isDuration(type)
    ? String(raw() * (UNIT[type.unit] as bigint))
    : undefined;
}

function bytesLike(type: DataType, data: Data, index: number): Value | undefined {
  const { values, stride } = data;
  if (DataType.isFixedSizeBinary(type)) return hex(values.subarray(index * stride, (index + 1) * stride));
  if (DataType.isUtf8View(type)) return Buffer.from(viewAt(data, index)).toString();
  if (DataType.isBinaryView(type)) return hex(viewAt(data, index));
  if (DataType.isBinary(type) || DataType.isLargeBinary(type)) return hex(bytesAt(data, index));
  const isText = DataType.isUtf8(type) || DataType.isLargeUtf8(type);
  return isText ? Buffer.from(bytesAt(data, index)).toString() : undefined;
}

function nestedAt(type: DataType, data: Data, index: number): Value {
  const { children } = data;
  const items = (begin: number, end: number) =>
    Array.from({ length: end - begin }, (_, i) => valueAt(children[0] as Data, begin + i));
  if (DataType.isStruct(type))
    return (type.children as Field[]).map(({ name }, i) => [name, valueAt(children[i] as Data, index)]);
  if (DataType.isFixedSizeList(type)) return items(index * type.listSize, (index + 1) * type.listSize);
  const list = items(Number(data.valueOffsets[index]), Number(data.valueOffsets[index + 1]));
  // The names of a map's parts do not count.
  return DataType.isMap(type)
    ? list.map((entry) => (entry as readonly (readonly Value[])[]).map((pair) => pair[1] as Value))
    : list;
}

function decimalAt(words: Uint32Array, index: number, stride: number): string {
  let value = 0n;
  for (let i = stride - 1; i >= 0; i--) value = (value << 32n) | BigInt(words[index * stride + i] as number);
  return String(BigInt.asIntN(stride * 32, value));
}

function intervalAt(unit: IntervalUnit, values: Int32Array, index: number): Value {
  if (unit === IntervalUnit.YEAR_MONTH) return String(values[index]);
  if (unit === IntervalUnit.DAY_TIME) return [String(values[2 * index]), String(values[2 * index + 1])];
  const view = new DataView(values.buffer, values.byteOffset + 16 * index, 16);
  return [view.getInt32(0, true), view.getInt32(4, true), view.getBigInt64(8, true)].map(String);
}

function bytesAt({ values, valueOffsets }: Data, index: number): Uint8Array {
  return values.subarray(Number(valueOffsets[index]), Number(valueOffsets[index + 1]));
}

function viewAt({ values, variadicBuffers }: Data, index: number): Uint8Array {
  const view = new DataView(values.buffer, values.byteOffset + 16 * index, 16);
  const length = view.getInt32(0, true);
  if (length <= 12) return values.subarray(16 * index + 4, 16 * index + 4 + length);
  const start = view.getInt32(12, true);
  return (variadicBuffers[view.getInt32(8, true)] as Uint8Array).subarray(start, start + length);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex").toUpperCase();
}

function halfOf(bits: number): number {
  return new Float16Array(Uint16Array.of(bits).buffer)[0] as number;
}
