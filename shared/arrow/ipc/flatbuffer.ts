import { ArrowFormatError } from "./format-error.ts";

/** A byte order mark at the start of a name is part of the name. */
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A vector of structs of the same size inside a flatbuffer. */
export interface StructVector {
  readonly view: DataView;
  readonly start: number;
  readonly length: number;
}

/**
 * A table of a flatbuffer, in which Arrow encodes its metadata. Fields are numbered as in Arrow's
 * schema files. We read it ourselves because the reader inside apache-arrow trusts all lengths and
 * offsets. Here a read outside of the buffer is an `ArrowFormatError` or a `RangeError`.
 */
export class FlatTable {
  readonly #view: DataView;
  readonly #at: number;
  readonly #vtable: number;
  readonly #vtableBytes: number;

  private constructor(view: DataView, at: number) {
    this.#view = view;
    this.#at = at;
    this.#vtable = at - view.getInt32(at, true);
    this.#vtableBytes = view.getUint16(this.#vtable, true);
  }

  /** Returns the root table of a buffer. */
  static root(bytes: Uint8Array): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new FlatTable(view, view.getUint32(0, true));
  }

  /** Size of the whole buffer. */
  get bufferBytes(): number {
    return this.#view.byteLength;
  }

  uint8(field: number, otherwise = 0): number {
    const at = this.#find(field);
    return at === 0 ? otherwise : this.#view.getUint8(at);
  }

  bool(field: number): boolean {
    return this.uint8(field) !== 0;
  }

  int16(field: number, otherwise = 0): number {
    const at = this.#find(field);
    return at === 0 ? otherwise : this.#view.getInt16(at, true);
  }

  int32(field: number, otherwise = 0): number {
    const at = this.#find(field);
    return at === 0 ? otherwise : this.#view.getInt32(at, true);
  }

  int64(field: number): number {
    const at = this.#find(field);
    return at === 0 ? 0 : safeInt64(this.#view, at);
  }

  string(field: number): string | undefined {
    const at = this.#target(field);
    if (at === undefined) return undefined;
    const length = this.#view.getUint32(at, true);
    if (at + 4 + length > this.#view.byteLength) throw outside();
    const bytes = new Uint8Array(this.#view.buffer, this.#view.byteOffset + at + 4, length);
    return UTF8.decode(bytes);
  }

  table(field: number): FlatTable | undefined {
    const at = this.#target(field);
    return at === undefined ? undefined : new FlatTable(this.#view, at);
  }

  tables(field: number): FlatTable[] {
    const { start, length } = this.structs(field, 4);
    return Array.from({ length }, (_, i) => {
      const at = start + 4 * i;
      return new FlatTable(this.#view, at + this.#view.getUint32(at, true));
    });
  }

  int32s(field: number): number[] {
    const { view, start, length } = this.structs(field, 4);
    return Array.from({ length }, (_, i) => view.getInt32(start + 4 * i, true));
  }

  int64s(field: number): number[] {
    const { view, start, length } = this.structs(field, 8);
    return Array.from({ length }, (_, i) => safeInt64(view, start + 8 * i));
  }

  /** Returns a vector of structs of `size` bytes. It is empty if the field is absent. */
  structs(field: number, size: number): StructVector {
    const at = this.#target(field);
    if (at === undefined) return { view: this.#view, start: 0, length: 0 };
    const length = this.#view.getUint32(at, true);
    if (at + 4 + length * size > this.#view.byteLength) throw outside();
    return { view: this.#view, start: at + 4, length };
  }

  /** Returns the position of a field, or 0 if the table does not have it. */
  #find(field: number): number {
    const slot = 4 + 2 * field;
    if (slot + 2 > this.#vtableBytes) return 0;
    const offset = this.#view.getUint16(this.#vtable + slot, true);
    return offset === 0 ? 0 : this.#at + offset;
  }

  #target(field: number): number | undefined {
    const at = this.#find(field);
    return at === 0 ? undefined : at + this.#view.getUint32(at, true);
  }
}

/** Reads a 64-bit integer that a number can hold: a length, a position or an id. */
export function safeInt64(view: DataView, at: number): number {
  const value = Number(view.getBigInt64(at, true));
  if (!Number.isSafeInteger(value)) throw outside();
  return value;
}

function outside(): ArrowFormatError {
  return new ArrowFormatError("a length or position in its metadata lies outside of it");
}
