import { type Data, type Decimal, makeData } from "apache-arrow";
import { type ColumnBuilder, Validity, ValueMismatch } from "./builder.ts";

const TEXT = /^([+-]?)(\d*)(?:\.(\d*))?$/;
/** The text of a number whose absolute value is below 10^-6, such as `1.5e-7`. */
const SMALL = /^(-?)(\d)(?:\.(\d+))?e-(\d+)$/;

/**
 * Builds a column of decimals with up to 38 digits. Accepts strings, bigints (without a fraction),
 * and numbers whose shortest text fits the scale.
 */
export class DecimalBuilder implements ColumnBuilder {
  readonly #type: Decimal;
  readonly #name: string;
  readonly #scale: number;
  /** The smallest unscaled value that has too many digits. */
  readonly #limit: bigint;
  readonly #validity: Validity;
  #words: BigInt64Array;
  length = 0;

  constructor(type: Decimal, nullable: boolean, capacity: number) {
    this.#type = type;
    this.#name = `decimal(${type.precision},${type.scale})`;
    this.#scale = type.scale;
    this.#limit = 10n ** BigInt(type.precision);
    this.#words = new BigInt64Array(capacity * 2);
    this.#validity = new Validity(capacity, nullable);
  }

  get bytes(): number {
    return this.length * 16;
  }

  append(value: unknown): void {
    const index = this.length;
    this.#reserve(index);
    if (value === null) {
      this.#validity.setNull(index);
    } else {
      const unscaled = this.#unscaled(value);
      if (unscaled >= this.#limit || unscaled <= -this.#limit)
        throw new ValueMismatch(this.#name, value, "a number with too many digits");
      // A BigInt64Array stores values modulo 2^64: first the low 64 bits, then the high 64 bits.
      this.#words[2 * index] = unscaled;
      this.#words[2 * index + 1] = unscaled >> 64n;
    }
    this.length = index + 1;
  }

  mend(): void {
    this.skip();
  }

  skip(): void {
    this.#reserve(this.length);
    this.#validity.clear(this.length++);
  }

  #reserve(index: number): void {
    if (2 * index < this.#words.length) return;
    const grown = new BigInt64Array(Math.max(16, index * 4));
    grown.set(this.#words);
    this.#words = grown;
  }

  #unscaled(value: unknown): bigint {
    if (typeof value === "string") return this.#parse(value, value);
    if (typeof value === "bigint") return value * 10n ** BigInt(this.#scale);
    if (typeof value !== "number") throw new ValueMismatch(this.#name, value);
    if (Number.isInteger(value) && !Number.isSafeInteger(value))
      throw new ValueMismatch(
        `${this.#name} (beyond 2^53 a string or a bigint)`,
        value,
        "a number beyond 2^53",
      );
    return this.#parse(plainText(value), value);
  }

  #parse(text: string, value: unknown): bigint {
    const match = TEXT.exec(text);
    const whole = match?.[2] ?? "";
    const digits = match?.[3] ?? "";
    if (match === null || (whole === "" && digits === "")) throw new ValueMismatch(this.#name, value);
    const fraction = digits.length > this.#scale ? digits.replace(/0+$/, "") : digits;
    if (fraction.length > this.#scale)
      throw new ValueMismatch(this.#name, value, `${fraction.length} digits after the point`);
    const unscaled = BigInt(whole + fraction.padEnd(this.#scale, "0"));
    return match[1] === "-" ? -unscaled : unscaled;
  }

  finish(): Data {
    const words = this.#words.subarray(0, this.length * 2);
    return makeData({
      type: this.#type,
      length: this.length,
      nullCount: this.#validity.nullCount,
      nullBitmap: this.#validity.finish(this.length),
      data: new Uint32Array(words.buffer, words.byteOffset, words.length * 2),
    });
  }
}

/** Returns the shortest text of a number, without an exponent. */
function plainText(value: number): string {
  const text = String(value);
  const match = SMALL.exec(text);
  if (match === null) return text;
  const [, sign = "", digit = "", rest = "", exponent] = match;
  return `${sign}0.${"0".repeat(Number(exponent) - 1)}${digit}${rest}`;
}
