/** A match has 4 bytes at least, which its length does not count. */
const MIN_MATCH = 4;

/**
 * Decompresses an LZ4 block to `output` from `begin` on, and returns where its bytes end. Matches
 * may begin at `first` or later. Returns `undefined` for a damaged block.
 * https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
 */
export function decompressLz4Block(
  block: Uint8Array,
  output: Uint8Array,
  begin: number,
  first: number,
): number | undefined {
  let [at, written] = [0, begin];
  const length = (short: number): number => {
    let total = short;
    for (let byte = short === 15 ? 255 : 0; byte === 255; total += byte) {
      // A length without an end is longer than any output.
      if (at >= block.length) return Number.POSITIVE_INFINITY;
      byte = block[at++] ?? 0;
    }
    return total;
  };
  while (at < block.length) {
    const token = block[at++] ?? 0;
    const literals = length(token >> 4);
    if (at + literals > block.length || written + literals > output.length) return undefined;
    output.set(block.subarray(at, at + literals), written);
    at += literals;
    written += literals;
    // The last sequence has no match.
    if (at === block.length) return written;
    const distance = (block[at] ?? 0) | ((block[at + 1] ?? 0) << 8);
    at += 2;
    const matched = length(token & 15) + MIN_MATCH;
    if (distance === 0 || written - distance < first || written + matched > output.length) return undefined;
    // Source and target may overlap, so bytes are copied one by one.
    for (let end = written + matched; written < end; written++)
      output[written] = output[written - distance] ?? 0;
  }
  return undefined;
}
