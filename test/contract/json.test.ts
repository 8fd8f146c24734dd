import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  canonicalJson,
  findNonJson,
  hintOfNonJson,
  isPlainObject,
  type JsonValue,
  kindOf,
} from "../../shared/contract/json.ts";
import { TimeRange } from "../../shared/contract/time-range.ts";

/** Returns an equal value in which the keys of every object are in the opposite order. */
function reversed(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value as { readonly [key: string]: JsonValue });
  return Object.fromEntries(entries.reverse().map(([key, item]) => [key, reversed(item)]));
}

const cyclic: unknown[] = [];
cyclic.push({ again: cyclic });

describe("canonicalJson", () => {
  it("canonicalJson returns the same text whatever the order of the keys is, at every depth", () => {
    expect(canonicalJson({ b: [{ d: 1, c: 2 }], a: null })).toBe('{"a":null,"b":[{"c":2,"d":1}]}');
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(canonicalJson(reversed(value as JsonValue))).toBe(canonicalJson(value as JsonValue));
      }),
    );
  });

  it("canonicalJson keeps the order of arrays", () => {
    expect(canonicalJson([2, 1])).not.toBe(canonicalJson([1, 2]));
  });
});

describe("findNonJson", () => {
  it("findNonJson returns `undefined` for values that JSON carries", () => {
    for (const value of [null, true, 0, -1.5, "é", [], {}, [{ a: [null] }], Object.create(null)]) {
      expect(findNonJson(value)).toBeUndefined();
    }
  });

  it("findNonJson accepts only values that JSON returns unchanged", () => {
    fc.assert(
      fc.property(
        fc.anything({
          withBigInt: true,
          withDate: true,
          withMap: true,
          withSet: true,
          withSparseArray: true,
        }),
        (value) => {
          if (findNonJson(value) === undefined) expect(JSON.parse(JSON.stringify(value))).toEqual(value);
        },
      ),
    );
  });

  it.each<[string, unknown, string]>([
    ["undefined", undefined, "$: undefined"],
    ["an undefined property", { a: { b: undefined } }, "$.a.b: undefined"],
    ["a hole in an array", [1, undefined], "$[1]: undefined"],
    ["a Date", { range: { from: new Date(0) } }, "$.range.from: an instance of Date"],
    ["a bigint", [{ id: 1n }], "$[0].id: a bigint"],
    ["NaN", { n: Number.NaN }, "$.n: NaN"],
    ["infinity", [Number.NEGATIVE_INFINITY], "$[0]: -Infinity"],
    ["negative zero", { n: -0 }, "$.n: -0"],
    ["a function", { f: () => 1 }, "$.f: a function"],
    ["a symbol", Symbol("s"), "$: a symbol"],
    ["a Map", new Map(), "$: an instance of Map"],
    ["a lone surrogate", { s: "\ud800" }, "$.s: a string with a lone surrogate"],
    ["a reference to a parent", cyclic, "$[0].again: a reference to its own parent"],
  ])("findNonJson names the place of %s", (_what, value, found) => {
    expect(findNonJson(value)).toBe(found);
  });

  it("findNonJson lets the same object stand in two places", () => {
    const shared = { a: 1 };
    expect(findNonJson([shared, shared])).toBeUndefined();
  });

  it("findNonJson finds a property under a symbol, which JSON would lose", () => {
    expect(findNonJson({ a: 1, [Symbol("lost")]: 2 })).toBeDefined();
  });
});

describe("kindOf", () => {
  it.each<[unknown, string]>([
    [null, "null"],
    [undefined, "undefined"],
    ["abc", "a string of 3 characters"],
    [1, "an integer"],
    [1.5, "a number with a fraction"],
    [Number.POSITIVE_INFINITY, "Infinity"],
    [1n, "a bigint"],
    [true, "a boolean"],
    [[1, 2], "an array of 2"],
    [{ a: 1 }, "an object"],
    [Object.create(null), "an object"],
    [new Date(0), "an instance of Date"],
    [() => 1, "a function"],
    [(function* () {})(), "a generator"],
    [(async function* () {})(), "an async generator"],
    [Promise.resolve(), "an instance of Promise"],
  ])("kindOf describes %o in words", (value, words) => {
    expect(kindOf(value)).toBe(words);
  });

  it("kindOf never shows the content of an object, even if it has a field called constructor", () => {
    expect(kindOf({ constructor: { name: "Ferrari" } })).toBe("an object");
  });
});

describe("hintOfNonJson", () => {
  it.each<readonly [unknown, string | undefined]>([
    [[Promise.resolve(1)], "await Promise.all("],
    [{ at: Promise.resolve(1) }, "Await it"],
    [[new TimeRange(0n, 1n)], "range.toJSON()"],
    [[new Date(0)], undefined],
  ])("hintOfNonJson says what to do about %o if that is known", (value, hint) => {
    const found = hintOfNonJson(findNonJson(value) ?? "");
    if (hint === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(hint);
  });
});

describe("isPlainObject", () => {
  it("isPlainObject is true only for object literals and objects without a prototype", () => {
    expect([{}, Object.create(null)].every(isPlainObject)).toBe(true);
    expect([null, [], new Date(), new Map(), "x", 1, () => 1].some(isPlainObject)).toBe(false);
  });
});
