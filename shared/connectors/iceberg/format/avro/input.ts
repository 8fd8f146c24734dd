import { Buffer, isUtf8 } from "node:buffer";
import type { Long } from "../types.ts";
import { AvroFault } from "./fault.ts";

const TWO_POW_28 = 2 ** 28;
/** What U+FFFD replaces is no UTF-8. */
const REPLACEMENT = "\uFFFD";

/** Reads one value. */
export type Read<T> = (input: AvroInput) => T;

/** Reads Avro's binary encoding. It never reads beyond the end, and throws `AvroFault` instead. */
export class AvroInput {
  readonly #bytes: Buffer;
  readonly #end: number;
  /** Says which bytes these are, for messages: `the block at byte 4096`. */
  readonly #name: string;
  #at = 0;

  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.byteLength;
    this.#name = name;
  }

  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  boolean(): boolean {
    const byte = this.#take(1);
    const value = this.#bytes[byte];
    if (value !== 0 && value !== 1) throw this.damaged("a boolean is neither 0 nor 1");
    return value === 1;
  }

  /** Reads an `int`, which has 32 bits. */
  int(): number {
    const value = this.long();
    if (typeof value === "bigint" || value !== (value | 0))
      throw this.damaged("an int has more than 32 bits");
    return value;
  }

  long(): Long {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (low >>> 1) ^ -(low & 1);
    }
    return this.#longer(low);
  }

  /** Reads a `long` that counts or measures something, so it is below 2^53. */
  count(): number {
    const value = this.long();
    if (typeof value === "bigint") throw this.damaged("a number is beyond 2^53");
    return value;
  }

  bigint(): bigint {
    return BigInt(this.long());
  }

  float(): number {
    return this.#bytes.readFloatLE(this.#take(4));
  }

  double(): number {
    return this.#bytes.readDoubleLE(this.#take(8));
  }

  /** Returns a view of the next `size` bytes. */
  fixed(size: number): Uint8Array {
    const start = this.#take(size);
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + start, size);
  }

  bytes(): Uint8Array {
    return this.fixed(this.#size());
  }

  string(): string {
    const size = this.#size();
    const start = this.#take(size);
    const text = this.#bytes.toString("utf8", start, start + size);
    if (text.includes(REPLACEMENT) && !isUtf8(this.#bytes.subarray(start, start + size)))
      throw this.damaged("a string is not UTF-8");
    return text;
  }

  skip(size: number): void {
    this.#take(size);
  }

  skipBytes(): void {
    this.#take(this.#size());
  }

  /**
   * Calls `item` for each item of an array or of a map. `least` is the smallest number of bytes
   * that an item takes. Nothing would bound the number of items without bytes, so they are refused.
   */
  items(least: number, item: () => void): void {
    for (;;) {
      const said = this.count();
      if (said === 0) return;
      const size = said < 0 ? this.#size() : undefined;
      const start = this.#at;
      const count = this.checkedCount(Math.abs(said), least);
      for (let i = 0; i < count; i++) item();
      if (size !== undefined && this.#at !== start + size)
        throw this.damaged(`items take ${this.#at - start} bytes, and their block says ${size}`);
    }
  }

  /** Returns `count`, unless so many items cannot fit the rest of the bytes. */
  checkedCount(count: number, least: number): number {
    if (count < 0 || count * Math.max(1, least) > this.remaining)
      throw this.damaged(`a count of ${count} does not fit the ${this.remaining} bytes that are left`);
    return count;
  }

  damaged(problem: string): AvroFault {
    return new AvroFault("damaged", `${problem}, ${this.place()}`);
  }

  place(): string {
    return `at byte ${this.#at} of ${this.#name}`;
  }

  #size(): number {
    const size = this.count();
    if (size < 0) throw this.damaged("a length is negative");
    return size;
  }

  #byte(): number {
    if (this.#at >= this.#end) throw this.#tooShort(1);
    return this.#bytes[this.#at++] as number;
  }

  /** Returns the position of the next `size` bytes, and moves behind them. */
  #take(size: number): number {
    const start = this.#at;
    if (size > this.#end - start) throw this.#tooShort(size);
    this.#at = start + size;
    return start;
  }

  #tooShort(size: number): AvroFault {
    return this.damaged(`${size} bytes should follow, and only ${this.remaining} are left`);
  }

  /** Reads the rest of a `long` after its first 28 bits. */
  #longer(low: number): Long {
    let middle = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      middle |= (byte & 0x7f) << shift;
      if (byte < 0x80) return fromZigZag(low, middle, 0);
    }
    const ninth = this.#byte();
    if (ninth < 0x80) return fromZigZag(low, middle, ninth);
    const tenth = this.#byte();
    if (tenth > 1) throw this.damaged("a long has more than 64 bits");
    return fromZigZag(low, middle, (ninth & 0x7f) | (tenth << 7));
  }
}

/** The parts are 28, 28 and 8 bits of an unsigned number whose last bit is the sign. */
function fromZigZag(low: number, middle: number, high: number): Long {
  if (high === 0 && middle < 2 ** 25) {
    const unsigned = middle * TWO_POW_28 + low;
    return unsigned % 2 === 0 ? unsigned / 2 : -(unsigned + 1) / 2;
  }
  const unsigned = (BigInt(high) << 56n) | (BigInt(middle) << 28n) | BigInt(low);
  const value = (unsigned >> 1n) ^ -(unsigned & 1n);
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}
