import { Data, DataType, type Dictionary, type Field, UnionMode } from "apache-arrow";
import { dictionaryOf } from "../dictionary-data.ts";
import { offsetClassOf } from "../layout.ts";
import { takeData } from "../take.ts";
import { FileDictionary } from "./file-dictionary.ts";

/**
 * Brings columns into the form that apache-arrow's writer writes correctly: without slices, with
 * validity bits only if there are nulls, and with one dictionary a column for the whole file. The
 * types must be those of `fileSchema`, in which each dictionary has an id of its own.
 */
export class ColumnEncoder {
  readonly #dictionaries = new Map<number, FileDictionary>();

  /** Size of the dictionaries so far. */
  get dictionaryBytes(): number {
    return this.#dictionaries.values().reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The dictionaries so far by id. Those inside the values of others come first. */
  dictionaries(): readonly (readonly [id: number, values: Data])[] {
    const ids = [...this.#dictionaries.keys()].sort((a, b) => b - a);
    return ids.flatMap((id) => {
      const dictionary = this.#dictionaries.get(id);
      return dictionary === undefined ? [] : [[id, dictionary.values()] as const];
    });
  }

  /** Encodes a column. Error: `DICTIONARY_TOO_LARGE`. */
  encode(type: DataType, data: Data, path: string): Data {
    const { length } = data;
    if (DataType.isNull(type)) return new Data(type, 0, length, length);
    if (DataType.isUnion(type)) return this.#union(type, data, path);
    const nullCount = nullCountOf(data);
    const validity = nullCount === 0 ? undefined : bits(data.nullBitmap, data.offset, length);
    const make = (buffers: object, children: Data[] = []) =>
      new Data(
        type,
        0,
        length,
        nullCount,
        { ...buffers, 2: validity } as never,
        children,
        undefined,
        data.variadicBuffers,
      );

    if (DataType.isDictionary(type)) return make({ 1: this.#indices(type, data, path) });
    if (DataType.isBool(type)) return make({ 1: bits(data.values, data.offset, length) });
    if (DataType.isStruct(type)) return make({}, this.#children(type, data, 0, length, path));
    if (DataType.isFixedSizeList(type)) {
      return make({}, this.#children(type, data, 0, length * type.listSize, path));
    }
    const offsetClass = offsetClassOf(type);
    if (offsetClass === undefined) return make({ 1: data.values.subarray(0, length * data.stride) });
    const offsets = length === 0 ? new offsetClass(1) : data.valueOffsets;
    const [begin, end] = [Number(offsets[0]), Number(offsets[length])];
    const own = { 0: fromZero(offsets.subarray(0, length + 1)) };
    if (type.children?.length > 0) return make(own, this.#children(type, data, begin, end, path));
    return make({ ...own, 1: data.values?.subarray(begin, end) ?? new Uint8Array() });
  }

  #children(type: DataType, data: Data, begin: number, end: number, path: string): Data[] {
    return type.children.map((field: Field, i: number) => {
      const child = data.children[i] as Data;
      const isWhole = begin === 0 && end === child.length;
      return this.encode(
        field.type,
        isWhole ? child : child.slice(begin, end - begin),
        `${path}.${field.name}`,
      );
    });
  }

  #union(type: DataType, data: Data, path: string): Data {
    if (!DataType.isUnion(type)) throw new TypeError("not a union");
    const { length } = data;
    const isDense = type.mode === UnionMode.Dense;
    // The children of a dense union may hold values of rows that a slice does not have.
    const own = isDense
      ? takeData(
          data,
          Array.from({ length }, (_, i) => i),
        )
      : data;
    const children = (type.children as Field[]).map((field, i) => {
      const child = own.children[i] as Data;
      return this.encode(field.type, isDense ? child : child.slice(0, length), `${path}.${field.name}`);
    });
    const buffers = {
      ...(isDense ? { 0: own.valueOffsets } : {}),
      3: own.typeIds.subarray(0, length),
    };
    return new Data(type, 0, length, 0, buffers as never, children);
  }

  #indices(type: Dictionary, data: Data, path: string): ArrayLike<number | bigint> {
    let dictionary = this.#dictionaries.get(type.id);
    if (dictionary === undefined) {
      dictionary = new FileDictionary(type, path, (values) => this.encode(type.dictionary, values, path));
      this.#dictionaries.set(type.id, dictionary);
    }
    return dictionary.indicesOf(data, dictionaryOf(data));
  }
}

/** Data of a column without a bitmap may say that the number of nulls is not known. */
function nullCountOf(data: Data): number {
  return (data.nullBitmap?.length ?? 0) === 0 ? 0 : data.nullCount;
}

function fromZero(offsets: Int32Array | BigInt64Array): Int32Array | BigInt64Array {
  if (Number(offsets[0]) === 0) return offsets;
  const begin = offsets[0] as never;
  return offsets.map((offset) => ((offset as number) - begin) as never) as Int32Array;
}

/** Copies bits, so that the first one is at the start of a byte. */
function bits(bytes: Uint8Array, offset: number, length: number): Uint8Array {
  const size = (length + 7) >> 3;
  const shift = offset & 7;
  const from = bytes.subarray(offset >> 3);
  const copy = new Uint8Array(size);
  for (let i = 0; i < size; i++) copy[i] = ((from[i] ?? 0) >> shift) | ((from[i + 1] ?? 0) << (8 - shift));
  // The bits after the last one stay clear.
  if ((length & 7) !== 0) copy[size - 1] = (copy[size - 1] ?? 0) & ((1 << (length & 7)) - 1);
  return copy;
}
