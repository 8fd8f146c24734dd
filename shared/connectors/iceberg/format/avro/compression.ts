import { Buffer } from "node:buffer";
import { crc32, deflateRawSync, inflateRawSync, zstdDecompressSync } from "node:zlib";
import { snappyUncompressor } from "hysnappy";
import { AvroFault } from "./fault.ts";

/** How blocks that we write are compressed. */
export type Compression = "null" | "deflate";

/** Bytes of a CRC-32, which follows a block of Snappy. */
const CHECKSUM_BYTES = 4;
/**
 * An element of Snappy has at most 64 bytes and takes at least 3, so this is more than any ratio.
 */
const SNAPPY_MAX_RATIO = 64;

/** Decompresses a block. `limit` is the largest size that is accepted. Throws `AvroFault`. */
export function decompress(codec: string, block: Uint8Array, limit: number): Uint8Array {
  switch (codec) {
    case "null":
      return block;
    case "deflate":
      return guarded(codec, limit, () => inflateRawSync(block, { maxOutputLength: limit }));
    case "zstandard":
      return guarded(codec, limit, () => zstdDecompressSync(block, { maxOutputLength: limit }));
    case "snappy":
      return snappy(block, limit);
    default:
      throw new AvroFault(
        "unsupported",
        `it is compressed with ${JSON.stringify(codec)}, and only null, deflate, snappy and zstandard can be read`,
      );
  }
}

export function compress(codec: Compression, block: Uint8Array): Uint8Array {
  return codec === "null" ? block : deflateRawSync(block);
}

function guarded(codec: string, limit: number, run: () => Uint8Array): Uint8Array {
  try {
    return run();
  } catch (error) {
    const isTooLarge = error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE";
    throw isTooLarge ? tooLarge(limit) : new AvroFault("damaged", `its ${codec} data cannot be decompressed`);
  }
}

function tooLarge(limit: number): AvroFault {
  return new AvroFault("unsupported", `its data takes more than ${limit} bytes when decompressed`);
}

/** WebAssembly is compiled when the first block needs it. */
let uncompress: ReturnType<typeof snappyUncompressor> | undefined;

function snappy(block: Uint8Array, limit: number): Uint8Array {
  const compressed = block.subarray(0, block.length - CHECKSUM_BYTES);
  const size = snappySize(compressed);
  if (size > limit) throw tooLarge(limit);
  if (size > compressed.length * SNAPPY_MAX_RATIO)
    throw new AvroFault("damaged", "its snappy data is too short");
  const plain = guarded("snappy", limit, () => {
    uncompress ??= snappyUncompressor();
    return uncompress(compressed, size);
  });
  const checksum = Buffer.from(block.buffer, block.byteOffset, block.length).readUInt32BE(compressed.length);
  if (crc32(plain) !== checksum)
    throw new AvroFault("damaged", "the checksum of a block is not that of its data");
  return plain;
}

/** Returns the size of the data, which is in the first bytes. */
function snappySize(compressed: Uint8Array): number {
  let size = 0;
  for (let i = 0, factor = 1; i < 5 && i < compressed.length; i++, factor *= 128) {
    const byte = compressed[i] ?? 0;
    size += (byte & 0x7f) * factor;
    if (byte < 0x80) return size;
  }
  throw new AvroFault("damaged", "its snappy data has no size");
}
