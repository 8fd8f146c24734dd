import { Binary, type Data, makeData, Utf8 } from "apache-arrow";
import { type ColumnBuilder, ValueMismatch } from "./builder.ts";
import { Offsets } from "./offsets.ts";

const encoder = new TextEncoder();
const MAX_BYTES = 2 ** 31 - 1;
/** Maximum number of UTF-8 bytes for one UTF-16 code unit. */
const MAX_BYTES_PER_UNIT = 3;
/**
 * Strings are concatenated up to this many UTF-16 code units and encoded together, because one
 * encoder call per string would take most of the time.
 */
const CHUNK_UNITS = 256 * 1024;

type Limit = { readonly type: string; readonly length: number };

/** The data of a column of strings or binaries: one growing byte array and the offsets into it. */
class BytesColumn extends Offsets {
  bytes: Uint8Array = new Uint8Array(1024);

  /** Makes room for `count` more bytes after `end`. Throws `ValueMismatch` above 2 GiB. */
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

/**
 * Builds a column of UTF-8 strings. A string with a lone surrogate is an error, because UTF-8
 * cannot represent it.
 */
export class StringBuilder implements ColumnBuilder {
  readonly #column: BytesColumn;
  readonly #limit: Limit | undefined;
  /**
   * Concatenated strings that are not encoded yet. Until then the offsets count their UTF-16 code
   * units, which equal the bytes if all text is ASCII.
   */
  #text = "";
  /** Index of the first string in `#text`. */
  #first = 0;

  /** `limit` is the maximum length of a `varchar` or `char`, in code points. */
  constructor(nullable: boolean, capacity: number, limit?: Limit) {
    this.#column = new BytesColumn(nullable, capacity);
    this.#limit = limit;
  }

  get length(): number {
    return this.#column.length;
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

  mend(): void {
    this.skip();
  }

  skip(): void {
    this.#column.skip();
  }

  /**
   * Encodes the pending text and reserves memory. It runs before `value` is added, so that an error
   * names the row of `value`.
   */
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
 * Returns where a string of `units` UTF-16 code units ends if its UTF-8 bytes start at `begin`. The
 * first byte of each code point tells how many bytes it has.
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
  // A code point has one or two UTF-16 code units, so a string of at most `length` units always
  // fits.
  if (value.length <= length) return;
  const points = value.length > 2 * length ? value.length : [...value].length;
  if (points > length) throw new ValueMismatch(type, value);
}

/** Builds a column of binaries from `Uint8Array`s. */
export class BinaryBuilder implements ColumnBuilder {
  readonly #column: BytesColumn;

  constructor(nullable: boolean, capacity: number) {
    this.#column = new BytesColumn(nullable, capacity);
  }

  get length(): number {
    return this.#column.length;
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

  mend(): void {
    this.skip();
  }

  skip(): void {
    this.#column.skip();
  }

  finish(): Data {
    return makeData({ type: new Binary(), ...this.#column.layout(), data: this.#column.data });
  }
}
