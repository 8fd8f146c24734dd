import { type Data, DataType, type Field, UnionMode } from "apache-arrow";
import { viewBytes } from "./check-data.ts";
import { dictionaryOf } from "./dictionary-data.ts";
import { bitAt, isViewType, offsetClassOf } from "./layout.ts";

/** Returns a text that is equal for equal values. */
type KeyReader = (index: number) => string;

const NULL_KEY = "n";

/**
 * Returns a function from the index of a value to its key. Two values of a type have the same key
 * only if they are the same, bit by bit, so 0 and -0 differ.
 */
export function valueKeys(data: Data): KeyReader {
  const { type } = data;
  if (DataType.isNull(type)) return () => NULL_KEY;
  const read = presentKeys(type, data);
  if (DataType.isUnion(type)) return read;
  return (index) => (data.getValid(index) ? read(index) : NULL_KEY);
}

function presentKeys(type: DataType, data: Data): KeyReader {
  if (DataType.isDictionary(type)) {
    const keys = valueKeys(dictionaryOf(data));
    return (index) => keys(Number(data.values[index]));
  }
  if (isViewType(type)) {
    return (index) => bytesKey(viewBytes(data, index) ?? new Uint8Array());
  }
  if (DataType.isBool(type)) {
    return (index) => String(bitAt(data.values, data.offset + index));
  }
  if (DataType.isUnion(type)) return unionKeys(type.mode, type.typeIdToChildIndex, data);
  if ((type.children as Field[] | undefined)?.length) return nestedKeys(type, data);
  const { values, stride } = data;
  const size = values?.BYTES_PER_ELEMENT ?? 1;
  const bytes = new Uint8Array(
    values?.buffer ?? new ArrayBuffer(0),
    values?.byteOffset ?? 0,
    values?.byteLength ?? 0,
  );
  if (offsetClassOf(type) === undefined) {
    return (index) => bytesKey(bytes.subarray(index * stride * size, (index + 1) * stride * size));
  }
  return (index) =>
    bytesKey(bytes.subarray(Number(data.valueOffsets[index]), Number(data.valueOffsets[index + 1])));
}

function nestedKeys(type: DataType, data: Data): KeyReader {
  const children = data.children.map(valueKeys);
  if (DataType.isStruct(type)) return (index) => JSON.stringify(children.map((key) => key(index)));
  const item = children[0] ?? (() => NULL_KEY);
  const run = (begin: number, end: number) =>
    JSON.stringify(Array.from({ length: end - begin }, (_, i) => item(begin + i)));
  if (DataType.isFixedSizeList(type))
    return (index) => run(index * type.listSize, (index + 1) * type.listSize);
  return (index) => run(Number(data.valueOffsets[index]), Number(data.valueOffsets[index + 1]));
}

function unionKeys(mode: UnionMode, childOf: Readonly<Record<number, number>>, data: Data): KeyReader {
  const children = data.children.map(valueKeys);
  return (index) => {
    const id = Number(data.typeIds[index]);
    const key = children[childOf[id] ?? -1];
    const at = mode === UnionMode.Dense ? Number(data.valueOffsets[index]) : index;
    return JSON.stringify([id, key?.(at)]);
  };
}

/** Latin-1 has a character for each byte, so no two byte strings share a text. */
function bytesKey(bytes: Uint8Array): string {
  return `v${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1")}`;
}
