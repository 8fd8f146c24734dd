/** A byte of a length adds 255 bytes at most. */
const MAX_RATIO = 256;
/** A copy has 4 bytes at least, which its length does not count. */
const MIN_COPY = 4;

/** Decompresses one LZ4 block. Returns `undefined` if it is not one of exactly `size` bytes. */
export function lz4OrUndefined(bytes: Uint8Array, size: number): Uint8Array | undefined {
  if (size > bytes.length * MAX_RATIO) return undefined;
  const block = { bytes, from: 0, out: new Uint8Array(size), to: 0 };
  while (block.from < bytes.length) {
    const token = bytes[block.from++] ?? 0;
    if (!copyLiterals(block, lengthOf(block, token >> 4))) return undefined;
    // The last sequence has literals only.
    if (block.from === bytes.length) break;
    if (!copyBack(block, token & 15)) return undefined;
  }
  return block.to === size ? block.out : undefined;
}

interface Block {
  readonly bytes: Uint8Array;
  from: number;
  readonly out: Uint8Array;
  to: number;
}

function lengthOf(block: Block, nibble: number): number {
  let length = nibble;
  for (let byte = nibble === 15 ? 255 : 0; byte === 255; ) {
    byte = block.bytes[block.from++] ?? 0;
    length += byte;
  }
  return length;
}

function copyLiterals(block: Block, length: number): boolean {
  const end = block.from + length;
  if (end > block.bytes.length || block.to + length > block.out.length) return false;
  block.out.set(block.bytes.subarray(block.from, end), block.to);
  block.from = end;
  block.to += length;
  return true;
}

function copyBack(block: Block, nibble: number): boolean {
  const { bytes, out } = block;
  const distance = (bytes[block.from] ?? 0) | ((bytes[block.from + 1] ?? 0) << 8);
  block.from += 2;
  const end = block.to + lengthOf(block, nibble) + MIN_COPY;
  if (distance === 0 || distance > block.to || end > out.length) return false;
  // Source and target may overlap, so bytes are copied one by one.
  for (let to = block.to; to < end; to++) out[to] = out[to - distance] ?? 0;
  block.to = end;
  return true;
}
