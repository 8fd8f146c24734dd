import { type Data, type DataType, makeData } from "apache-arrow";
import { type ColumnBuilder, Validity } from "./builder.ts";

type NumericArray =
  | Int8Array
  | Int16Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array;

/** A column whose values are one element of a typed array each. */
export class FixedWidthBuilder<A extends NumericArray> implements ColumnBuilder {
  readonly #type: DataType;
  readonly #make: new (
    length: number,
  ) => A;
  readonly #convert: (value: unknown) => A[number];
  readonly #validity: Validity;
  #values: A;
  #length = 0;

  /** `convert` gives the element for a value, or throws a ValueMismatch. */
  constructor(
    type: DataType,
    capacity: number,
    make: new (length: number) => A,
    convert: (value: unknown) => A[number],
  ) {
    this.#type = type;
    this.#make = make;
    this.#convert = convert;
    this.#values = new make(capacity);
    this.#validity = new Validity(capacity);
  }

  get bytes(): number {
    return this.#length * this.#values.BYTES_PER_ELEMENT;
  }

  append(value: unknown): void {
    if (this.#length === this.#values.length) {
      const grown = new this.#make(Math.max(8, this.#length * 2));
      grown.set(this.#values as never);
      this.#values = grown;
    }
    if (value === null) this.#validity.setNull(this.#length);
    else this.#values[this.#length] = this.#convert(value);
    this.#length++;
  }

  finish(): Data {
    return makeData({
      type: this.#type as never,
      length: this.#length,
      nullCount: this.#validity.nullCount,
      nullBitmap: this.#validity.finish(this.#length),
      data: this.#values.subarray(0, this.#length) as never,
    });
  }
}
