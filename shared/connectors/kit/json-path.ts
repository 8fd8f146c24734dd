/**
 * Splits a JSON path into its names and indexes. They are separated by dots, as in `data.items` or
 * `coordinates.0`.
 */
function stepsOf(path: string): string[] {
  return path.split(".");
}

/** Returns the value at a path, or `undefined` if there is none. */
export function valueAt(value: unknown, path: string): unknown {
  let at: unknown = value;
  for (const step of stepsOf(path)) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string, unknown>)[step];
  }
  return at;
}

/** Returns an object that contains only `value`, nested under the names of the path. */
export function wrapAt(value: unknown, path: string): unknown {
  return stepsOf(path).reduceRight<unknown>((inner, name) => ({ [name]: inner }), value);
}

/** Returns the first name or index of a path. */
export function firstStep(path: string): string {
  return stepsOf(path)[0] ?? "";
}
