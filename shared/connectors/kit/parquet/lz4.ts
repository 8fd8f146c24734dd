import { decompressLz4Block } from "../../../arrow/ipc/lz4-block.ts";

/** A byte of a length adds 255 bytes at most. */
const MAX_RATIO = 256;

/** Decompresses one LZ4 block. Returns `undefined` if it is not one of exactly `size` bytes. */
export function lz4OrUndefined(bytes: Uint8Array, size: number): Uint8Array | undefined {
  if (size > bytes.length * MAX_RATIO) return undefined;
  const output = new Uint8Array(size);
  if (bytes.length === 0) return output;
  return decompressLz4Block(bytes, output, 0, 0) === size ? output : undefined;
}
