import type { Data } from "apache-arrow";
import { kindOf } from "../../contract/json.ts";

/** Collects the values of one column for one record batch, directly in Arrow's memory layout. */
export interface ColumnBuilder {
  /** Number of values so far. */
  readonly length: number;
  /**
   * Appends a value. Throws `ValueMismatch` if the value does not fit; the builder must then be
   * mended or discarded.
   */
  append(value: unknown): void;
  /** Ends a value that did not fit, as a placeholder. Without one it adds a placeholder. */
  mend(): void;
  /** Appends a placeholder for a row whose parent struct is null. */
  skip(): void;
  /** Returns the column. The builder must not be used afterwards. */
  finish(): Data;
  /** Approximate size of the values so far, in bytes. */
  readonly bytes: number;
}

/** A missing field `name`, and the similar name `found` that the object has instead. */
export interface MisnamedField {
  readonly name: string;
  readonly found: string;
}

/**
 * A value that does not fit its column. `path` is the place of the value below the column, such as
 * `.tags[2]`.
 */
export class ValueMismatch extends Error {
  readonly expected: string;
  readonly problem: string;
  readonly value: unknown;
  readonly path: string;
  readonly misnamed: MisnamedField | undefined;

  constructor(expected: string, value: unknown, problem?: string, path = "", misnamed?: MisnamedField) {
    const found = problem ?? (value === undefined ? "nothing" : kindOf(value));
    super(`expected ${expected}, found ${found}`);
    this.expected = expected;
    this.value = value;
    this.problem = found;
    this.path = path;
    this.misnamed = misnamed;
  }

  /** Returns the same error with `step` put in front of its path. */
  withParent(step: string): ValueMismatch {
    return new ValueMismatch(this.expected, this.value, this.problem, step + this.path, this.misnamed);
  }
}

/**
 * Arrow's validity bitmap: a set bit for a value, a clear bit for null. Nothing is allocated until
 * the first null.
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

  /** Marks a value as null. Throws `ValueMismatch` if the column is NOT NULL. */
  setNull(index: number): void {
    if (!this.#nullable) throw new ValueMismatch("a value (NOT NULL)", null);
    this.clear(index);
  }

  /**
   * Marks a value as null even if the column is NOT NULL, for a row whose parent struct is null.
   */
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

  /** Returns the bitmap, or `undefined` if no value is null. */
  finish(length: number): Uint8Array | undefined {
    if (this.#bits === undefined) return undefined;
    const bytes = (length + 7) >> 3;
    if (bytes <= this.#bits.length) return this.#bits.subarray(0, bytes);
    const grown = new Uint8Array(bytes).fill(0xff);
    grown.set(this.#bits);
    return grown;
  }
}
