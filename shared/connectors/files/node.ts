import { isUtf8 } from "node:buffer";
import { matchesGlob } from "node:path/posix";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";

export { isUtf8, matchesGlob };

/** The bytes of a gzip file, of any number of members. */
export function gunzip(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  // An error of either comes out of the iteration.
  return pipeline(source, createGunzip(), () => undefined);
}
