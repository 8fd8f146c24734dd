import { matchesGlob } from "node:path/posix";
import { pipeline } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";

export { matchesGlob };

/** Decompresses a gzip file, which may have several members. */
export function gunzip(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  // An error of either stream is thrown by the iteration, so the callback ignores it.
  return pipeline(source, createGunzip(), () => undefined);
}

/** Decompresses one zstd frame, and checks its checksum. */
export function unzstdFrame(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return pipeline(source, createZstdDecompress(), () => undefined);
}
