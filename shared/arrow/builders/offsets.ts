import { Validity } from "./builder.ts";

/**
 * The offsets buffer of a column of variable length. It says where each value ends in the child
 * data: in the bytes of strings, or in the elements of lists.
 */
export class Offsets {
  readonly validity: Validity;
  /** Number of values that have been added. */
  length = 0;
  /** End of the value that is being appended, in bytes or elements of the child data. */
  end = 0;
  #offsets: Int32Array;

  constructor(nullable: boolean, capacity: number) {
    this.#offsets = new Int32Array(capacity + 1);
    this.validity = new Validity(capacity, nullable);
  }

  /** Completes the current value, which ends at `end`. */
  close(): void {
    const length = ++this.length;
    if (length === this.#offsets.length) {
      const grown = new Int32Array(length * 2);
      grown.set(this.#offsets);
      this.#offsets = grown;
    }
    this.#offsets[length] = this.end;
  }

  /** Appends a null. Throws `ValueMismatch` if the column is NOT NULL. */
  closeNull(): void {
    this.validity.setNull(this.length);
    this.close();
  }

  /** Appends a placeholder for a row whose parent struct is null. */
  skip(): void {
    this.validity.clear(this.length);
    this.close();
  }

  /**
   * Recomputes the offsets of the values from index `first` on. `endOf` receives the new begin of a
   * value and its old length, and returns its new end.
   */
  moveEnds(first: number, endOf: (begin: number, length: number) => number): void {
    let before = this.#offsets[first] ?? 0;
    let end = before;
    for (let i = first + 1; i <= this.length; i++) {
      const after = this.#offsets[i] ?? 0;
      end = endOf(end, after - before);
      this.#offsets[i] = end;
      before = after;
    }
    this.end = end;
  }

  /** Returns the properties that all columns of variable length pass to Arrow's `makeData`. */
  layout(): {
    length: number;
    nullCount: number;
    nullBitmap: Uint8Array | undefined;
    valueOffsets: Int32Array;
  } {
    return {
      length: this.length,
      nullCount: this.validity.nullCount,
      nullBitmap: this.validity.finish(this.length),
      valueOffsets: this.#offsets.subarray(0, this.length + 1),
    };
  }
}
