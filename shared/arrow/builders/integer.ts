import type { DataType } from "apache-arrow";
import { ValueMismatch } from "./builder.ts";
import { FixedWidthBuilder, Int64Column } from "./fixed-width.ts";

type SmallArray = Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array;

/**
 * Builds a column of integers of up to 32 bits, from numbers and bigints. A value outside the range
 * is an error, never truncated.
 */
export class IntegerBuilder extends FixedWidthBuilder<SmallArray> {
  readonly #name: string;
  readonly #min: number;
  readonly #max: number;

  constructor(
    type: DataType,
    nullable: boolean,
    capacity: number,
    range: {
      readonly make: new (length: number) => SmallArray;
      readonly name: string;
      readonly min: number;
      readonly max: number;
    },
  ) {
    super(type, nullable, capacity, range.make);
    this.#name = range.name;
    this.#min = range.min;
    this.#max = range.max;
  }

  append(value: unknown): void {
    const index = this.length;
    if (index === this.values.length) this.grow();
    if (typeof value === "number") {
      if (!Number.isInteger(value)) throw new ValueMismatch(this.#name, value);
      if (value < this.#min || value > this.#max) throw this.#outOfRange(value);
      this.values[index] = value;
    } else if (value === null) {
      this.validity.setNull(index);
    } else if (typeof value === "bigint") {
      if (value < this.#min || value > this.#max) throw this.#outOfRange(value);
      this.values[index] = Number(value);
    } else {
      throw new ValueMismatch(this.#name, value);
    }
    this.length = index + 1;
  }

  #outOfRange(value: unknown): ValueMismatch {
    return new ValueMismatch(`${this.#name} (${this.#min} to ${this.#max})`, value, "a number outside it");
  }
}

/**
 * Builds a column of 64-bit integers from bigints and from numbers up to 2^53. A number beyond 2^53
 * is an error, because it has already lost its last digits.
 */
export class Int64Builder extends Int64Column {
  constructor(type: DataType, nullable: boolean, capacity: number) {
    super(type, nullable, capacity, BigInt64Array);
  }

  append(value: unknown): void {
    const index = this.length;
    if (index === this.values.length) this.grow();
    if (typeof value === "number") {
      if (!Number.isSafeInteger(value)) throw unsafeInteger("bigint", value);
      this.storeNumber(index, value);
    } else if (value === null) {
      this.validity.setNull(index);
    } else if (typeof value === "bigint") {
      if (BigInt.asIntN(64, value) !== value)
        throw new ValueMismatch("bigint (64 bits)", value, "a number outside it");
      this.values[index] = value;
    } else {
      throw new ValueMismatch("bigint", value);
    }
    this.length = index + 1;
  }
}

/** Builds a column of unsigned 64-bit integers, from the same values as `Int64Builder`. */
export class Uint64Builder extends Int64Column<BigUint64Array> {
  constructor(type: DataType, nullable: boolean, capacity: number) {
    super(type, nullable, capacity, BigUint64Array);
  }

  append(value: unknown): void {
    const index = this.length;
    if (index === this.values.length) this.grow();
    if (value === null) {
      this.validity.setNull(index);
    } else if (typeof value === "number" || typeof value === "bigint") {
      if (typeof value === "number" && !Number.isSafeInteger(value)) throw unsafeInteger("uint64", value);
      const big = BigInt(value);
      if (BigInt.asUintN(64, big) !== big) throw new ValueMismatch("uint64", value, "a number outside it");
      this.values[index] = big;
    } else {
      throw new ValueMismatch("uint64", value);
    }
    this.length = index + 1;
  }
}

function unsafeInteger(type: string, value: number): ValueMismatch {
  return Number.isInteger(value)
    ? new ValueMismatch(`${type} (beyond 2^53 a JavaScript bigint)`, value, "a number beyond 2^53")
    : new ValueMismatch(type, value);
}
