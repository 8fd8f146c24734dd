import type { JsonValue } from "../../shared/contract/json.ts";

/** A filter as JSON. `kind` is the name of its class, and the other keys are its fields. */
export interface FilterJson {
  readonly [field: string]: JsonValue;
  readonly kind: string;
}

/**
 * Parses the Python text of one of Spark's filters, such as `Not(child=EqualTo(attribute=('id',),
 * value=99))`. Throws for any other text.
 */
export function parseFilter(repr: string): FilterJson {
  const reader = new ReprReader(repr);
  const value = reader.value();
  if (!reader.isAtEnd || !isFilter(value)) throw new Error(`this is no filter: ${repr}`);
  return value;
}

function isFilter(value: JsonValue): value is FilterJson {
  return typeof value === "object" && value !== null && "kind" in value;
}

const CONSTANTS = new Map<string, JsonValue>([
  ["None", null],
  ["True", true],
  ["False", false],
]);
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

class ReprReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  value(): JsonValue {
    if (this.#take(/[([]/y) !== undefined) return this.#until(/[)\]]/y, () => this.value());
    const number = this.#take(/-?\d+(\.\d+)?(e[-+]?\d+)?(?![\w.])/iy);
    if (number !== undefined) return Number(number);
    const text = this.#take(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/y);
    if (text !== undefined) return unescaped(text.slice(1, -1));
    const name = this.#take(/\w+/y) ?? this.#fail();
    const constant = CONSTANTS.get(name);
    if (constant !== undefined) return constant;
    if (this.#take(/\(/y) === undefined) this.#fail();
    return { kind: name, ...Object.fromEntries(this.#until(/\)/y, () => this.#field())) };
  }

  #field(): readonly [string, JsonValue] {
    const name = this.#take(/\w+(?==)/y) ?? this.#fail();
    this.#take(/=/y);
    return [name, this.value()];
  }

  /**
   * Parses items until `close` matches. A comma may follow the last item, because Python writes a
   * tuple of one item as `('id',)`.
   */
  #until<T>(close: RegExp, item: () => T): T[] {
    const items: T[] = [];
    while (this.#take(close) === undefined) {
      items.push(item());
      this.#take(/, */y);
    }
    return items;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #fail(): never {
    throw new Error(`this is no filter, from "${this.#text.slice(this.#at)}" on: ${this.#text}`);
  }
}

function unescaped(text: string): string {
  return text.replaceAll(
    /\\(?:x([\da-f]{2})|u([\da-f]{4})|U([\da-f]{8})|(.))/g,
    (_, x?: string, u?: string, long?: string, other = "") => {
      const code = x ?? u ?? long;
      return code === undefined ? (ESCAPES[other] ?? other) : String.fromCodePoint(Number.parseInt(code, 16));
    },
  );
}
