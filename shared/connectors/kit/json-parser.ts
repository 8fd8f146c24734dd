import { JsonNumber } from "../../contract/json.ts";

/** The deepest nesting of arrays and objects. A deeper one would overflow the stack. */
const MAX_DEPTH = 1000;
/** Integers of this many digits are exact in a JavaScript number. */
const SAFE_DIGITS = 15;
/** Longest name that a message shows. */
const SHOWN_NAME = 40;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** A number or a word that the end of the text cuts. */
const BEGUN = /^(?:-|-?\d+\.|-?[\d.]+[eE][+-]?|nu?l?|tr?u?|fa?l?s?)$/;
/** Only so many characters are compared with `BEGUN`. */
const LONGEST_BEGUN = 400;

const INTEGER = /^-?\d+$/;
/**
 * Fractions of at most 15 digits, not below 0.1 and without a zero at their end. `String` writes
 * them as they are; testing that takes longer.
 */
const SHORT_FRACTION = /^-?(?:0\.|[1-9]\d{0,6}\.\d{0,6})[1-9]$/;

/** Codes of characters. */
const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const LOWER_E = 0x65;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const BYTE_ORDER_MARK = 0xfeff;

/**
 * A text that is not JSON, or whose meaning is in doubt: a name that one object has twice. The
 * message has the position, and no value.
 */
export class JsonFault extends Error {
  /**
   * `cut`: more text could make it JSON. `doubtful`: it has the form of JSON, but its meaning is in
   * doubt, or it is nested too deeply. `broken`: it is no JSON.
   */
  readonly kind: "broken" | "cut" | "doubtful";

  /** `position` is the index of the character in the text, from 0. */
  constructor(problem: string, position: number, kind: JsonFault["kind"] = "broken") {
    super(`${problem}, at character ${position + 1}`);
    this.name = "JsonFault";
    this.kind = kind;
  }
}

/**
 * Parses JSON without losing digits. Integers beyond 2^53 become bigint; other numbers of which a
 * JavaScript number would have another text, such as `1.10`, become `JsonNumber`. A byte order mark
 * at the start is ignored. Throws `JsonFault`, also for a name that an object has twice, and
 * for more than 1,000 levels of nesting.
 *
 * It is not `JSON.parse` because that rounds numbers and drops all but the last of equal names, and
 * its reviver takes three times as long as this.
 */
