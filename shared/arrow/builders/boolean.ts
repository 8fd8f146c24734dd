import { Bool, type Data, makeData } from "apache-arrow";
import { type ColumnBuilder, Validity, ValueMismatch } from "./builder.ts";

/** Builds a column of booleans, stored as one bit each. */
export class BooleanBuilder implements ColumnBuilder {
  readonly #validity: Validity;
  #bits: Uint8Array;
  length = 0;

  constructor(nullable: boolean, capacity: number) {
    this.#bits = new Uint8Array((capacity + 7) >> 3);
    this.#validity = new Validity(capacity, nullable);
  }

  get bytes(): number {
    return this.length >> 3;
  }

  append(value: unknown): void {
    const index = this.length;
    const byte = this.#reserve(index);
    if (value === true) this.#bits[byte] = (this.#bits[byte] ?? 0) | (1 << (index & 7));
    else if (value === null) this.#validity.setNull(index);
    else if (value !== false) throw new ValueMismatch("boolean", value);
    this.length = index + 1;
  }

  mend(): void {
    this.skip();
  }

  skip(): void {
    this.#reserve(this.length);
    this.#validity.clear(this.length++);
  }

  #reserve(index: number): number {
    const byte = index >> 3;
    if (byte === this.#bits.length) {
      const grown = new Uint8Array(Math.max(8, byte * 2));
      grown.set(this.#bits);
      this.#bits = grown;
    }
    return byte;
  }

  finish(): Data {
    return makeData({
      type: new Bool(),
      length: this.length,
      nullCount: this.#validity.nullCount,
      nullBitmap: this.#validity.finish(this.length),
      data: this.#bits.subarray(0, (this.length + 7) >> 3),
    });
  }
}
