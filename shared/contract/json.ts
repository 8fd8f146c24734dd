/** A value that survives a round trip through JSON unchanged. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/**
 * A JSON number whose text a JavaScript number would change: one with too many digits, with an
 * exponent, or with a zero at its end, such as `1.10`.
 */
export class JsonNumber {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }

  toString(): string {
    return this.source;
  }

  /** `JSON.stringify` writes the number with all its digits. */
  toJSON(): unknown {
    return (JSON as unknown as { readonly rawJSON: (text: string) => unknown }).rawJSON(this.source);
  }
}

/** Returns JSON text with sorted keys, so that equal values have equal text. */
export function canonicalJson(value: JsonValue): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    isPlainObject(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : item,
  );
}

/**
 * Returns the first place in `value` that a round trip through JSON would lose or change, such as
 * `$.range.from: an instance of Date`. Returns `undefined` if there is none. A property with the
 * value `undefined` is reported too, because JSON drops it.
 */
export function findNonJson(value: unknown, path = "$", parents: readonly object[] = []): string | undefined {
  if (typeof value === "object" && value !== null) return findNonJsonInside(value, path, parents);
  const problem = scalarProblemOf(value);
  return problem === undefined ? undefined : `${path}: ${problem}`;
}

/** Returns why JSON cannot represent a value that is not an object, or `undefined` if it can. */
function scalarProblemOf(value: unknown): string | undefined {
  if (value === null || typeof value === "boolean") return undefined;
  if (typeof value === "string") return value.isWellFormed() ? undefined : "a string with a lone surrogate";
  if (typeof value !== "number") return kindOf(value);
  if (!Number.isFinite(value)) return String(value);
  return Object.is(value, -0) ? "-0" : undefined;
}

function findNonJsonInside(value: object, path: string, parents: readonly object[]): string | undefined {
  if (parents.includes(value)) return `${path}: a reference to its own parent`;
  const inside = [...parents, value];
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const found = findNonJson(value[i], `${path}[${i}]`, inside);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (!isPlainObject(value)) return `${path}: ${kindOf(value)}`;
  const [symbol] = Object.getOwnPropertySymbols(value);
  if (symbol !== undefined) return `${path}[${String(symbol)}]: a property under a symbol`;
  for (const [key, item] of Object.entries(value)) {
    const found = findNonJson(item, `${path}.${key}`, inside);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Returns a specific hint for a problem that `findNonJson` reported, or `undefined` if only a
 * general hint applies.
 */
export function hintOfNonJson(problem: string): string | undefined {
  if (problem.endsWith("an instance of Promise"))
    return "Await it: await, or await Promise.all(…) of an array, such as that of map(async …).";
  if (problem.endsWith("an instance of TimeRange"))
    return "Give it as JSON: .map((range) => range.toJSON()); read() makes it anew: TimeRange.fromJSON(partition).";
  return undefined;
}

/** Describes the kind of a value for an error message. The text never contains the value itself. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  switch (typeof value) {
    case "undefined":
      return "undefined";
    case "string":
      return value.length === 1 ? "a string of 1 character" : `a string of ${value.length} characters`;
    case "number":
      if (Number.isInteger(value)) return "an integer";
      return Number.isFinite(value) ? "a number with a fraction" : String(value);
    case "bigint":
      return "a bigint";
    case "boolean":
      return "a boolean";
    case "object":
      return kindOfObject(value);
    default:
      return `a ${typeof value}`;
  }
}

function kindOfObject(value: object): string {
  if (value instanceof JsonNumber) return kindOfNumber(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (isPlainObject(value)) return "an object";
  const tag = Object.prototype.toString.call(value);
  if (tag === "[object Generator]") return "a generator";
  if (tag === "[object AsyncGenerator]") return "an async generator";
  const prototype = Object.getPrototypeOf(value) as { readonly constructor?: { readonly name?: unknown } };
  const name = prototype.constructor?.name;
  return typeof name === "string" && name !== ""
    ? `an instance of ${name}`
    : "an object of a class without name";
}

function kindOfNumber({ source }: JsonNumber): string {
  if (!Number.isFinite(Number(source))) return "a number beyond the range of a double";
  return `a number of ${source.length} characters`;
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
