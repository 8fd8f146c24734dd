import { Data, DataType, type Field, UnionMode, Vector } from "apache-arrow";
import { bytesOf, isViewType, offsetClassOf, type TypedArrayClass } from "../layout.ts";
import { ArrowFormatError } from "./format-error.ts";
import type { BatchHeader, FieldNode } from "./messages.ts";

/** A buffer of a message's body, not compressed any more. */
export type BufferReader = (index: number) => Uint8Array;

/** Maximum length of an array. apache-arrow counts in 32 bits. */
const MAX_LENGTH = 2 ** 31 - 1;

export interface Load {
  readonly header: BatchHeader;
  readonly readBuffer: BufferReader;
  readonly dictionaries: ReadonlyMap<number, Data>;
  readonly isBeforeV5: boolean;
}

type TypedArray = ArrayBufferView & { readonly length: number };

/**
 * Makes columns of the buffers of one message. It checks that each buffer is there and long enough;
 * `checkData` checks what is in them. Error: `ArrowFormatError` with the column.
 */
export class VectorLoader {
  readonly #load: Load;
  #node = 0;
  #buffer = 0;
  #variadic = 0;

  constructor(load: Load) {
    this.#load = load;
  }

  /** Loads the next column, which is of this field. */
  field(field: Field, parent = ""): Data {
    return this.column(field.type, parent === "" ? field.name : `${parent}.${field.name}`);
  }

