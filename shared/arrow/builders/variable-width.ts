import { Binary, type Data, makeData, Utf8 } from "apache-arrow";
import { type ColumnBuilder, Validity, ValueMismatch } from "./builder.ts";

const encoder = new TextEncoder();
const MAX_BYTES = 2 ** 31 - 1;

/** Offsets into one growing run of bytes: the layout of strings and binaries. */
class BytesColumn {
  readonly validity: Validity;
  bytes: Uint8Array = new Uint8Array(1024);
  end = 0;
  length = 0;
  #offsets: Int32Array;

  constructor(capacity: number) {
    this.#offsets = new Int32Array(capacity + 1);
    this.validity = new Validity(capacity);
  }

  /** Room for `count` more bytes after `end`. */
  reserve(count: number, type: string, value: unknown): void {
    const needed = this.end + count;
    if (needed <= this.bytes.length) return;
    if (needed > MAX_BYTES) throw new ValueMismatch(type, value, "more than 2 GiB in one record batch");
    const grown = new Uint8Array(Math.min(MAX_BYTES, Math.max(needed, this.bytes.length * 2)));
    grown.set(this.bytes.subarray(0, this.end));
    this.bytes = grown;
  }

  /** Ends the value that was written up to `end`. */
  close(): void {
    this.length++;
    if (this.length === this.#offsets.length) {
      const grown = new Int32Array(this.length * 2);
      grown.set(this.#offsets);
      this.#offsets = grown;
    }
    this.#offsets[this.length] = this.end;
  }

  closeNull(): void {
    this.validity.setNull(this.length);
    this.close();
  }

  layout(): {
    length: number;
    nullCount: number;
    nullBitmap: Uint8Array | undefined;
    valueOffsets: Int32Array;
    data: Uint8Array;
  } {
    return {
      length: this.length,
      nullCount: this.validity.nullCount,
      nullBitmap: this.validity.finish(this.length),
      valueOffsets: this.#offsets.subarray(0, this.length + 1),
      data: this.bytes.subarray(0, this.end),
    };
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
    return makeData({ type: new Utf8(), ...this.#column.layout() });
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
    return makeData({ type: new Binary(), ...this.#column.layout() });
  }
}
