import type { Data } from "apache-arrow";
import { kindOf } from "../../contract/json.ts";

/** Collects the values of one column of one record batch into Arrow's own layout. */
export interface ColumnBuilder {
  /** Appends a value, or throws a `ValueMismatch` and is then of no further use. */
  append(value: unknown): void;
  /** The column's data; the builder is then of no further use. */
  finish(): Data;
  /** Bytes that the data takes so far, about. */
  readonly bytes: number;
}

/** A value that does not fit its column. `path` leads from the column to the place, such as `.tags[2]`. */
export class ValueMismatch extends Error {
  readonly expected: string;
  readonly problem: string;
  readonly value: unknown;
  readonly path: string;

  constructor(expected: string, value: unknown, problem: string = kindOf(value), path = "") {
    super(`expected ${expected}, found ${problem}`);
    this.expected = expected;
    this.value = value;
    this.problem = problem;
    this.path = path;
  }

  /** The same, seen from the parent of the place. */
  below(step: string): ValueMismatch {
    return new ValueMismatch(this.expected, this.value, this.problem, step + this.path);
  }
}

/** Arrow's validity bitmap: bit set for a value, clear for null. Takes no memory while there is no null. */
export class Validity {
  readonly #capacity: number;
  #bits: Uint8Array | undefined;
  nullCount = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  setNull(index: number): void {
    if (index >= (this.#bits?.length ?? 0) * 8) {
      const grown = new Uint8Array(((Math.max(this.#capacity, index + 1) + 63) >> 6) << 3).fill(0xff);
      if (this.#bits !== undefined) grown.set(this.#bits);
      this.#bits = grown;
    }
    const byte = this.#bits?.[index >> 3] ?? 0xff;
    if (this.#bits !== undefined) this.#bits[index >> 3] = byte & ~(1 << (index & 7));
    this.nullCount++;
  }

  /** `undefined` where no value is null. */
  finish(length: number): Uint8Array | undefined {
    if (this.#bits === undefined) return undefined;
    const bytes = (length + 7) >> 3;
    if (bytes <= this.#bits.length) return this.#bits.subarray(0, bytes);
    const grown = new Uint8Array(bytes).fill(0xff);
    grown.set(this.#bits);
    return grown;
  }
}
