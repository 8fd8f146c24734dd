import fc from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";
import { CompositeOffset, type OffsetOf } from "../../shared/contract/composite-offset.ts";
import { findNonJson } from "../../shared/contract/json.ts";
import { sameOffset } from "../../shared/contract/offset.ts";
import { toIso } from "../../shared/contract/time.ts";

const ORDER = new CompositeOffset({ updated_at: "timestamp", id: "bigint" });
type Position = OffsetOf<typeof ORDER>;
const at = (updated_at: string, id: bigint | number | string): Position => ORDER.of({ updated_at, id });
const NOON = "2026-11-21T12:00:00Z";

describe("a composite offset", () => {
  it("A composite offset compares its first field, and its second if the first is equal", () => {
    const sorted = [
      at(NOON, 9),
      at(NOON, 10),
      at("2026-11-21T12:00:00.000001Z", 1),
      at("2026-11-22T00:00:00Z", 0),
    ];
    expect([...sorted].reverse().sort(ORDER.compare)).toEqual(sorted);
    expect(ORDER.compare(at(NOON, 9), at(NOON, 9))).toBe(0);
    expect(ORDER.isAfter(at(NOON, 10), at(NOON, 9))).toBe(true);
    expect(ORDER.isAfter(at(NOON, 9), at(NOON, 9))).toBe(false);
    expect(ORDER.max(at(NOON, 10), at(NOON, 9))).toEqual(at(NOON, 10));
    expect(ORDER.max(at(NOON, 9), at(NOON, 10))).toEqual(at(NOON, 10));
  });

  it("A composite offset is the same JSON for the same position", () => {
    const canonical = { updated_at: "2026-11-21T12:00:00.000Z", id: "42" };
    expect(at("2026-11-21T13:00:00+01:00", 42)).toEqual(canonical);
    expect(ORDER.of({ updated_at: new Date(NOON), id: 42n })).toEqual(canonical);
    const row = { id: "42", name: "left out", updated_at: NOON };
    expect(ORDER.of(row)).toEqual(canonical);
    expect(ORDER.compare({ updated_at: "2026-11-21T13:00:00+01:00", id: "042" }, at(NOON, 42))).toBe(0);
    expect(new CompositeOffset({ n: "number" }).of({ n: -0 })).toEqual({ n: 0 });
  });

  it("A composite offset orders integers beyond 2^53 to the last digit", () => {
    expect(ORDER.compare(at(NOON, 9007199254740993n), at(NOON, "9007199254740992"))).toBeGreaterThan(0);
    expect(at(NOON, -(2n ** 63n))).toMatchObject({ id: "-9223372036854775808" });
  });

  it("A composite offset orders text by code points, as a database does, not by UTF-16 units", () => {
    const { compare, of } = new CompositeOffset({ name: "string" });
    const bytes = (text: string): Buffer => Buffer.from(text);
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (a, b) => {
        expect(Math.sign(compare(of({ name: a }), of({ name: b })))).toBe(Buffer.compare(bytes(a), bytes(b)));
      }),
    );
    expect(compare(of({ name: "\u{10000}" }), of({ name: "\uFFFD" }))).toBeGreaterThan(0);
    expect(compare(of({ name: "a" }), of({ name: "ab" }))).toBeLessThan(0);
  });

  it("A composite offset has a total order of JSON objects", () => {
    const order = new CompositeOffset({ time: "timestamp", n: "number", id: "bigint", name: "string" });
    const few = <T>(arbitrary: fc.Arbitrary<T>, ...values: T[]): fc.Arbitrary<T> =>
      fc.oneof(fc.constantFrom(...values), arbitrary);
    const offsets = fc
      .record({
        time: few(fc.bigInt({ min: 0n, max: 10n ** 15n }), 0n).map(toIso),
        n: few(fc.double({ noNaN: true, noDefaultInfinity: true }), 0),
        id: few(fc.bigInt(), 0n),
        name: few(fc.string({ unit: "grapheme" }), ""),
      })
      .map((row) => order.of(row));
    fc.assert(
      fc.property(offsets, offsets, offsets, (a, b, c) => {
        expect(findNonJson(a)).toBeUndefined();
        expect(Math.sign(order.compare(a, b))).toBe(-Math.sign(order.compare(b, a)) + 0);
        expect(order.compare(a, b) === 0).toBe(sameOffset(a, b));
        if (order.compare(a, b) <= 0 && order.compare(b, c) <= 0)
          expect(order.compare(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });

  it("A composite offset has the types of its fields in JSON", () => {
    expectTypeOf<Position>().toEqualTypeOf<{ readonly updated_at: string; readonly id: string }>();
    expectTypeOf(new CompositeOffset({ n: "number" }).of).returns.toEqualTypeOf<{ readonly n: number }>();
  });

  it.each<[object, string, string]>([
    [{ updated_at: NOON }, "id", "expected an integer, beyond 2^53 as text or bigint, found nothing"],
    [{ updated_at: NOON, id: null }, "id", "expected an integer, beyond 2^53 as text or bigint, found null"],
    [
      { updated_at: NOON, id: 1.5 },
      "id",
      "expected an integer, beyond 2^53 as text or bigint, found a number with a fraction",
    ],
    [
      { updated_at: NOON, id: 2 ** 53 },
      "id",
      "expected an integer, beyond 2^53 as text or bigint, found an integer",
    ],
    [
      { updated_at: NOON, id: "4x2" },
      "id",
      "expected an integer, beyond 2^53 as text or bigint, found a string of 3 characters",
    ],
    [{ id: 1 }, "updated_at", "expected a time with its zone, of whole microseconds, found nothing"],
    [
      { updated_at: "2026-11-21T12:00:00", id: 1 },
      "updated_at",
      "expected a time with its zone, of whole microseconds, found a string of 19 characters",
    ],
  ])("A composite offset refuses %o and names the field", (row, field, problem) => {
    const error = expect.objectContaining({
      code: "OFFSET_FIELD_INVALID",
      message: `offset field "${field}": ${problem}`,
      where: { field },
    });
    expect(() => ORDER.of(row as never)).toThrow(error);
    expect(() => ORDER.compare(row as never, at(NOON, 1))).toThrow(error);
    expect(() => ORDER.isAfter(at(NOON, 1), row as never)).toThrow(error);
  });

  it.each<["number" | "string", unknown, string]>([
    ["number", Number.NaN, "expected a finite number, found NaN"],
    ["number", "1", "expected a finite number, found a string of 1 character"],
    ["string", 1, "expected a string, found an integer"],
  ])("A composite offset refuses as a %s %o", (type, value, problem) => {
    expect(() => new CompositeOffset({ f: type }).of({ f: value } as never)).toThrow(
      expect.objectContaining({ message: `offset field "f": ${problem}` }),
    );
  });

  it("A composite offset refuses a field that it does not have, also one that every JavaScript object has", () => {
    const other = { updated_at: NOON, id: "1", page: 3 };
    expect(() => ORDER.compare(at(NOON, 1), other)).toThrow(
      expect.objectContaining({ code: "OFFSET_FIELD_INVALID", message: 'an offset has a field "page"' }),
    );
    expect(() => new CompositeOffset({ constructor: "string" }).of({} as never)).toThrow(
      expect.objectContaining({ message: 'offset field "constructor": expected a string, found nothing' }),
    );
  });

  it.each([[{}], [{ 7: "number" } as const]])(
    "A composite offset cannot be made of the fields %o",
    (fields) => {
      expect(() => new CompositeOffset(fields)).toThrow(
        expect.objectContaining({ code: "OFFSET_FIELD_INVALID" }),
      );
    },
  );
});
