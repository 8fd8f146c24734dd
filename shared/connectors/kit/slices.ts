/** Whole numbers from `from` on and before `to`. */
export type Numbers = { readonly from: number; readonly to: number };

/** The numbers in at most `count` slices of about the same size, none of them empty. */
export function slicesOf({ from, to }: Numbers, count: number): Numbers[] {
  const size = Math.ceil((to - from) / count);
  const slices: Numbers[] = [];
  for (let at = from; at < to; at += size) slices.push({ from: at, to: Math.min(at + size, to) });
  return slices;
}

/**
 * Files in groups, in their order: each of at most `maxBytes` and `maxFiles`, unless its one file
 * alone is larger.
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
