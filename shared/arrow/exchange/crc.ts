import { crc32 } from "node:zlib";

/** Returns the CRC-32 of bytes, or of those before it and these if `before` is their CRC-32. */
export function checksum(bytes: Uint8Array, before = 0): number {
  return crc32(bytes, before);
}
