/** A path into JSON: names and indexes joined by dots, such as `data.items` or `coordinates.0`. */
function stepsOf(path: string): string[] {
  return path.split(".");
}

/** What lies at a path, `undefined` if nothing does. */
export function valueAt(value: unknown, path: string): unknown {
  let at: unknown = value;
  for (const step of stepsOf(path)) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string, unknown>)[step];
  }
  return at;
}

/** An object that has `value`, and nothing else, at a path of names. */
export function wrapAt(value: unknown, path: string): unknown {
  return stepsOf(path).reduceRight<unknown>((inner, name) => ({ [name]: inner }), value);
}

/** The name or index that a path begins with. */
export function firstStep(path: string): string {
  return stepsOf(path)[0] ?? "";
}
