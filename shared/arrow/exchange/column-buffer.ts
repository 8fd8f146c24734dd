import { Data, DataType, type Field } from "apache-arrow";
import { concatData } from "../concat.ts";
import { emptyData } from "../ipc/vector-loader.ts";
import { offsetClassOf } from "../layout.ts";
import { takeData } from "../take.ts";
import { GrowingBytes } from "./growing-bytes.ts";

/** Collects the values of a column in memory of its own, which is used again after `clear`. */
export interface ColumnBuffer {
  /** Size of the values so far. */
  readonly bytes: number;
  /** Adds values `begin` to `end` (exclusive) of a column. */
  append(data: Data, begin: number, end: number): void;
  /** Returns the values so far, over the memory of this buffer. */
  data(): Data;
  clear(): void;
  release(): void;
}

/** Returns a buffer for a column without dictionaries and views. */
export function columnBuffer(type: DataType): ColumnBuffer {
  if (DataType.isUnion(type)) return new PieceBuffer(type);
  return new ValueBuffer(type, partsOf(type));
}

/** What a value consists of, besides the bit that says if it is null. */
interface Parts {
  readonly bytes: number;
  append(data: Data, begin: number, end: number): void;
  /** Makes the buffers and children of the column. */
  parts(length: number): { readonly buffers: object; readonly children?: Data[] };
  clear(): void;
  release(): void;
}

function partsOf(type: DataType): Parts {
  if (DataType.isNull(type)) return new StructParts([]);
  if (DataType.isBool(type)) return new BoolParts();
  const children = ((type.children as readonly Field[] | undefined) ?? []).map((child) =>
    columnBuffer(child.type),
  );
  if (DataType.isStruct(type)) return new StructParts(children);
  if (DataType.isFixedSizeList(type)) return new StructParts(children, type.listSize);
  const offsets = offsetClassOf(type);
  if (offsets !== undefined) return new RunParts(offsets === BigInt64Array, children[0]);
  return new FixedParts(type);
}

class ValueBuffer implements ColumnBuffer {
  readonly #type: DataType;
  readonly #parts: Parts;
  readonly #validity = new BitBuffer();
  #length = 0;
  #hasNulls = false;

  constructor(type: DataType, parts: Parts) {
    this.#type = type;
    this.#parts = parts;
  }

  get bytes(): number {
    return this.#parts.bytes + (this.#hasNulls ? this.#validity.bytes : 0);
  }

