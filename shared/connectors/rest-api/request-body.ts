import { isPlainObject } from "../../contract/json.ts";
import { wrapAt } from "../kit/json-path.ts";

/**
 * Returns a copy of a JSON value in which `replace` has replaced values, from the outside to the
 * inside. What it returns for an object or an array is copied too.
 */
export function mapJson(value: unknown, replace: (value: unknown) => unknown): unknown {
  const replaced = replace(value);
  if (Array.isArray(replaced)) return replaced.map((item) => mapJson(item, replace));
  if (!isPlainObject(replaced)) return replaced;
  return Object.fromEntries(Object.entries(replaced).map(([name, item]) => [name, mapJson(item, replace)]));
}

/** `JSON.rawJSON`, which the types of this version of TypeScript do not have. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/** Returns JSON text with all digits of numbers that `parseJson` has not made a double. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === "bigint" ? rawJSON(String(item)) : item,
  );
}

/** Marks the value at the end of a path, which may be an object itself. */
class Leaf {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }
}

/** Returns a copy of the template with each value at its path. */
export function fillBody(template: unknown, params: Readonly<Record<string, unknown>>): unknown {
  return Object.entries(params).reduce(
    (body, [path, value]) => merge(body, wrapAt(new Leaf(value), path)),
    template,
  );
}

/** Puts the leaf of `added`, a chain of objects, in its place in `body`. */
function merge(body: unknown, added: unknown): unknown {
  if (added instanceof Leaf) return added.value;
  if (!isPlainObject(added)) return body;
  const [[name, value] = ["", undefined]] = Object.entries(added);
  if (Array.isArray(body) && /^\d+$/.test(name)) {
    const copy: unknown[] = [...body];
    copy[Number(name)] = merge(copy[Number(name)], value);
    return copy;
  }
  const before = isPlainObject(body) ? body : {};
  return { ...before, [name]: merge(Object.hasOwn(before, name) ? before[name] : undefined, value) };
}
