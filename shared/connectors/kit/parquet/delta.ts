import { MalformedFileError } from "../malformed.ts";

/** A block has 128 values in practice. The limit keeps damaged sizes from costing time. */
const MAX_BLOCK = 1 << 20;
const SHORT = "its data ends too early";

/** Reads the bytes of one page from left to right. */
class ByteReader {
  readonly bytes: Uint8Array;
  offset = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  byte(): number {
    const byte = this.bytes[this.offset++];
    if (byte === undefined) throw new MalformedFileError(SHORT);
    return byte;
  }

  /** Reads an unsigned number of up to 32 bits. */
  varint(): number {
    let value = 0;
    for (let factor = 1; factor < 2 ** 35; factor *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    throw new MalformedFileError("it has a number of more than 32 bits");
  }

  /** Reads a signed number of up to 64 bits. */
  zigzag(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return (value >> 1n) ^ -(value & 1n);
    }
    throw new MalformedFileError("it has a number of more than 64 bits");
  }
}

/**
 * Fills `out` from `DELTA_BINARY_PACKED` data. Returns the number of bytes that it takes. Sums wrap
 * around at the type's bits, as the format has it. Error: `MalformedFileError`.
 */
export function readDeltas(bytes: Uint8Array, out: Int32Array | BigInt64Array): number {
  const reader = new ByteReader(bytes);
  const block = reader.varint();
  const miniblocks = reader.varint();
  const count = reader.varint();
  const first = reader.zigzag();
  const size = block / miniblocks;
  if (!Number.isInteger(size) || size % 8 !== 0 || block === 0 || block > MAX_BLOCK)
    throw new MalformedFileError(`it has blocks of ${block} values in ${miniblocks} parts`);
  if (count !== out.length)
    throw new MalformedFileError(`it has ${count} values, and its header says ${out.length}`);
  if (count === 0) return reader.offset;
  const miniblock =
    out instanceof Int32Array ? int32Miniblock(reader, out, first) : int64Miniblock(reader, out, first);
  for (let done = 1; done < count; done += block) {
    const least = reader.zigzag();
    const widths = Array.from({ length: miniblocks }, () => reader.byte());
    for (let i = 0; i < miniblocks && done + i * size < count; i++) {
      const from = done + i * size;
      const width = widths[i] ?? 0;
      const to = Math.min(from + size, count);
      checkWidth(reader, width, to - from, out.BYTES_PER_ELEMENT * 8);
      miniblock(least, width, from, to);
      reader.offset += (size * width) / 8;
    }
  }
  return reader.offset;
}

function checkWidth({ bytes, offset }: ByteReader, width: number, values: number, max: number): void {
  if (width > max) throw new MalformedFileError(`it has values of ${width} bits`);
  // The last part is padded, and some writers leave the padding out.
  if (offset + Math.ceil((values * width) / 8) > bytes.length) throw new MalformedFileError(SHORT);
}

type Miniblock = (least: bigint, width: number, from: number, to: number) => void;

function int32Miniblock(reader: ByteReader, out: Int32Array, first: bigint): Miniblock {
  let value = Number(BigInt.asIntN(32, first));
  out[0] = value;
  return (least, width, from, to) => {
    const base = Number(BigInt.asIntN(32, least));
    let bit = reader.offset * 8;
    for (let i = from; i < to; i++, bit += width) {
      value = (value + base + readBits(reader.bytes, bit, width)) | 0;
      out[i] = value;
    }
  };
}

function int64Miniblock(reader: ByteReader, out: BigInt64Array, first: bigint): Miniblock {
  let value = first;
  out[0] = value;
  return (least, width, from, to) => {
    let bit = reader.offset * 8;
    for (let i = from; i < to; i++, bit += width) {
      const low = readBits(reader.bytes, bit, Math.min(width, 32)) >>> 0;
      const high = width > 32 ? readBits(reader.bytes, bit + 32, width - 32) >>> 0 : 0;
      value += least + (high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low));
      out[i] = value;
      // A BigInt64Array stores values modulo 2^64, and so the sum must not grow beyond.
      value = out[i] ?? value;
    }
  };
}

/** Returns up to 32 bits at a position, as a signed 32-bit number. */
function readBits(bytes: Uint8Array, position: number, width: number): number {
  let value = 0;
  for (let read = 0; read < width; ) {
    const bit = (position + read) & 7;
    const take = Math.min(8 - bit, width - read);
    value |= (((bytes[(position + read) >>> 3] ?? 0) >>> bit) & ((1 << take) - 1)) << read;
    read += take;
  }
  return value;
}

/** Reads `DELTA_LENGTH_BYTE_ARRAY`: first all lengths, then all bytes. */
export function readDeltaLengths(bytes: Uint8Array, count: number): Uint8Array[] {
  const lengths = new Int32Array(count);
  let offset = readDeltas(bytes, lengths);
  return Array.from(lengths, (length) => {
    if (length < 0 || offset + length > bytes.length) throw new MalformedFileError(SHORT);
    offset += length;
    return bytes.subarray(offset - length, offset);
  });
}

/** Reads `DELTA_BYTE_ARRAY`: each value begins with a part of the one before. */
export function readDeltaBytes(bytes: Uint8Array, count: number): Uint8Array[] {
  const prefixes = new Int32Array(count);
  const suffixes = readDeltaLengths(bytes.subarray(readDeltas(bytes, prefixes)), count);
  let previous = new Uint8Array(0);
  return suffixes.map((suffix, i) => {
    const prefix = prefixes[i] ?? 0;
    if (prefix < 0 || prefix > previous.length)
      throw new MalformedFileError("it has a value that begins with more than the one before");
    const value = new Uint8Array(prefix + suffix.length);
    value.set(previous.subarray(0, prefix));
    value.set(suffix, prefix);
    previous = value;
    return value;
  });
}
