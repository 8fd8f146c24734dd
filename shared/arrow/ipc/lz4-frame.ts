import { ArrowFormatError } from "./format-error.ts";
import { xxh32 } from "./xxh32.ts";

/**
 * The LZ4 frame format, in which Arrow compresses buffers, and pyarrow does by default. The LZ4
 * decoder that we have for Parquet reads blocks without a frame only.
 * https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 */

const MAGIC = 0x184d2204;
const NOT_COMPRESSED_BLOCK = 0x80000000;
const MIN_MATCH = 4;

/**
 * Decompresses one LZ4 frame, or several, to `size` bytes. Errors: `ArrowFormatError`,
 * `RangeError`.
 */
export function decompressLz4Frame(bytes: Uint8Array, size: number): Uint8Array {
  const output = new Uint8Array(size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let [read, written] = [0, 0];
  while (read < bytes.length) [read, written] = readFrame(view, bytes, read, output, written);
  return output.subarray(0, written);
}

interface FrameHeader {
  readonly hasBlockSums: boolean;
  readonly hasSum: boolean;
  /** Position of the first block. */
  readonly end: number;
}

function readHeader(view: DataView, bytes: Uint8Array, start: number): FrameHeader {
  const flags = view.getUint8(start + 4);
  const has = (bit: number) => (flags & bit) !== 0;
  const isReadable = view.getUint32(start, true) === MAGIC && flags >> 6 === 1 && !has(0x01);
  const end = start + 6 + (has(0x08) ? 8 : 0);
  const sum = (xxh32(bytes.subarray(start + 4, end)) >>> 8) & 0xff;
  if (!isReadable || sum !== view.getUint8(end)) throw damaged();
  return { hasBlockSums: has(0x10), hasSum: has(0x04), end: end + 1 };
}

function readFrame(
  view: DataView,
  bytes: Uint8Array,
  start: number,
  output: Uint8Array,
  frameStart: number,
): [read: number, written: number] {
  const { hasBlockSums, hasSum, end } = readHeader(view, bytes, start);
  const checkSum = (content: Uint8Array, at: number) => {
    if (xxh32(content) !== view.getUint32(at, true)) throw damaged();
  };
  let at = end;
  let written = frameStart;
  for (let header = view.getUint32(at, true); header !== 0; header = view.getUint32(at, true)) {
    const blockEnd = at + 4 + (header & ~NOT_COMPRESSED_BLOCK);
    if (blockEnd > bytes.length) throw damaged();
    const block = bytes.subarray(at + 4, blockEnd);
    if (hasBlockSums) checkSum(block, blockEnd);
    at = blockEnd + (hasBlockSums ? 4 : 0);
    if (header < NOT_COMPRESSED_BLOCK) {
      written = readBlock(block, output, written, frameStart);
    } else {
      output.set(block, written);
      written += block.length;
    }
  }
  if (!hasSum) return [at + 4, written];
  checkSum(output.subarray(frameStart, written), at + 4);
  return [at + 8, written];
}

/** Decompresses a block to `output`, and returns where its bytes end. */
function readBlock(block: Uint8Array, output: Uint8Array, begin: number, frameStart: number): number {
  let [at, written] = [0, begin];
  const length = (short: number): number => {
    if (short < 15) return short;
    let total = short;
    for (let byte = 255; byte === 255; total += byte) {
      if (at >= block.length) throw damaged();
      byte = block[at++] ?? 0;
    }
    return total;
  };
  while (at < block.length) {
    const token = block[at++] ?? 0;
    const literals = length(token >> 4);
    if (at + literals > block.length || written + literals > output.length) throw damaged();
    output.set(block.subarray(at, at + literals), written);
    at += literals;
    written += literals;
    // The last sequence has no match.
    if (at === block.length) return written;
    const distance = (block[at] ?? 0) | ((block[at + 1] ?? 0) << 8);
    at += 2;
    const matched = length(token & 15) + MIN_MATCH;
    if (distance === 0 || written - distance < frameStart || written + matched > output.length)
      throw damaged();
    for (let end = written + matched; written < end; written++)
      output[written] = output[written - distance] ?? 0;
  }
  throw damaged();
}

function damaged(): ArrowFormatError {
  return new ArrowFormatError("a buffer compressed with LZ4 is damaged");
}
