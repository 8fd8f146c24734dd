import { Binary, type Data, makeData, Utf8 } from "apache-arrow";
import { type ColumnBuilder, ValueMismatch } from "./builder.ts";
import { Offsets } from "./offsets.ts";

const encoder = new TextEncoder();
const MAX_BYTES = 2 ** 31 - 1;
/** Bytes of UTF-8 for one UTF-16 unit, at most. */
const MAX_BYTES_PER_UNIT = 3;
/** UTF-16 units that are encoded together: one call for each string would take most of the time. */
const CHUNK_UNITS = 256 * 1024;

type Limit = { readonly type: string; readonly length: number };

/** Offsets into one growing run of bytes: the layout of strings and binaries. */
class BytesColumn extends Offsets {
  bytes: Uint8Array = new Uint8Array(1024);

  /** Room for `count` more bytes after `end`. */
  reserve(count: number, type: string, value: unknown): void {
    const needed = this.end + count;
    if (needed <= this.bytes.length) return;
    if (needed > MAX_BYTES) throw new ValueMismatch(type, value, "more than 2 GiB in one record batch");
    const grown = new Uint8Array(Math.min(MAX_BYTES, Math.max(needed, this.bytes.length * 2)));
    grown.set(this.bytes.subarray(0, this.end));
    this.bytes = grown;
  }

  get data(): Uint8Array {
    return this.bytes.subarray(0, this.end);
  }
}

/** Strings as UTF-8. A lone surrogate, which UTF-8 cannot hold, is refused rather than replaced. */
export class StringBuilder implements ColumnBuilder {
  readonly #column: BytesColumn;
  readonly #limit: Limit | undefined;
  /**
   * Strings that are not encoded yet; the column has their lengths in UTF-16 units so far, which
   * are bytes if all is ASCII.
   */
  #text = "";
  /** Index of the first of them. */
  #first = 0;

  /** `limit` is that of a `varchar` or `char`, in code points. */
  constructor(nullable: boolean, capacity: number, limit?: Limit) {
    this.#column = new BytesColumn(nullable, capacity);
    this.#limit = limit;
  }

  get bytes(): number {
    return this.#column.end;
  }

  append(value: unknown): void {
    const column = this.#column;
    if (typeof value === "string") {
      if (this.#limit !== undefined) checkLength(value, this.#limit);
      if (!value.isWellFormed()) throw new ValueMismatch("string", value, "a string with a lone surrogate");
      if (this.#text.length + value.length > CHUNK_UNITS) this.#makeRoom(value);
      this.#text += value;
      column.end += value.length;
      column.close();
    } else if (value === null) {
      column.closeNull();
    } else {
      throw new ValueMismatch(this.#limit?.type ?? "string", value);
    }
  }

  skip(): void {
    this.#column.skip();
  }

  /** Asked before a value is added, whose row an error then names. */
  #makeRoom(value: string): void {
    this.#encode();
    const units = Math.max(value.length, CHUNK_UNITS);
    this.#column.reserve(units * MAX_BYTES_PER_UNIT, "string", value);
  }

  #encode(): void {
    const column = this.#column;
    const text = this.#text;
    const size = Buffer.byteLength(text);
    const begin = column.end - text.length;
    column.end = begin;
    column.reserve(size, "string", "");
    encoder.encodeInto(text, column.bytes.subarray(begin));
    if (size === text.length) column.end += size;
    else column.moveEnds(this.#first, (at, units) => endOf(column.bytes, at, units));
    this.#text = "";
    this.#first = column.length;
  }

  finish(): Data {
    this.#encode();
    return makeData({ type: new Utf8(), ...this.#column.layout(), data: this.#column.data });
  }
}

/**
 * Where a string of so many UTF-16 units ends that begins at `begin`: the first byte of a code
 * point tells how many it has.
 */
function endOf(bytes: Uint8Array, begin: number, units: number): number {
  let at = begin;
  for (let left = units; left > 0; ) {
    const byte = bytes[at] ?? 0;
    at += byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    left -= byte < 0xf0 ? 1 : 2;
  }
  return at;
}

function checkLength(value: string, { type, length }: Limit): void {
  // A code point has one or two UTF-16 units.
  if (value.length <= length) return;
  const points = value.length > 2 * length ? value.length : [...value].length;
  if (points > length) throw new ValueMismatch(type, value);
}

/** Byte strings from `Uint8Array`s. */
export class BinaryBuilder implements ColumnBuilder {
  readonly #column: BytesColumn;

  constructor(nullable: boolean, capacity: number) {
    this.#column = new BytesColumn(nullable, capacity);
  }

  get bytes(): number {
    return this.#column.end;
  }

  append(value: unknown): void {
    const column = this.#column;
    if (value === null) {
      column.closeNull();
      return;
    }
    if (!(value instanceof Uint8Array)) throw new ValueMismatch("binary (a Uint8Array)", value);
    column.reserve(value.length, "binary", value);
    column.bytes.set(value, column.end);
    column.end += value.length;
    column.close();
  }

  skip(): void {
    this.#column.skip();
  }

  finish(): Data {
    return makeData({ type: new Binary(), ...this.#column.layout(), data: this.#column.data });
  }
}
