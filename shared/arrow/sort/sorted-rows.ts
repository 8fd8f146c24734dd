import type { KeyList } from "../sort-keys.ts";

/** Below this number of rows, comparing them is faster than counting them. */
const FEW = 512;
/** From this number of rows on, digits of 16 bits need fewer steps. */
const MANY = 1 << 17;

/**
 * Sorts rows by their keys. Equal rows keep their order. Rows are first sorted by the eight bytes
 * after those that all keys have in common, digit by digit, and then compared where these are
 * equal.
 */
export class RowSorter {
  #rows = new Int32Array(0);
  #other = new Int32Array(0);
  #high = new Uint32Array(0);
  #low = new Uint32Array(0);

  /** Bytes of memory that it needs for each row. */
  static readonly ROW_BYTES = 16;

  /** Returns the rows in their order. The array is used again by the next call. */
  sorted(keys: KeyList, count: number): Int32Array {
    this.#reserve(count);
    const rows = this.#rows.subarray(0, count);
    for (let row = 0; row < count; row++) rows[row] = row;
    const start = commonBytes(keys, count);
    if (count < FEW) return rows.sort((a, b) => compareFrom(keys, a, b, start) || a - b);
    this.#readPrefixes(keys, count, start);
    const sorted = this.#radix(count);
    this.#sortTies(keys, sorted, start + 8);
    return sorted;
  }

  #reserve(count: number): void {
    if (count <= this.#rows.length) return;
    this.#rows = new Int32Array(count);
    this.#other = new Int32Array(count);
    this.#high = new Uint32Array(count);
    this.#low = new Uint32Array(count);
  }

  /** Gives the memory back. */
  release(): void {
    this.#rows = new Int32Array(0);
    this.#other = new Int32Array(0);
    this.#high = new Uint32Array(0);
    this.#low = new Uint32Array(0);
  }

  #readPrefixes({ bytes, offsets }: KeyList, count: number, start: number): void {
    const [high, low] = [this.#high, this.#low];
    for (let row = 0; row < count; row++) {
      const at = (offsets[row] as number) + start;
      const end = offsets[row + 1] as number;
      high[row] = wordAt(bytes, at, end);
      low[row] = wordAt(bytes, at + 4, end);
    }
  }

  #radix(count: number): Int32Array {
    const bits = count < MANY ? 8 : 16;
    let [from, to] = [this.#rows.subarray(0, count), this.#other.subarray(0, count)];
    for (const words of [this.#low, this.#high]) {
      for (let shift = 0; shift < 32; shift += bits) {
        if (sortByDigit(words, shift, bits, from, to)) [from, to] = [to, from];
      }
    }
    return from;
  }

  #sortTies(keys: KeyList, rows: Int32Array, start: number): void {
    const [high, low] = [this.#high, this.#low];
    for (let begin = 0, end = 1; begin < rows.length; begin = end, end++) {
      const first = rows[begin] as number;
      while (end < rows.length && isSame(high, low, first, rows[end] as number)) end++;
      if (end - begin > 1) rows.subarray(begin, end).sort((a, b) => compareFrom(keys, a, b, start) || a - b);
    }
  }
}

function isSame(high: Uint32Array, low: Uint32Array, a: number, b: number): boolean {
  return high[a] === high[b] && low[a] === low[b];
}

function wordAt(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end)
    return (
      ((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)
    );
  let word = 0;
  for (let i = 0; i < 4; i++) word = (word << 8) | (at + i < end ? (bytes[at + i] as number) : 0);
  return word;
}

/** Sorts by one digit, keeping the order of equal ones. Returns false if all are equal. */
function sortByDigit(
  words: Uint32Array,
  shift: number,
  bits: number,
  from: Int32Array,
  to: Int32Array,
): boolean {
  const mask = (1 << bits) - 1;
  const starts = new Int32Array(mask + 2);
  const count = from.length;
  for (let i = 0; i < count; i++) {
    const digit = ((words[i] as number) >>> shift) & mask;
    starts[digit + 1] = (starts[digit + 1] as number) + 1;
  }
  if (starts[(((words[0] as number) >>> shift) & mask) + 1] === count) return false;
  for (let digit = 1; digit <= mask; digit++)
    starts[digit] = (starts[digit] as number) + (starts[digit - 1] as number);
  for (let i = 0; i < count; i++) {
    const row = from[i] as number;
    const digit = ((words[row] as number) >>> shift) & mask;
    const at = starts[digit] as number;
    starts[digit] = at + 1;
    to[at] = row;
  }
  return true;
}

/** Returns how many bytes at the beginning are the same in all keys. */
function commonBytes({ bytes, offsets }: KeyList, count: number): number {
  let common = count === 0 ? 0 : (offsets[1] as number);
  for (let row = 1; row < count && common > 0; row++) {
    const at = offsets[row] as number;
    common = Math.min(common, (offsets[row + 1] as number) - at);
    let i = 0;
    while (i < common && bytes[i] === bytes[at + i]) i++;
    common = i;
  }
  return common;
}

/** Compares two keys that are the same up to byte `start`. */
function compareFrom({ bytes, offsets }: KeyList, a: number, b: number, start: number): number {
  const shift = (offsets[b] as number) - (offsets[a] as number);
  const end = Math.min(offsets[a + 1] as number, (offsets[b + 1] as number) - shift);
  for (let i = (offsets[a] as number) + start; i < end; i++) {
    const difference = (bytes[i] as number) - (bytes[i + shift] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}
