/** The integers from `from` (inclusive) to `to` (exclusive). */
export type Numbers = { readonly from: number; readonly to: number };

/** Splits the numbers into at most `count` slices of similar size. No slice is empty. */
export function slicesOf({ from, to }: Numbers, count: number): Numbers[] {
  const size = Math.ceil((to - from) / count);
  const slices: Numbers[] = [];
  for (let at = from; at < to; at += size) slices.push({ from: at, to: Math.min(at + size, to) });
  return slices;
}

/**
 * Groups files in their given order. A group has at most `maxBytes` and `maxFiles`; a single larger
 * file gets its own group.
 */
export function groupsOf<F extends { readonly bytes: number }>(
  files: Iterable<F>,
  {
    maxBytes,
    maxFiles = Number.POSITIVE_INFINITY,
  }: { readonly maxBytes: number; readonly maxFiles?: number },
): F[][] {
  const groups: F[][] = [];
  let bytes = 0;
  for (const file of files) {
    const last = groups.at(-1);
    if (last !== undefined && last.length < maxFiles && bytes + file.bytes <= maxBytes) {
      last.push(file);
      bytes += file.bytes;
    } else {
      groups.push([file]);
      bytes = file.bytes;
    }
  }
  return groups;
}
