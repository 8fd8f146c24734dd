import { type Data, DataType, type Field, UnionMode } from "apache-arrow";
import { dictionaryOf } from "./dictionary-data.ts";
import { ArrowFormatError } from "./ipc/format-error.ts";
import { bytesOf, isViewType, offsetClassOf } from "./layout.ts";

/** Bytes of a view, and the most bytes that are kept inside of it. */
const VIEW_BYTES = 16;
const INLINE_BYTES = 12;

const CONTINUATION_MASK = 0xc0;
const CONTINUATION = 0x80;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Checks that the buffers of a column fit each other: lengths, offsets, indices of dictionaries and
 * the encoding of text. apache-arrow itself would read another value, or none, from a column that
 * does not pass. Error: `ArrowFormatError` with the path of the column.
 */
export function checkData(type: DataType, data: Data, path: string): void {
  const fail = (problem: string) => new ArrowFormatError(problem, { column: path });
  if (DataType.isNull(type)) return;
  checkLengths(type, data, fail);
  if (DataType.isUnion(type)) checkUnion(type.mode, data, fail);
  else if (DataType.isDictionary(type)) checkDictionary(type.dictionary, data, path, fail);
  else if (isViewType(type)) {
    checkViews(data, DataType.isUtf8View(type), fail);
  } else if (offsetClassOf(type) !== undefined) checkOffsets(type, data, fail);
  if (DataType.isDictionary(type)) return;
  for (const [i, child] of ((type.children as readonly Field[] | undefined) ?? []).entries()) {
    const values = data.children[i];
    if (values === undefined) throw fail(`has no column "${child.name}"`);
    checkData(child.type, values, `${path}.${child.name}`);
  }
}

type Fail = (problem: string) => ArrowFormatError;

function checkLengths(type: DataType, data: Data, fail: Fail): void {
  const { length, offset } = data;
  if (length === 0) return;
  const needed = [...neededLengths(type, data)];
  if ((data.nullBitmap?.length ?? 0) > 0)
    needed.push([data.nullBitmap, bytesOf(offset + length), "validity"]);
  for (const [buffer, atLeast, name] of needed) {
    const found = buffer?.length ?? 0;
    if (found < atLeast) throw fail(`its ${name} have the length ${found} instead of ${atLeast}`);
  }
}

type Needed = readonly [buffer: { readonly length: number } | undefined, length: number, name: string];

function neededLengths(type: DataType, data: Data): readonly Needed[] {
  const { length, stride, children, values, valueOffsets } = data;
  if (DataType.isUnion(type)) {
    const ids: Needed = [data.typeIds, length, "type ids"];
    if (type.mode === UnionMode.Dense) return [ids, [valueOffsets, length, "offsets"]];
    return [ids, ...children.map((child): Needed => [child, length, "values"])];
  }
  if (DataType.isStruct(type)) return children.map((child) => [child, length, "values"]);
  if (DataType.isFixedSizeList(type)) return [[children[0], length * stride, "values"]];
  if (offsetClassOf(type) !== undefined) return [[valueOffsets, length + 1, "offsets"]];
  return [[values, DataType.isBool(type) ? bytesOf(data.offset + length) : length * stride, "values"]];
}

function checkOffsets(type: DataType, data: Data, fail: Fail): void {
  const { length, valueOffsets: offsets, values, children } = data;
  if (length === 0) return;
  const limit = children.length > 0 ? (children[0]?.length ?? 0) : (values?.length ?? 0);
  let last = Number(offsets[0]);
  if (last < 0) throw fail("has a negative offset");
  for (let i = 1; i <= length; i++) {
    const next = Number(offsets[i]);
    if (next < last) throw fail(`has offsets that go back, at value ${i}`);
    last = next;
  }
  if (last > limit) throw fail(`has an offset beyond its ${limit} values`);
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) checkText(data, fail);
}

/** Text must be valid as a whole, and no value may begin in the middle of a character. */
function checkText({ valueOffsets: offsets, values, length }: Data, fail: Fail): void {
  const [begin, end] = [Number(offsets[0]), Number(offsets[length])];
  const text = values.subarray(begin, end) as Uint8Array;
  if (!isUtf8(text)) throw fail("has text that is not UTF-8");
  for (let i = 0; i < length; i++) {
    const at = Number(offsets[i]);
    if (at < end && ((values[at] ?? 0) & CONTINUATION_MASK) === CONTINUATION)
      throw fail(`has text that is not UTF-8, at value ${i + 1}`);
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    UTF8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function checkViews(data: Data, isText: boolean, fail: Fail): void {
  for (let i = 0; i < data.length; i++) {
    if (!data.getValid(i)) continue;
    const bytes = viewBytes(data, i);
    if (bytes === undefined) throw fail(`has a view of bytes that are not there, at value ${i + 1}`);
    if (isText && !isUtf8(bytes)) throw fail(`has text that is not UTF-8, at value ${i + 1}`);
  }
}

/** Returns the bytes of a value of a view column, or `undefined` if they are not there. */
export function viewBytes({ values, variadicBuffers }: Data, index: number): Uint8Array | undefined {
  const at = index * VIEW_BYTES;
  const view = new DataView(values.buffer, values.byteOffset + at, VIEW_BYTES);
  const length = view.getInt32(0, true);
  if (length < 0) return undefined;
  if (length <= INLINE_BYTES) return (values as Uint8Array).subarray(at + 4, at + 4 + length);
  const buffer = variadicBuffers[view.getInt32(8, true)];
  const start = view.getInt32(12, true);
  if (buffer === undefined || start < 0 || start + length > buffer.length) return undefined;
  return buffer.subarray(start, start + length);
}

function checkUnion(mode: UnionMode, data: Data, fail: Fail): void {
  const { typeIdToChildIndex } = data.type as DataType & { typeIdToChildIndex: Record<number, number> };
  for (let i = 0; i < data.length; i++) {
    const child = data.children[typeIdToChildIndex[data.typeIds[i] ?? -1] ?? -1];
    if (child === undefined) throw fail(`has the unknown type id ${data.typeIds[i]}, at value ${i + 1}`);
    const at = mode === UnionMode.Dense ? Number(data.valueOffsets[i]) : i;
    if (at < 0 || at >= child.length) throw fail(`has an offset beyond its values, at value ${i + 1}`);
  }
}

function checkDictionary(type: DataType, data: Data, path: string, fail: Fail): void {
  const dictionary = dictionaryOf(data);
  for (let i = 0; i < data.length; i++) {
    const index = Number(data.values[i]);
    if (index >= 0 && index < dictionary.length) continue;
    if (data.getValid(i))
      throw fail(
        `has the index ${index} into a dictionary of ${dictionary.length} values, at value ${i + 1}`,
      );
  }
  if (isChecked.has(dictionary)) return;
  checkData(type, dictionary, path);
  isChecked.add(dictionary);
}

/** Dictionaries are shared by many record batches, and checked once. */
const isChecked = new WeakSet<Data>();