  /** Loads the next column, which is of this type. `path` is its name in errors. */
  column(type: DataType, path: string): Data {
    const node = this.#nextNode(path);
    if (DataType.isNull(type)) return new Data(type, 0, node.length, node.length);
    if (DataType.isUnion(type)) return this.#union(type, node, path);
    const validity = this.#validity(node, path);
    const nullCount = validity === undefined ? 0 : -1;
    const make = (buffers: object, children: Data[] = [], dictionary?: Vector, variadic?: Uint8Array[]) =>
      new Data(
        type,
        0,
        node.length,
        nullCount,
        { ...buffers, 2: validity } as never,
        children,
        dictionary,
        variadic,
      );

    if (DataType.isStruct(type)) return make({}, this.#children(type.children, node.length, path));
    if (DataType.isFixedSizeList(type)) {
      const [child] = type.children as [Field];
      return make({}, this.#children([child], node.length * type.listSize, path));
    }
    const offsetClass = offsetClassOf(type);
    if (offsetClass !== undefined) {
      const offsets = this.#offsets(offsetClass, node.length, path);
      const children = ((type.children ?? []) as Field[]).map((child) => this.field(child, path));
      return make({ 0: offsets, ...(children.length > 0 ? {} : { 1: this.#nextBuffer(path) }) }, children);
    }
    if (DataType.isDictionary(type)) {
      const indices = this.#array(type.indices.ArrayType, node.length, path);
      return make({ 1: indices }, [], this.#dictionary(type.id, type.dictionary));
    }
    if (DataType.isBool(type)) return make({ 1: this.#array(Uint8Array, bytesOf(node.length), path) });
    const { stride, ArrayType } = new Data(type, 0, 0);
    const values = this.#array(ArrayType as TypedArrayClass, node.length * stride, path);
    return make({ 1: values }, [], undefined, isViewType(type) ? this.#variadicBuffers(path) : []);
  }

  /** Throws if the message has more columns or buffers than were loaded. */
  end(): void {
    const { nodes, buffers } = this.#load.header;
    if (this.#node !== nodes.length || this.#buffer !== buffers.length)
      throw new ArrowFormatError("a record batch has more columns or buffers than its schema");
  }

  #children(fields: readonly Field[], length: number, path: string): Data[] {
    return fields.map((field) => {
      const child = this.field(field, path);
      if (child.length === length) return child;
      if (child.length > length) return child.slice(0, length);
      throw new ArrowFormatError(`its child has ${child.length} values instead of ${length}`, {
        column: path,
      });
    });
  }

  #union(type: DataType, { length }: FieldNode, path: string): Data {
    if (!DataType.isUnion(type)) throw new TypeError("not a union");
    if (this.#load.isBeforeV5) this.#nextBuffer(path);
    const typeIds = this.#array(Int8Array, length, path);
    if (type.mode === UnionMode.Sparse)
      return new Data(
        type,
        0,
        length,
        0,
        { 3: typeIds } as never,
        this.#children(type.children, length, path),
      );
    const offsets = this.#array(Int32Array, length, path);
    const children = type.children.map((child: Field) => this.field(child, path));
    return new Data(type, 0, length, 0, { 0: offsets, 3: typeIds } as never, children);
  }

  #dictionary(id: number, type: DataType): Vector {
    const data = this.#load.dictionaries.get(id);
    return new Vector([data ?? emptyData(type)]);
  }

  #validity({ length, nullCount }: FieldNode, path: string): Uint8Array | undefined {
    const bytes = this.#nextBuffer(path);
    if (nullCount === 0) return undefined;
    return this.#typed(Uint8Array, bytes, bytesOf(length), path) as Uint8Array;
  }

  #offsets(make: TypedArrayClass, length: number, path: string): TypedArray {
    const bytes = this.#nextBuffer(path);
    // An array without values may have no offsets.
    if (length === 0 && bytes.length === 0) return new make(1);
    return this.#typed(make, bytes, length + 1, path);
  }

  #array(make: TypedArrayClass, length: number, path: string): TypedArray {
    return this.#typed(make, this.#nextBuffer(path), length, path);
  }

  #typed(make: TypedArrayClass, bytes: Uint8Array, length: number, path: string): TypedArray {
    const needed = length * make.BYTES_PER_ELEMENT;
    if (bytes.length < needed) {
      throw new ArrowFormatError(`a buffer has ${bytes.length} bytes instead of ${needed}`, { column: path });
    }
    const aligned = bytes.byteOffset % make.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice(0, needed);
    return new make(aligned.buffer, aligned.byteOffset, length);
  }

  #variadicBuffers(path: string): Uint8Array[] {
    const count = this.#load.header.variadicCounts[this.#variadic++] ?? 0;
    if (count < 0 || count > this.#load.header.buffers.length - this.#buffer)
      throw new ArrowFormatError("has fewer buffers than it says", { column: path });
    return Array.from({ length: count }, () => this.#nextBuffer(path));
  }

  #nextNode(path: string): FieldNode {
    const node = this.#load.header.nodes[this.#node++];
    if (node === undefined) throw new ArrowFormatError("is not in a record batch", { column: path });
    const { length, nullCount } = node;
    const isValid = length >= 0 && length <= MAX_LENGTH && nullCount >= 0 && nullCount <= length;
    if (isValid) return node;
    throw new ArrowFormatError(`cannot have ${length} values, ${nullCount} of them null`, { column: path });
  }

  #nextBuffer(path: string): Uint8Array {
    const index = this.#buffer++;
    if (index >= this.#load.header.buffers.length)
      throw new ArrowFormatError("a buffer is not in a record batch", { column: path });
    // A `Buffer` of Node would print and compare differently from other bytes.
    const { buffer, byteOffset, byteLength } = this.#load.readBuffer(index);
    return new Uint8Array(buffer, byteOffset, byteLength);
  }
}

/** Returns a column without values. */
export function emptyData(type: DataType): Data {
  if (DataType.isDictionary(type)) {
    const indices = new type.indices.ArrayType(0);
    return new Data(type, 0, 0, 0, { 1: indices } as never, [], new Vector([emptyData(type.dictionary)]));
  }
  const offsetClass = offsetClassOf(type);
  const isUnion = DataType.isUnion(type);
  const values = type.ArrayType === Array ? Uint8Array : (type.ArrayType as TypedArrayClass);
  const buffers = {
    ...(offsetClass === undefined ? {} : { 0: new offsetClass(1) }),
    1: new values(0),
    ...(isUnion ? { 0: new Int32Array(0), 3: new Int8Array(0) } : {}),
  };
  const children = ((type.children ?? []) as Field[]).map((child) => emptyData(child.type));
  return new Data(type, 0, 0, 0, buffers as never, children);
}
