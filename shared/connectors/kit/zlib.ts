import { brotliDecompressSync, crc32, unzipSync, zstdDecompressSync } from "node:zlib";

export { crc32 };

/** Node takes no smaller chunk. */
const MIN_CHUNK_BYTES = 64;
const MAX_CHUNK_BYTES = 1024 * 1024;

/** Decompresses gzip or zlib data of at most `size` bytes. */
export function unzip(bytes: Uint8Array, size: number): Uint8Array {
  return unzipSync(bytes, atMost(size));
}

/** Decompresses Brotli data of at most `size` bytes. */
export function unbrotli(bytes: Uint8Array, size: number): Uint8Array {
  return brotliDecompressSync(bytes, atMost(size));
}

/** Decompresses Zstandard data of at most `size` bytes, and checks its checksum if it has one. */
export function unzstd(bytes: Uint8Array, size: number): Uint8Array {
  // A chunk is kept whole however little of it is used, so small data gets a small one.
  const chunkSize = Math.min(Math.max(MIN_CHUNK_BYTES, size + 1), MAX_CHUNK_BYTES);
  return zstdDecompressSync(bytes, { ...atMost(size), chunkSize });
}

function atMost(size: number): { readonly maxOutputLength: number } {
  return { maxOutputLength: Math.max(1, size) };
}
