import { type Data, type Decimal, makeData } from "apache-arrow";
import { type ColumnBuilder, Validity, ValueMismatch } from "./builder.ts";

const TEXT = /^([+-]?)(\d*)(?:\.(\d*))?$/;
const LOW_64 = (1n << 64n) - 1n;

/** Decimals of up to 38 digits, from strings, bigints (whole units) or numbers whose shortest text fits the scale. */
export class DecimalBuilder implements ColumnBuilder {
  readonly #type: Decimal;
  readonly #validity: Validity;
  #words: BigUint64Array;
  #length = 0;

  constructor(type: Decimal, capacity: number) {
    this.#type = type;
    this.#words = new BigUint64Array(capacity * 2);
    this.#validity = new Validity(capacity);
  }

  get bytes(): number {
    return this.#length * 16;
  }

  append(value: unknown): void {
    const at = this.#length * 2;
    if (at === this.#words.length) {
      const grown = new BigUint64Array(Math.max(16, at * 2));
      grown.set(this.#words);
      this.#words = grown;
    }
    if (value === null) {
      this.#validity.setNull(this.#length);
    } else {
      const unscaled = this.#unscaled(value);
      this.#words[at] = unscaled & LOW_64;
      this.#words[at + 1] = (unscaled >> 64n) & LOW_64;
    }
    this.#length++;
  }

  #unscaled(value: unknown): bigint {
    const { precision, scale } = this.#type;
    const expected = `decimal(${precision},${scale})`;
    if (typeof value !== "string" && typeof value !== "number" && typeof value !== "bigint") {
      throw new ValueMismatch(expected, value);
    }
    const match = TEXT.exec(String(value));
    const whole = match?.[2] ?? "";
    const fraction = (match?.[3] ?? "").replace(/0+$/, "");
    if (match === null || (whole === "" && (match[3] ?? "") === "")) throw new ValueMismatch(expected, value);
    if (fraction.length > scale)
      throw new ValueMismatch(expected, value, `${fraction.length} digits after the point`);
    const digits = BigInt(whole + fraction.padEnd(scale, "0"));
    if (digits >= 10n ** BigInt(precision))
      throw new ValueMismatch(expected, value, "a number with too many digits");
    return match[1] === "-" ? -digits : digits;
  }

  finish(): Data {
    const words = this.#words.subarray(0, this.#length * 2);
    return makeData({
      type: this.#type,
      length: this.#length,
      nullCount: this.#validity.nullCount,
      nullBitmap: this.#validity.finish(this.#length),
      data: new Uint32Array(words.buffer, words.byteOffset, words.length * 2),
    });
  }
}
