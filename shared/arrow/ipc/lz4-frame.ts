import { ArrowFormatError } from "./format-error.ts";
import { decompressLz4Block } from "./lz4-block.ts";
import { xxh32 } from "./xxh32.ts";

/**
 * The LZ4 frame format, in which Arrow compresses buffers, and pyarrow does by default.
 * https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 */

const MAGIC = 0x184d2204;
const NOT_COMPRESSED_BLOCK = 0x80000000;

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
      const blockWritten = decompressLz4Block(block, output, written, frameStart);
      if (blockWritten === undefined) throw damaged();
      written = blockWritten;
    } else {
      output.set(block, written);
      written += block.length;
    }
  }
  if (!hasSum) return [at + 4, written];
  checkSum(output.subarray(frameStart, written), at + 4);
  return [at + 8, written];
}

function damaged(): ArrowFormatError {
  return new ArrowFormatError("a buffer compressed with LZ4 is damaged");
}
