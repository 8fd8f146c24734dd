import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { InstantLike } from "../../shared/contract/time.ts";
import { TimeRange } from "../../shared/contract/time-range.ts";

const micros = fc.bigInt({ min: -10_000_000n, max: 10_000_000n });
const ranges = fc
  .tuple(micros, micros)
  .map(([a, b]): TimeRange => (a < b ? new TimeRange(a, b) : new TimeRange(b, a)));
const of = (from: string, to: string): TimeRange => new TimeRange(`2026-11-21T${from}Z`, `2026-11-21T${to}Z`);
const brief = (range: TimeRange): string =>
  range.toString().replaceAll("2026-11-21T", "").replaceAll(":00.000Z", "");

describe("a range of time", () => {
  it("A range of time includes its start and excludes its end, to the microsecond", () => {
    const range = of("12:00:00.000001", "12:00:00.000003");
    const inside = (micro: number): boolean =>
      range.contains(`2026-11-21T12:00:00.${`00000${micro}`.slice(-6)}Z`);
    expect([0, 1, 2, 3].map(inside)).toEqual([false, true, true, false]);
  });

  it.each<[InstantLike, boolean]>([
    [new Date("2026-11-21T12:00:00Z"), true],
    [new Date("2026-11-21T13:00:00Z"), false],
    [BigInt(Date.UTC(2026, 10, 21, 12)) * 1000n, true],
    [BigInt(Date.UTC(2026, 10, 21, 12)) * 1000n - 1n, false],
    [{ epochNanoseconds: BigInt(Date.UTC(2026, 10, 21, 13)) * 1_000_000n - 1n }, true],
    ["2026-11-21T12:59:59.999999999Z", true],
    ["2026-11-21T13:30:00+01:00", true],
    [2n ** 62n, false],
  ])("A range of time tells whether %o is in it", (instant, expected) => {
    expect(of("12:00", "13:00").contains(instant)).toBe(expected);
  });

  it("A range of time survives JSON and ISO 8601 without loss", () => {
    fc.assert(
      fc.property(ranges, (range) => {
        expect(TimeRange.fromJSON(JSON.parse(JSON.stringify(range)))).toEqual(range);
        expect(TimeRange.parse(String(range))).toEqual(range);
      }),
    );
    expect(JSON.stringify(of("12:00", "13:00:00.5"))).toBe(
      '{"from":"2026-11-21T12:00:00.000Z","to":"2026-11-21T13:00:00.500Z"}',
    );
  });

  it.each(["", "2026-11-21T12:00:00Z", "2026-11-21T12:00:00Z/", "2026-11-21T12:00:00Z/PT1H", "a/b/c"])(
    "A range of time is not read from %o",
    (text) => {
      expect(() => TimeRange.parse(text)).toThrow(expect.objectContaining({ code: "TIME_INVALID" }));
    },
  );

  it("A range of time cannot end before it begins", () => {
    expect(() => of("13:00", "12:00")).toThrow(
      expect.objectContaining({
        code: "TIME_RANGE_INVALID",
        message:
          "a range of time from 2026-11-21T13:00:00.000Z cannot end before it begins, at 2026-11-21T12:00:00.000Z",
      }),
    );
  });

  it("A range of time up to a time before its start is empty", () => {
    const start = "2026-11-21T12:00:00Z";
    expect(brief(TimeRange.upTo(start, "2026-11-21T13:00:00Z"))).toBe("12:00/13:00");
    const empty = TimeRange.upTo(start, "2026-11-21T11:00:00Z");
    expect([brief(empty), empty.isEmpty, empty.contains(start)]).toEqual(["12:00/12:00", true, false]);
  });

  it("Two ranges of time share the moments that both contain", () => {
    fc.assert(
      fc.property(ranges, ranges, micros, (a, b, time) => {
        expect(a.intersect(b)?.contains(time) ?? false).toBe(a.contains(time) && b.contains(time));
      }),
    );
    expect(of("12:00", "13:00").intersect(of("13:00", "14:00"))).toBeUndefined();
  });

  it("A range of time meets the range that begins at its end", () => {
    expect(of("12:00", "13:00").meets(of("13:00", "14:00"))).toBe(true);
    expect(of("12:00", "13:00").meets(of("13:00:00.000001", "14:00"))).toBe(false);
    expect(of("12:00", "13:00").meets(of("12:59", "14:00"))).toBe(false);
  });
});

describe("a range of time that is split", () => {
  it("A range of time is split into pieces that hold each moment once, none longer than asked", () => {
    fc.assert(
      fc.property(ranges, fc.integer({ min: 100, max: 5000 }), fc.boolean(), (range, millis, aligned) => {
        const pieces = range.split(`${millis}ms`, { aligned });
        const ends = [range.from, ...pieces.map((piece) => piece.to)];
        expect(pieces.map((piece) => piece.from)).toEqual(ends.slice(0, -1));
        expect(ends.at(-1)).toBe(range.to);
        const length = BigInt(millis) * 1000n;
        for (const [i, { from, to }] of pieces.entries()) {
          expect(to > from && to - from <= length).toBe(true);
          if (aligned && i > 0) expect(from % length).toBe(0n);
        }
      }),
    );
  });

  it("A range of time is cut from its start on, or on the hour", () => {
    const range = of("11:30", "13:10");
    expect(range.split("1 hour").map(brief)).toEqual(["11:30/12:30", "12:30/13:10"]);
    expect(range.split("1 hour", { aligned: true }).map(brief)).toEqual([
      "11:30/12:00",
      "12:00/13:00",
      "13:00/13:10",
    ]);
  });

  it("A split of a time range with a limit returns the first pieces only, however many there would be", () => {
    const century = new TimeRange("1926-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
    expect(century.split("1ms", { limit: 2 }).map(String)).toEqual([
      "1926-01-01T00:00:00.000Z/1926-01-01T00:00:00.001Z",
      "1926-01-01T00:00:00.001Z/1926-01-01T00:00:00.002Z",
    ]);
  });

  it("An empty range of time has no pieces", () => {
    expect(of("12:00", "12:00").split("1s")).toEqual([]);
  });

  it.each(["0s", "an hour"])("A split of a time range refuses pieces of %o", (duration) => {
    expect(() => of("12:00", "13:00").split(duration)).toThrow(
      expect.objectContaining({ code: "DURATION_INVALID" }),
    );
  });
});

describe("ranges of time", () => {
  it("Ranges of time overlap if two of them share a moment", () => {
    fc.assert(
      fc.property(fc.array(ranges, { maxLength: 6 }), (some) => {
        const [a, b] = TimeRange.overlaps(some) ?? [];
        const any = some.some((x, i) => some.some((y, j) => i < j && x.intersect(y) !== undefined));
        expect(a !== undefined).toBe(any);
        if (a !== undefined && b !== undefined) {
          expect(a).not.toBe(b);
          expect(a.intersect(b)).toBeDefined();
        }
      }),
    );
  });

  it("Overlapping ranges of time are returned by start, also if one reaches over others", () => {
    const pair = TimeRange.overlaps([
      of("14:00", "15:00"),
      of("10:00", "11:00"),
      of("10:30", "10:30"),
      of("09:00", "14:30"),
    ]);
    expect(pair?.map(brief)).toEqual(["09:00/14:30", "10:00/11:00"]);
    expect(TimeRange.overlaps(of("10:00", "16:00").split("7 minutes"))).toBeUndefined();
  });
});
