import { matchesGlob } from "node:path/posix";
import { pipeline } from "node:stream";
import { brotliDecompressSync, crc32, createGunzip, unzipSync, zstdDecompressSync } from "node:zlib";

export { crc32, matchesGlob };

/** Decompresses a gzip file, which may have several members. */
export function gunzip(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  // An error of either stream is thrown by the iteration, so the callback ignores it.
  return pipeline(source, createGunzip(), () => undefined);
}

/** Decompresses gzip or zlib data of at most `size` bytes. */
export function unzip(bytes: Uint8Array, size: number): Uint8Array {
  return unzipSync(bytes, atMost(size));
}

/** Decompresses Brotli data of at most `size` bytes. */
export function unbrotli(bytes: Uint8Array, size: number): Uint8Array {
  return brotliDecompressSync(bytes, atMost(size));
}

/** Decompresses Zstandard data of at most `size` bytes. */
export function unzstd(bytes: Uint8Array, size: number): Uint8Array {
  return zstdDecompressSync(bytes, atMost(size));
}

function atMost(size: number): { readonly maxOutputLength: number } {
  return { maxOutputLength: Math.max(1, size) };
}
