import { MalformedFileError } from "../malformed.ts";

const SHORT = "its data ends too early";

/** Reads bits that are packed from the lowest bit of the first byte on. */
export function unpackBits(
  bytes: Uint8Array,
  start: number,
  width: number,
  out: Uint8Array | Int32Array,
  from: number,
  to: number,
): void {
  if (start + Math.ceil(((to - from) * width) / 8) > bytes.length) throw new MalformedFileError(SHORT);
  if (width === 0) {
    out.fill(0, from, to);
    return;
  }
  if (width > 24) {
    unpackWide(bytes, start, width, out, from, to);
    return;
  }
  const mask = (1 << width) - 1;
  let bits = 0;
  let count = 0;
  let offset = start;
  for (let i = from; i < to; i++) {
    while (count < width) {
      bits |= (bytes[offset++] ?? 0) << count;
      count += 8;
    }
    out[i] = bits & mask;
    bits >>>= width;
    count -= width;
  }
}

/** Like `unpackBits`, for widths whose bits do not fit a 32-bit number beside a next byte. */
function unpackWide(
  bytes: Uint8Array,
  start: number,
  width: number,
  out: Uint8Array | Int32Array,
  from: number,
  to: number,
): void {
  for (let i = from; i < to; i++) {
    const bit = (i - from) * width;
    let value = 0;
    for (let read = 0; read < width; ) {
      const at = bit + read;
      const take = Math.min(8 - (at & 7), width - read);
      value |= (((bytes[start + (at >>> 3)] ?? 0) >>> (at & 7)) & ((1 << take) - 1)) << read;
      read += take;
    }
    out[i] = value;
  }
}

/**
 * Fills `out` from runs of equal values and of packed bits, Parquet's "RLE / bit-packing hybrid".
 * Error: `MalformedFileError` if the bytes have fewer values.
 */
export function readRuns(bytes: Uint8Array, width: number, out: Uint8Array | Int32Array): void {
  let offset = 0;
  let filled = 0;
  const header = () => {
    let value = 0;
    for (let factor = 1; factor < 2 ** 35; factor *= 128) {
      const byte = bytes[offset++];
      if (byte === undefined) throw new MalformedFileError(SHORT);
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    throw new MalformedFileError("it has a run of more than 2^32 values");
  };
  while (filled < out.length) {
    const run = header();
    const left = out.length - filled;
    if (run % 2 === 1) {
      // The last run is padded to a multiple of 8 values, and some writers leave the padding out.
      const groups = (run - 1) / 2;
      const count = Math.min(groups * 8, left);
      unpackBits(bytes, offset, width, out, filled, filled + count);
      offset += groups * width;
      filled += count;
    } else {
      const size = (width + 7) >> 3;
      if (offset + size > bytes.length) throw new MalformedFileError(SHORT);
      let value = 0;
      for (let i = 0; i < size; i++) value |= (bytes[offset++] ?? 0) << (8 * i);
      const count = Math.min(run / 2, left);
      out.fill(value, filled, filled + count);
      filled += count;
    }
  }
}