  append(data: Data, begin: number, end: number): void {
    const hasNulls = data.nullCount > 0 && data.nullBitmap !== null && !DataType.isNull(this.#type);
    if (hasNulls && !this.#hasNulls) {
      this.#hasNulls = true;
      this.#validity.fill(this.#length);
    }
    if (hasNulls) this.#validity.append(data.nullBitmap as Uint8Array, data.offset + begin, end - begin);
    else if (this.#hasNulls) this.#validity.fill(end - begin);
    this.#parts.append(data, begin, end);
    this.#length += end - begin;
  }

  data(): Data {
    if (DataType.isNull(this.#type)) return new Data(this.#type, 0, this.#length, this.#length);
    const { buffers, children = [] } = this.#parts.parts(this.#length);
    const validity = this.#hasNulls ? { 2: this.#validity.bits() } : {};
    const all = { ...buffers, ...validity } as never;
    return new Data(this.#type, 0, this.#length, this.#hasNulls ? -1 : 0, all, children);
  }

  clear(): void {
    this.#length = 0;
    this.#hasNulls = false;
    this.#validity.clear();
    this.#parts.clear();
  }

  release(): void {
    this.clear();
    this.#validity.release();
    this.#parts.release();
  }
}

class BitBuffer {
  readonly #bytes = new GrowingBytes();
  #length = 0;

  get bytes(): number {
    return this.#bytes.length;
  }

  bits(): Uint8Array {
    return this.#bytes.bytes.subarray(0, this.#bytes.length);
  }

  /** Adds bits from `bits`, of which the first is at `offset`. */
  append(bits: Uint8Array, offset: number, count: number): void {
    const to = this.#reserve(count);
    for (let i = 0, at = offset, end = this.#length - count; i < count; i++, at++, end++) {
      if (((bits[at >> 3] as number) >> (at & 7)) & 1)
        to[end >> 3] = (to[end >> 3] as number) | (1 << (end & 7));
    }
  }

  /** Adds bits that are set. */
  fill(count: number): void {
    const to = this.#reserve(count);
    for (let end = this.#length - count; end < this.#length; end++) {
      if ((end & 7) === 0 && end + 8 <= this.#length) {
        to[end >> 3] = 255;
        end += 7;
      } else to[end >> 3] = (to[end >> 3] as number) | (1 << (end & 7));
    }
  }

  /** The bits after the last one are clear. */
  #reserve(count: number): Uint8Array {
    this.#length += count;
    const more = ((this.#length + 7) >> 3) - this.#bytes.length;
    const at = this.#bytes.reserve(more);
    this.#bytes.bytes.fill(0, at, at + more);
    return this.#bytes.bytes;
  }

  clear(): void {
    this.#length = 0;
    this.#bytes.clear();
  }

  release(): void {
    this.#length = 0;
    this.#bytes.release();
  }
}

class BoolParts implements Parts {
  readonly #bits = new BitBuffer();

  get bytes(): number {
    return this.#bits.bytes;
  }

  append({ values, offset }: Data, begin: number, end: number): void {
    this.#bits.append(values, offset + begin, end - begin);
  }

  parts() {
    return { buffers: { 1: this.#bits.bits() } };
  }

  clear(): void {
    this.#bits.clear();
  }

  release(): void {
    this.#bits.release();
  }
}

/** Values of one size. */
class FixedParts implements Parts {
  readonly #values = new GrowingBytes();
  readonly #size: number;
  readonly #array: new (
    buffer: ArrayBuffer,
    at: number,
    length: number,
  ) => ArrayBufferView;
  readonly #stride: number;

  constructor(type: DataType) {
    const { stride, ArrayType } = new Data(type, 0, 0);
    this.#array = ArrayType;
    this.#stride = stride;
    this.#size = stride * (ArrayType as typeof Uint8Array).BYTES_PER_ELEMENT;
  }

  get bytes(): number {
    return this.#values.length;
  }

  append({ values }: Data, begin: number, end: number): void {
    const { buffer, byteOffset } = values as Uint8Array;
    const size = this.#size;
    this.#values.append(new Uint8Array(buffer, byteOffset + begin * size, (end - begin) * size));
  }

  parts(length: number) {
    return { buffers: { 1: new this.#array(this.#values.bytes.buffer, 0, length * this.#stride) } };
  }

  clear(): void {
    this.#values.clear();
  }

  release(): void {
    this.#values.release();
  }
}

/** Runs of bytes or of a child's values, with offsets. */
class RunParts implements Parts {
  readonly #offsets = new GrowingBytes();
  readonly #values = new GrowingBytes();
  readonly #isLarge: boolean;
  readonly #child: ColumnBuffer | undefined;
  #end = 0;

  constructor(isLarge: boolean, child: ColumnBuffer | undefined) {
    this.#isLarge = isLarge;
    this.#child = child;
    this.clear();
  }

  get bytes(): number {
    return this.#offsets.length + (this.#child?.bytes ?? this.#values.length);
  }

  append({ values, valueOffsets, children }: Data, begin: number, end: number): void {
    const [from, to] = [Number(valueOffsets[begin] ?? 0), Number(valueOffsets[end] ?? 0)];
    const shift = this.#end - from;
    const at = this.#offsets.reserve((end - begin) * (this.#isLarge ? 8 : 4));
    const { buffer } = this.#offsets.bytes;
    if (this.#isLarge) {
      const out = new BigInt64Array(buffer, at, end - begin);
      for (let i = begin; i < end; i++) out[i - begin] = BigInt(Number(valueOffsets[i + 1]) + shift);
    } else {
      const out = new Int32Array(buffer, at, end - begin);
      for (let i = begin; i < end; i++) out[i - begin] = Number(valueOffsets[i + 1]) + shift;
    }
    if (this.#child === undefined) this.#values.append((values as Uint8Array).subarray(from, to));
    else this.#child.append(children[0] as Data, from, to);
    this.#end += to - from;
  }

  parts(length: number) {
    const { buffer } = this.#offsets.bytes;
    const offsets = this.#isLarge
      ? new BigInt64Array(buffer, 0, length + 1)
      : new Int32Array(buffer, 0, length + 1);
    if (this.#child !== undefined) return { buffers: { 0: offsets }, children: [this.#child.data()] };
    return { buffers: { 0: offsets, 1: this.#values.bytes.subarray(0, this.#end) } };
  }

  clear(): void {
    this.#end = 0;
    this.#offsets.clear();
    this.#values.clear();
    this.#child?.clear();
    // The first offset is 0.
    const size = this.#isLarge ? 8 : 4;
    const at = this.#offsets.reserve(size);
    this.#offsets.bytes.fill(0, at, at + size);
  }

  release(): void {
    this.#offsets.release();
    this.#values.release();
    this.#child?.release();
    this.clear();
  }
}

/** The children of a struct, or of a list whose lists have `items` values each. */
class StructParts implements Parts {
  readonly #children: readonly ColumnBuffer[];
  readonly #items: number;

  constructor(children: readonly ColumnBuffer[], items = 1) {
    this.#children = children;
    this.#items = items;
  }

  get bytes(): number {
    return this.#children.reduce((sum, child) => sum + child.bytes, 0);
  }

  append({ children }: Data, begin: number, end: number): void {
    for (const [i, child] of this.#children.entries())
      child.append(children[i] as Data, begin * this.#items, end * this.#items);
  }

  parts() {
    return { buffers: {}, children: this.#children.map((child) => child.data()) };
  }

  clear(): void {
    for (const child of this.#children) child.clear();
  }

  release(): void {
    for (const child of this.#children) child.release();
  }
}

/** Keeps copies of the pieces. Unions are too rare for more. */
class PieceBuffer implements ColumnBuffer {
  readonly #type: DataType;
  #pieces: Data[] = [];
  #bytes = 0;

  constructor(type: DataType) {
    this.#type = type;
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(data: Data, begin: number, end: number): void {
    if (begin === end) return;
    const piece = takeData(
      data,
      Int32Array.from({ length: end - begin }, (_, i) => begin + i),
    );
    this.#pieces.push(piece);
    this.#bytes += piece.byteLength;
  }

  data(): Data {
    return this.#pieces.length === 0 ? emptyData(this.#type) : concatData(this.#type, this.#pieces);
  }

  clear(): void {
    this.#pieces = [];
    this.#bytes = 0;
  }

  release(): void {
    this.clear();
  }
}
