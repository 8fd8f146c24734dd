import { Buffer } from "node:buffer";
import type { Long } from "../types.ts";
import { AvroFault } from "./fault.ts";

const FIRST_CAPACITY = 16 * 1024;
/** Integers up to this have an exact zigzag form in a JavaScript number. */
const EXACT = 2 ** 51;
const MIN_LONG = -(2n ** 63n);
const MAX_LONG = 2n ** 63n - 1n;

/** Writes Avro's binary encoding into memory. */
export class AvroOutput {
  #bytes = Buffer.allocUnsafe(FIRST_CAPACITY);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Returns a copy of what was written, and starts again. */
  take(): Uint8Array {
    const written = new Uint8Array(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    return written;
  }

  boolean(value: boolean): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value ? 1 : 0;
  }

  int(value: number): void {
    if (value !== (value | 0)) throw new AvroFault("invalid", "an int has more than 32 bits");
    this.long(value);
  }

  long(value: Long): void {
    this.#reserve(10);
    if (typeof value === "bigint") this.#big(value);
    else if (Number.isSafeInteger(value)) this.#number(value);
    else throw new AvroFault("invalid", "a long is not a whole number below 2^53");
  }

  float(value: number): void {
    this.#reserve(4);
    this.#length = this.#bytes.writeFloatLE(value, this.#length);
  }

  double(value: number): void {
    this.#reserve(8);
    this.#length = this.#bytes.writeDoubleLE(value, this.#length);
  }

  fixed(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  bytes(value: Uint8Array): void {
    this.long(value.length);
    this.fixed(value);
  }

  string(value: string): void {
    if (!value.isWellFormed()) throw new AvroFault("invalid", "a string has a lone surrogate");
    const size = Buffer.byteLength(value);
    this.long(size);
    this.#reserve(size);
    this.#length += this.#bytes.write(value, this.#length);
  }

  #number(value: number): void {
    if (Math.abs(value) > EXACT) {
      this.#big(BigInt(value));
      return;
    }
    let zigzag = value < 0 ? -value * 2 - 1 : value * 2;
    while (zigzag >= 0x80) {
      this.#bytes[this.#length++] = (zigzag % 0x80) | 0x80;
      zigzag = Math.floor(zigzag / 0x80);
    }
    this.#bytes[this.#length++] = zigzag;
  }

  #big(value: bigint): void {
    if (value < MIN_LONG || value > MAX_LONG) throw new AvroFault("invalid", "a long has more than 64 bits");
    let zigzag = value < 0n ? -value * 2n - 1n : value * 2n;
    for (; zigzag >= 0x80n; zigzag >>= 7n) this.#bytes[this.#length++] = Number(zigzag & 0x7fn) | 0x80;
    this.#bytes[this.#length++] = Number(zigzag);
  }

  #reserve(size: number): void {
    const needed = this.#length + size;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, needed));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
