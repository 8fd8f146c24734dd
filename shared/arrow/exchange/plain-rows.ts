import {
  Binary,
  Data,
  DataType,
  type Dictionary,
  Field,
  FixedSizeList,
  LargeList,
  List,
  Map_,
  RecordBatch,
  Schema,
  Struct,
  Union,
  Utf8,
  Vector,
} from "apache-arrow";
import { MillraceError } from "../../contract/errors.ts";
import { viewBytes } from "../check-data.ts";
import { dictionaryIndexes, dictionaryOf } from "../dictionary-data.ts";
import { isViewType } from "../layout.ts";
import { takeData, takeRows } from "../take.ts";
import { valueKeys } from "../value-keys.ts";

/**
 * Rows are exchanged and sorted without dictionaries and views, so that each piece of them has its
 * own values and no others. Their readers get them back in the types of their schema.
 */
export class PlainRows {
  readonly schema: Schema;
  readonly #own: Schema;
  readonly #isSame: boolean;

  /** Throws `DISTRIBUTION_INVALID` if a dictionary is ordered, as it cannot be made anew. */
  constructor(schema: Schema) {
    this.#own = schema;
    this.#isSame = schema.fields.every(({ type }) => isPlain(type));
    this.schema = this.#isSame
      ? schema
      : new Schema(
          schema.fields.map((field) => plainField(field, field.name)),
          schema.metadata,
        );
  }

