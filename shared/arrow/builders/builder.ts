import type { Data } from "apache-arrow";
import { kindOf } from "../../contract/json.ts";

/** Collects the values of one column of one record batch into Arrow's own layout. */
export interface ColumnBuilder {
  /** Appends a value, or throws a `ValueMismatch` and is then of no further use. */
  append(value: unknown): void;
  /** Appends an empty slot, which a null above it hides. */
  skip(): void;
  /** The column's data; the builder is then of no further use. */
  finish(): Data;
  /** Bytes that the data takes so far, about. */
  readonly bytes: number;
}

/** A field that is missing, and the name under which it seems to be there. */
export interface MeantField {
  readonly name: string;
  readonly found: string;
}

/**
 * A value that does not fit its column. `path` leads from the column to the place, such as
 * `.tags[2]`.
 */
export class ValueMismatch extends Error {
  readonly expected: string;
  readonly problem: string;
  readonly value: unknown;
  readonly path: string;
  readonly meant: MeantField | undefined;

  constructor(expected: string, value: unknown, problem?: string, path = "", meant?: MeantField) {
    const found = problem ?? (value === undefined ? "nothing" : kindOf(value));
    super(`expected ${expected}, found ${found}`);
    this.expected = expected;
    this.value = value;
    this.problem = found;
    this.path = path;
    this.meant = meant;
  }

  /** The same, seen from the parent of the place. */
  below(step: string): ValueMismatch {
    return new ValueMismatch(this.expected, this.value, this.problem, step + this.path, this.meant);
  }
}

/**
 * Arrow's validity bitmap: bit set for a value, clear for null. Takes no memory while there is no
 * null.
 */
export class Validity {
  readonly #capacity: number;
  readonly #nullable: boolean;
  #bits: Uint8Array | undefined;
  nullCount = 0;

  constructor(capacity: number, nullable: boolean) {
    this.#capacity = capacity;
    this.#nullable = nullable;
  }

  /** Error: `ValueMismatch` if the column takes no null. */
  setNull(index: number): void {
    if (!this.#nullable) throw new ValueMismatch("a value (NOT NULL)", null);
    this.clear(index);
  }

  /** As `setNull`, also if the column takes no null. */
  clear(index: number): void {
    let bits = this.#bits;
    if (bits === undefined || index >= bits.length * 8) {
      const needed = Math.max(this.#capacity, index + 1, (bits?.length ?? 0) * 16);
      const grown = new Uint8Array(((needed + 63) >> 6) << 3).fill(0xff);
      if (bits !== undefined) grown.set(bits);
      this.#bits = bits = grown;
    }
    bits[index >> 3] = (bits[index >> 3] ?? 0) & ~(1 << (index & 7));
    this.nullCount++;
  }

  /** `undefined` if no value is null. */
  finish(length: number): Uint8Array | undefined {
    if (this.#bits === undefined) return undefined;
    const bytes = (length + 7) >> 3;
    if (bytes <= this.#bits.length) return this.#bits.subarray(0, bytes);
    const grown = new Uint8Array(bytes).fill(0xff);
    grown.set(this.#bits);
    return grown;
  }
}
