import { Binary, type Data, makeData, Utf8 } from "apache-arrow";
import { type ColumnBuilder, ValueMismatch } from "./builder.ts";
import { Offsets } from "./offsets.ts";

const encoder = new TextEncoder();
const MAX_BYTES = 2 ** 31 - 1;

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

  constructor(capacity: number) {
    this.#column = new BytesColumn(capacity);
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
    if (typeof value !== "string") throw new ValueMismatch("string", value);
    if (!value.isWellFormed()) throw new ValueMismatch("string", value, "a string with a lone surrogate");
    column.reserve(value.length * 3, "string", value);
    column.end += encoder.encodeInto(value, column.bytes.subarray(column.end)).written;
    column.close();
  }

  finish(): Data {
    return makeData({ type: new Utf8(), ...this.#column.layout(), data: this.#column.data });
  }
}

/** Byte strings from `Uint8Array`s. */
export class BinaryBuilder implements ColumnBuilder {
  readonly #column: BytesColumn;

  constructor(capacity: number) {
    this.#column = new BytesColumn(capacity);
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

  finish(): Data {
    return makeData({ type: new Binary(), ...this.#column.layout(), data: this.#column.data });
  }
}
