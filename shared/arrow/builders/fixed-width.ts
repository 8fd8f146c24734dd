import { type Data, type DataType, makeData } from "apache-arrow";
import { type ColumnBuilder, Validity } from "./builder.ts";

export type NumericArray =
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/**
 * Builds a column whose values are each one element of a typed array. Every subclass has its own
 * `append`, so that V8 compiles it for a single type of array and value.
 */
export abstract class FixedWidthBuilder<A extends NumericArray> implements ColumnBuilder {
  readonly #type: DataType;
  readonly #make: new (
    length: number,
  ) => A;
  protected readonly validity: Validity;
  protected values: A;
  length = 0;

  constructor(type: DataType, nullable: boolean, capacity: number, make: new (length: number) => A) {
    this.#type = type;
    this.#make = make;
    this.values = new make(capacity);
    this.validity = new Validity(capacity, nullable);
  }

  abstract append(value: unknown): void;

  get bytes(): number {
    return this.length * this.values.BYTES_PER_ELEMENT;
  }

  mend(): void {
    this.skip();
  }

  skip(): void {
    if (this.length === this.values.length) this.grow();
    this.validity.clear(this.length++);
  }

  protected grow(): void {
    const grown = new this.#make(Math.max(8, this.values.length * 2));
    grown.set(this.values as never);
    this.values = grown;
  }

  finish(): Data {
    return makeData({
      type: this.#type as never,
      length: this.length,
      nullCount: this.validity.nullCount,
      nullBitmap: this.validity.finish(this.length),
      data: this.values.subarray(0, this.length) as never,
    });
  }
}

const HALF = 2 ** 32;

/**
 * Builds a column of 64-bit integers. Most values are JavaScript numbers. They are written as two
 * 32-bit halves, because creating a bigint for each would take most of the time.
 */
export abstract class Int64Column<
  A extends BigInt64Array | BigUint64Array = BigInt64Array,
> extends FixedWidthBuilder<A> {
  #halves: Uint32Array;

  constructor(type: DataType, nullable: boolean, capacity: number, make: new (length: number) => A) {
    super(type, nullable, capacity, make);
    this.#halves = new Uint32Array(this.values.buffer);
  }

  /** Stores a whole number whose absolute value is at most 2^53. */
  protected storeNumber(index: number, value: number): void {
    const high = Math.floor(value / HALF);
    this.#halves[2 * index] = value - high * HALF;
    this.#halves[2 * index + 1] = high;
  }

  protected override grow(): void {
    super.grow();
    this.#halves = new Uint32Array(this.values.buffer);
  }
}
