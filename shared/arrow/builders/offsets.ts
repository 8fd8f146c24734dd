import { Validity } from "./builder.ts";

/** Where each value of a column begins in what lies below it: the bytes of strings, the elements of lists. */
export class Offsets {
  readonly validity: Validity;
  /** Values so far. */
  length = 0;
  /** End of the value at work, in units of what lies below. */
  end = 0;
  #offsets: Int32Array;

  constructor(capacity: number) {
    this.#offsets = new Int32Array(capacity + 1);
    this.validity = new Validity(capacity);
  }

  /** Ends the value that goes up to `end`. */
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
