import { Validity } from "./builder.ts";

/**
 * Where each value of a column begins in what lies below it: the bytes of strings, the elements of
 * lists.
 */
export class Offsets {
  readonly validity: Validity;
  /** Values so far. */
  length = 0;
  /** End of the value at work, in units of what lies below. */
  end = 0;
  #offsets: Int32Array;

  constructor(nullable: boolean, capacity: number) {
    this.#offsets = new Int32Array(capacity + 1);
    this.validity = new Validity(capacity, nullable);
  }

  /** Ends the value that goes up to `end`. */
  close(): void {
    const length = ++this.length;
    if (length === this.#offsets.length) {
      const grown = new Int32Array(length * 2);
      grown.set(this.#offsets);
      this.#offsets = grown;
    }
    this.#offsets[length] = this.end;
  }

  /** Error: `ValueMismatch` if the column takes no null. */
  closeNull(): void {
    this.validity.setNull(this.length);
    this.close();
  }

  /** An empty slot, which a null above it hides. */
  skip(): void {
    this.validity.clear(this.length);
    this.close();
  }

  /**
   * Puts the values from `first` on at new places: `endOf` returns the end of one from its begin and
   * its length as it was.
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

  /** What all columns of this kind have in Arrow's layout. */
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
