import fc from "fast-check";
import { Temporal } from "temporal-polyfill";
import { describe, expect, it } from "vitest";
import {
  floorMicros,
  type InstantLike,
  roundDown,
  settledNow,
  toIso,
  toMicros,
} from "../../shared/contract/time.ts";

const NOON = Date.UTC(2026, 10, 21, 12);
const MICROS = BigInt(NOON) * 1000n;
const FIRST = BigInt(Date.parse("0000-01-01T00:00:00Z")) * 1000n;
const LAST = BigInt(Date.parse("9999-12-31T23:59:59.999Z")) * 1000n + 999n;
const micros = fc.bigInt({ min: FIRST, max: LAST });

describe("a time", () => {
  it.each<[InstantLike, bigint]>([
    ["2026-11-21T12:00:00Z", 0n],
    ["2026-11-21T12:00Z", 0n],
    ["2026-11-21t12:00:00.5z", 500_000n],
    ["2026-11-21 12:00:00,123456Z", 123_456n],
    ["2026-11-21T12:00:00.000001000Z", 1n],
    ["2026-11-21T17:30:00+05:30", 0n],
    ["2026-11-21T04:00:00-0800", 0n],
    ["2026-11-21T13:00:00+01", 0n],
    [new Date(NOON + 7), 7000n],
    [MICROS + 1n, 1n],
    [Temporal.Instant.from("2026-11-21T12:00:00.000003Z"), 3n],
    [Temporal.ZonedDateTime.from("2026-11-21T17:30:00[Asia/Kolkata]"), 0n],
  ])("A time is read from %o to the microsecond", (instant, beyondNoon) => {
    expect(toMicros(instant)).toBe(MICROS + beyondNoon);
  });

  it.each<[unknown, string]>([
    ["2026-11-21T12:00:00", "a string of 19 characters"],
    ["2026-11-21", "a string of 10 characters"],
    ["yesterday", "a string of 9 characters"],
    ["2026-02-29T00:00:00Z", "a time that does not exist"],
    ["2026-11-21T24:00:00Z", "a time that does not exist"],
    ["2026-11-21T12:00:60Z", "a time that does not exist"],
    ["2026-11-21T12:00:00+24:00", "a time that does not exist"],
    ["0000-01-01T00:00:00+00:01", "a time outside the years 0000 to 9999"],
    ["2026-11-21T12:00:00.0000001Z", "a time with nanoseconds"],
    [Temporal.Instant.fromEpochNanoseconds(1n), "a time with nanoseconds"],
    [Temporal.PlainDate.from("2026-11-21"), "an instance of PlainDate"],
    [new Date(Number.NaN), "an invalid Date"],
    [LAST + 1n, "a time outside the years 0000 to 9999"],
    [NOON, "an integer"],
    [{ epochNanoseconds: 1 }, "an object"],
    [null, "null"],
    [undefined, "undefined"],
  ])("A time is refused if it is %o, without its content in the message", (value, problem) => {
    expect(() => toMicros(value as InstantLike)).toThrow(
      expect.objectContaining({ code: "TIME_INVALID", message: `expected a time, found ${problem}` }),
    );
  });

  it("A time is written in UTC, with microseconds only if it has any", () => {
    expect(toIso(MICROS)).toBe("2026-11-21T12:00:00.000Z");
    expect(toIso(MICROS + 120_000n)).toBe("2026-11-21T12:00:00.120Z");
    expect(toIso(MICROS + 120_004n)).toBe("2026-11-21T12:00:00.120004Z");
    expect(toIso(-1n)).toBe("1969-12-31T23:59:59.999999Z");
  });

  it("A time loses nothing on its way through text, in any year from 0000 to 9999", () => {
    fc.assert(fc.property(micros, (time) => toMicros(toIso(time)) === time));
    expect([FIRST, LAST].map((time) => toMicros(toIso(time)))).toEqual([FIRST, LAST]);
  });

  it("A time can be rounded down to the microsecond, also before 1970", () => {
    expect(floorMicros("1970-01-01T00:00:00.000000999Z")).toBe(0n);
    expect(floorMicros("1969-12-31T23:59:59.999999999Z")).toBe(-1n);
  });
});

describe("roundDown", () => {
  it.each([
    ["2026-11-21T12:34:56.789012Z", "1s", "2026-11-21T12:34:56.000Z"],
    ["2026-11-21T12:34:56.789012Z", "15 minutes", "2026-11-21T12:30:00.000Z"],
    ["2026-11-21T01:00:00+02:00", "1 day", "2026-11-20T00:00:00.000Z"],
    ["2026-11-21T12:00:00Z", "1 hour", "2026-11-21T12:00:00.000Z"],
    ["1969-12-31T23:59:59.999999Z", "1 hour", "1969-12-31T23:00:00.000Z"],
  ])("roundDown of %s to %s is %s", (instant, duration, expected) => {
    expect(roundDown(instant, duration)).toBe(expected);
  });

  it("roundDown refuses a step of no length", () => {
    expect(() => roundDown("2026-11-21T12:00:00Z", "0s")).toThrow(
      expect.objectContaining({ code: "DURATION_INVALID" }),
    );
  });
});

describe("settledNow", () => {
  it("settledNow stays the lag behind the clock, at whole steps", () => {
    expect(settledNow(NOON + 999.9, { lag: "60s" })).toBe("2026-11-21T11:59:00.000Z");
    expect(settledNow(NOON + 500, { lag: "0.5s" })).toBe("2026-11-21T12:00:00.000Z");
    expect(settledNow(NOON - 1, { lag: "0s", step: "1h" })).toBe("2026-11-21T11:00:00.000Z");
  });

  it("settledNow is never after until", () => {
    const until = "2026-11-21T12:00:00.000001+00:00";
    expect(settledNow(NOON + 1000, { lag: "0s", until })).toBe("2026-11-21T12:00:00.000001Z");
    expect(settledNow(NOON, { lag: "0s", until })).toBe("2026-11-21T12:00:00.000Z");
  });

  it("settledNow returns the same text at any two moments in one step and never goes back", () => {
    const moment = fc.integer({ min: -4e12, max: 4e12 });
    fc.assert(
      fc.property(moment, fc.integer({ min: 0, max: 20_000 }), (now, later) => {
        const [a, b] = [now, now + later].map((time) => settledNow(time, { lag: "3s", step: "5s" }));
        expect(a === b).toBe(Math.floor((now - 3000) / 5000) === Math.floor((now + later - 3000) / 5000));
        expect(toMicros(String(b)) >= toMicros(String(a))).toBe(true);
      }),
    );
  });
});
