import { matchesGlob } from "node:path/posix";
import { pipeline } from "node:stream";
import {
  brotliDecompressSync,
  crc32,
  createGunzip,
  createZstdDecompress,
  unzipSync,
  zstdDecompressSync,
} from "node:zlib";

export { crc32, matchesGlob };

/** Node takes no smaller chunk. */
const MIN_CHUNK_BYTES = 64;
const MAX_CHUNK_BYTES = 1024 * 1024;

/** Decompresses a gzip file, which may have several members. */
export function gunzip(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  // An error of either stream is thrown by the iteration, so the callback ignores it.
  return pipeline(source, createGunzip(), () => undefined);
}

/** Decompresses one zstd frame, and checks its checksum. */
export function unzstdFrame(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return pipeline(source, createZstdDecompress(), () => undefined);
}

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
