import { matchesGlob } from "node:path/posix";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";

export { matchesGlob };

/** Decompresses a gzip file, which may have several members. */
export function gunzip(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  // An error of either stream is thrown by the iteration, so the callback ignores it.
  return pipeline(source, createGunzip(), () => undefined);
}
