import { closestMatch } from "leven";

/**
 * Returns ` (did you mean pageSize?)` if one of the names is similar, otherwise a list of all
 * names.
 */
export function suggest(name: string, names: readonly string[]): string {
  const lower = new Map(names.map((known) => [known.toLowerCase(), known]));
  const maxDistance = Math.min(name.length >> 1, Math.max(2, Math.floor(name.length / 3)));
  const close = closestMatch(name.toLowerCase(), [...lower.keys()], { maxDistance });
  const meant = close === undefined ? undefined : lower.get(close);
  if (meant !== undefined) return ` (did you mean ${meant}?)`;
  return names.length === 0 ? "" : ` (there are ${[...names].sort().join(", ")})`;
}