export function parseJson(text: string): unknown {
  return new Parser(text).parse();
}

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): unknown {
    if (this.#text.charCodeAt(0) === BYTE_ORDER_MARK) this.#at = 1;
    const value = this.#value();
    // The code of the character after the last one is NaN.
    if (!Number.isNaN(this.#skipSpace())) throw this.#unexpected();
    return value;
  }

  /** Moves to the next character that is no white space, and returns its code. */
  #skipSpace(): number {
    const text = this.#text;
    let code = text.charCodeAt(this.#at);
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09)
      code = text.charCodeAt(++this.#at);
    return code;
  }

  #value(): unknown {
    const code = this.#skipSpace();
    if (code === QUOTE) return this.#string();
    if (code === OPEN_OBJECT) return this.#object();
    if (code === OPEN_ARRAY) return this.#array();
    if (code === MINUS || (code >= ZERO && code <= NINE)) return this.#number(code);
    return this.#word();
  }

  #word(): unknown {
    const text = this.#text;
    const at = this.#at;
    if (text.startsWith("null", at)) return this.#after(4, null);
    if (text.startsWith("true", at)) return this.#after(4, true);
    if (text.startsWith("false", at)) return this.#after(5, false);
    throw this.#unexpected();
  }

  #after(length: number, value: unknown): unknown {
    this.#at += length;
    return value;
  }

  #object(): unknown {
    const object: Record<string, unknown> = {};
    this.#enter();
    if (this.#skipSpace() === CLOSE_OBJECT) return this.#leave(object);
    for (;;) {
      if (this.#skipSpace() !== QUOTE) throw this.#unexpected();
      const begin = this.#at;
      const name = this.#string();
      if (this.#skipSpace() !== COLON) throw this.#unexpected();
      this.#at++;
      const value = this.#value();
      // Every object has some names, such as `constructor`, by inheritance.
      if (object[name] !== undefined) setUnusual(object, name, value, begin);
      else object[name] = value;
      const code = this.#skipSpace();
      if (code === CLOSE_OBJECT) return this.#leave(object);
      if (code !== COMMA) throw this.#unexpected();
      this.#at++;
    }
  }

  #array(): unknown {
    const array: unknown[] = [];
    this.#enter();
    if (this.#skipSpace() === CLOSE_ARRAY) return this.#leave(array);
    for (;;) {
      array.push(this.#value());
      const code = this.#skipSpace();
      if (code === CLOSE_ARRAY) return this.#leave(array);
      if (code !== COMMA) throw this.#unexpected();
      this.#at++;
    }
  }

  #enter(): void {
    if (++this.#depth > MAX_DEPTH)
      throw new JsonFault(
        `arrays and objects are nested more than ${MAX_DEPTH} levels deep`,
        this.#at,
        "doubtful",
      );
    this.#at++;
  }

  #leave(value: unknown): unknown {
    this.#depth--;
    this.#at++;
    return value;
  }

  #string(): string {
    const text = this.#text;
    const begin = this.#at + 1;
    for (let at = begin; ; at++) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        this.#at = at + 1;
        return text.slice(begin, at);
      }
      if (code === BACKSLASH) return this.#escaped(begin, at);
      if (!(code >= 0x20)) throw this.#unexpected(at);
    }
  }

  /** Reads a string that has an escape sequence at `at`. */
  #escaped(begin: number, from: number): string {
    const text = this.#text;
    let at = from;
    for (let code = text.charCodeAt(at); code !== QUOTE; code = text.charCodeAt(at)) {
      if (!(code >= 0x20)) throw this.#unexpected(at);
      at += code === BACKSLASH ? 2 : 1;
    }
    this.#at = at + 1;
    try {
      return JSON.parse(text.slice(begin - 1, at + 1)) as string;
    } catch {
      throw new JsonFault("a string has an escape sequence that JSON does not have", begin - 1);
    }
  }

  #number(first: number): unknown {
    const text = this.#text;
    const begin = first === MINUS ? this.#at + 1 : this.#at;
    let at = begin;
    let code = text.charCodeAt(at);
    let sum = 0;
    while (code >= ZERO && code <= NINE) {
      sum = sum * 10 + (code - ZERO);
      code = text.charCodeAt(++at);
    }
    const digits = at - begin;
    if (digits === 0 || (digits > 1 && text.charCodeAt(begin) === ZERO)) throw this.#unexpected();
    const isInteger = code !== DOT && (code | 0x20) !== LOWER_E;
    if (!isInteger || digits > SAFE_DIGITS) return this.#longNumber();
    this.#at = at;
    return first === MINUS ? -sum : sum;
  }

  #longNumber(): unknown {
    NUMBER.lastIndex = this.#at;
    const source = NUMBER.exec(this.#text)?.[0] ?? "";
    const begin = this.#at;
    this.#at += source.length;
    const code = this.#text.charCodeAt(this.#at);
    // `1.` and `1e` are no numbers: only their first part is one.
    if (code === DOT || (code | 0x20) === LOWER_E) throw this.#unexpected(begin);
    return exactNumber(source);
  }

  #unexpected(at = this.#at): JsonFault {
    return at < this.#text.length && !BEGUN.test(this.#text.slice(at, at + LONGEST_BEGUN))
      ? new JsonFault("a character that does not belong there", at)
      : new JsonFault("the text ends too early", this.#text.length, "cut");
  }
}

/** Sets a property whose name the object has already, itself or by inheritance. */
function setUnusual(object: Record<string, unknown>, name: string, value: unknown, position: number): void {
  if (Object.hasOwn(object, name)) {
    const shown = name.length > SHOWN_NAME ? `${name.slice(0, SHOWN_NAME - 1)}…` : name;
    throw new JsonFault(`an object has the name ${JSON.stringify(shown)} twice`, position, "doubtful");
  }
  Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

/** Returns a number if its text is `source`, else a bigint or a `JsonNumber`. */
function exactNumber(source: string): unknown {
  const number = Number(source);
  if (INTEGER.test(source)) return Number.isSafeInteger(number) ? number : BigInt(source);
  return SHORT_FRACTION.test(source) || String(number) === source ? number : new JsonNumber(source);
}
