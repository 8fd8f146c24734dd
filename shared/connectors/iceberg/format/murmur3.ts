const BLOCK_1 = 0xcc9e2d51;
const BLOCK_2 = 0x1b873593;

/** Returns the 32-bit Murmur3 hash, with seed 0, of bytes `start` to `end`, as a signed number. */
export function murmur3(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  let hash = 0;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const block =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    hash = withBlock(hash, block);
  }
  let tail = 0;
  for (let last = end - 1; last >= at; last--) tail = (tail << 8) | (bytes[last] as number);
  if (at < end) hash ^= mixed(tail);
  return finished(hash, end - start);
}

/** Returns the hash of a 64-bit integer, which is given by its lower and upper 32 bits. */
export function murmur3Long(low: number, high: number): number {
  return finished(withBlock(withBlock(0, low), high), 8);
}

function withBlock(hash: number, block: number): number {
  const next = hash ^ mixed(block);
  return (Math.imul((next << 13) | (next >>> 19), 5) + 0xe6546b64) | 0;
}

function mixed(block: number): number {
  const product = Math.imul(block, BLOCK_1);
  return Math.imul((product << 15) | (product >>> 17), BLOCK_2);
}

function finished(hash: number, length: number): number {
  let final = hash ^ length;
  final = Math.imul(final ^ (final >>> 16), 0x85ebca6b);
  final = Math.imul(final ^ (final >>> 13), 0xc2b2ae35);
  return (final ^ (final >>> 16)) | 0;
}
