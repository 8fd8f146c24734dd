/** Values from `from` on and before `to`. */
export type Values = { readonly from: number; readonly to: number };

/** The values in at most `count` slices of about the same size, none of them empty. */
export function slicesOf({ from, to }: Values, count: number): Values[] {
  const size = Math.ceil((to - from) / count);
  const slices: Values[] = [];
  for (let at = from; at < to; at += size) slices.push({ from: at, to: Math.min(at + size, to) });
  return slices;
}