  /** Returns the rows without dictionaries and views. */
  plain(batch: RecordBatch): RecordBatch {
    if (this.#isSame) return batch.schema === this.schema ? batch : rebound(this.schema, batch);
    const children = this.schema.fields.map(({ type }, i) => plainData(type, batch.data.children[i] as Data));
    return batchOf(this.schema, children, batch.numRows);
  }

  /**
   * Yields the rows in the types of the schema. A batch is divided if it has more values than a
   * dictionary can have. Error: `DICTIONARY_TOO_LARGE`.
   */
  *restored(batch: RecordBatch): Generator<RecordBatch> {
    if (this.#isSame) {
      yield batch;
      return;
    }
    const { numRows } = batch;
    const { fields } = this.#own;
    try {
      const children = fields.map(({ type, name }, i) =>
        restoredData(type, batch.data.children[i] as Data, name),
      );
      yield batchOf(this.#own, children, numRows);
    } catch (error) {
      if (!(error instanceof DictionaryOverflow)) throw error;
      if (numRows <= 1) throw tooLarge(error.path);
      const half = numRows >> 1;
      yield* this.restored(takeRows(batch, range(0, half)));
      yield* this.restored(takeRows(batch, range(half, numRows)));
    }
  }
}

function range(start: number, end: number): Int32Array {
  return Int32Array.from({ length: end - start }, (_, i) => start + i);
}

function batchOf(schema: Schema, children: Data[], rows: number): RecordBatch {
  return new RecordBatch(schema, new Data(new Struct(schema.fields), 0, rows, 0, undefined, children));
}

/** The children are kept as they are: their types have the same layout. */
function rebound(schema: Schema, batch: RecordBatch): RecordBatch {
  return batchOf(schema, batch.data.children as Data[], batch.numRows);
}

function childrenOf(type: DataType): readonly Field[] {
  return (type.children as readonly Field[] | undefined) ?? [];
}

function isPlain(type: DataType): boolean {
  const isOwn = DataType.isDictionary(type) || isViewType(type);
  return !isOwn && childrenOf(type).every((child) => isPlain(child.type));
}

function plainField(field: Field, path: string): Field {
  return new Field(field.name, plainType(field.type, path), field.nullable, field.metadata);
}

function plainType(type: DataType, path: string): DataType {
  if (isPlain(type)) return type;
  if (DataType.isDictionary(type)) {
    if (type.isOrdered) throw orderedDictionary(path);
    return plainType(type.dictionary, path);
  }
  if (DataType.isUtf8View(type)) return new Utf8();
  if (DataType.isBinaryView(type)) return new Binary();
  const children = childrenOf(type).map((child) => plainField(child, `${path}.${child.name}`));
  const [first] = children as [Field];
  if (DataType.isStruct(type)) return new Struct(children);
  if (DataType.isList(type)) return new List(first);
  if (DataType.isLargeList(type)) return new LargeList(first);
  if (DataType.isFixedSizeList(type)) return new FixedSizeList(type.listSize, first);
  if (DataType.isMap(type)) return new Map_(first, type.keysSorted);
  if (DataType.isUnion(type)) return new Union(type.mode, type.typeIds, children);
  throw new TypeError("this type has no children");
}

function orderedDictionary(path: string): MillraceError {
  return new MillraceError(
    "DISTRIBUTION_INVALID",
    `column "${path}": its dictionary is ordered, and the exchange of rows would lose the order`,
    { where: { field: path }, hint: "Give it a dictionary that is not ordered, or none." },
  );
}

function plainData(type: DataType, data: Data): Data {
  const from = data.type as DataType;
  if (DataType.isDictionary(from))
    return plainData(type, takeData(dictionaryOf(data), dictionaryIndexes(data)));
  if (isViewType(from)) return fromViews(type, data);
  if (isPlain(from)) return data;
  return withChildren(
    type,
    data,
    childrenOf(type).map((child, i) => plainData(child.type, data.children[i] as Data)),
  );
}

function withChildren(type: DataType, data: Data, children: Data[]): Data {
  const { offset, length, valueOffsets, values, nullBitmap, typeIds } = data;
  const nullCount = DataType.isUnion(type) || data.nullCount === 0 ? 0 : -1;
  const buffers = { 0: valueOffsets, 1: values, 2: nullBitmap, 3: typeIds };
  return new Data(type, offset, length, nullCount, buffers as never, children);
}

function fromViews(type: DataType, data: Data): Data {
  const { length } = data;
  const offsets = new Int32Array(length + 1);
  const pieces: Uint8Array[] = [];
  for (let i = 0; i < length; i++) {
    const bytes = data.getValid(i) ? viewBytes(data, i) : undefined;
    if (bytes !== undefined) pieces.push(bytes);
    offsets[i + 1] = (offsets[i] as number) + (bytes?.length ?? 0);
  }
  const values = new Uint8Array(Buffer.concat(pieces));
  const validity = data.nullCount > 0 ? { 2: data.nullBitmap } : {};
  // The offset is that of the bitmap only.
  const buffers = { 0: offsets, 1: values, ...validity };
  return new Data(type, data.offset, length, data.nullCount > 0 ? -1 : 0, buffers as never);
}

/** A dictionary would have more values than its indices can count. */
class DictionaryOverflow extends Error {
  readonly path: string;

  constructor(path: string) {
    super("too many values");
    this.path = path;
  }
}

function tooLarge(path: string): MillraceError {
  return new MillraceError(
    "DICTIONARY_TOO_LARGE",
    `column "${path}": one row has more values than the indices of its dictionary can count`,
    {
      where: { field: path },
      hint: "Give it indices of the type Int32 in the schema, or its values without a dictionary.",
    },
  );
}

function restoredData(type: DataType, data: Data, path: string): Data {
  if (isPlain(type)) return data;
  if (DataType.isDictionary(type)) return withDictionary(type, data, path);
  if (isViewType(type)) return toViews(type, data);
  return withChildren(
    type,
    data,
    childrenOf(type).map((child, i) =>
      restoredData(child.type, data.children[i] as Data, `${path}.${child.name}`),
    ),
  );
}

function withDictionary(type: Dictionary, data: Data, path: string): Data {
  const { length } = data;
  const keyAt = valueKeys(data);
  const known = new Map<string, number>();
  const rows: number[] = [];
  const indexes = new type.indices.ArrayType(length) as { [index: number]: number | bigint };
  const isBig = indexes instanceof BigInt64Array || indexes instanceof BigUint64Array;
  for (let i = 0; i < length; i++) {
    if (!data.getValid(i)) continue;
    const key = keyAt(i);
    const index = known.get(key) ?? rows.push(i) - 1;
    known.set(key, index);
    indexes[i] = isBig ? BigInt(index) : index;
    if (Number(indexes[i]) !== index) throw new DictionaryOverflow(path);
  }
  const values = restoredData(type.dictionary, takeData(data, rows), path);
  const validity = data.nullCount > 0 ? { 2: data.nullBitmap } : {};
  const buffers = { 1: indexes, ...validity } as never;
  return new Data(type, data.offset, length, data.nullCount > 0 ? -1 : 0, buffers, [], new Vector([values]));
}

/** Bytes of a view, and the most bytes that are kept inside of it. */
const VIEW_BYTES = 16;
const INLINE_BYTES = 12;

function toViews(type: DataType, data: Data): Data {
  const { length, values, valueOffsets: offsets } = data;
  const views = new Uint8Array(length * VIEW_BYTES);
  const view = new DataView(views.buffer);
  for (let i = 0; i < length; i++) {
    const [begin, end] = [Number(offsets[i]), Number(offsets[i + 1])];
    const at = i * VIEW_BYTES;
    view.setInt32(at, end - begin, true);
    const isInline = end - begin <= INLINE_BYTES;
    views.set((values as Uint8Array).subarray(begin, isInline ? end : begin + 4), at + 4);
    if (!isInline) view.setInt32(at + 12, begin, true);
  }
  const validity = data.nullCount > 0 ? { 2: data.nullBitmap } : {};
  const buffers = { 1: views, ...validity } as never;
  return new Data(type, data.offset, length, data.nullCount > 0 ? -1 : 0, buffers, [], undefined, [
    values as Uint8Array,
  ]);
}
