import { describe, expect, it } from "vitest";
import { checkOverlap } from "../../shared/engine/overlap.ts";

const refused = (...partitions: unknown[]) => {
  try {
    checkOverlap(partitions);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
};

describe("partitions", () => {
  it.each([
    ["numbers", { from: 0, to: 10 }, { from: 5, to: 15 }],
    ["numbers in another order", { lo: 5, hi: 15 }, { lo: 0, hi: 10 }],
    ["one within another", { start: 0, end: 100 }, { start: 10, end: 20 }],
    [
      "times of any precision",
      { start: "2026-01-01T00:00:00Z", end: "2026-01-01T01:00:00.000001Z" },
      { start: "2026-01-01T01:00:00Z", end: "2026-01-01T02:00:00Z" },
    ],
    [
      "times in other zones",
      { since: "2026-01-01T00:00+02:00", until: "2026-01-01T01:00Z" },
      { since: "2026-01-01T00:59Z", until: "2026-01-01T02:00Z" },
    ],
    ["dates", { from: "2026-01-01", to: "2026-01-03" }, { from: "2026-01-02", to: "2026-01-04" }],
    [
      "64-bit integers as text",
      { fromId: "9007199254740993", toId: "9007199254740995" },
      { fromId: "9007199254740994", toId: "9007199254740999" },
    ],
    [
      "ends named as one likes",
      { start_time: 0, end_time: 10, table: "a" },
      { start_time: 9, end_time: 12, table: "a" },
    ],
  ])("whose ranges overlap are refused: %s", (_, a, b) => {
    expect(refused(a, b)).toMatch(/^partitions \d and \d overlap: /);
  });

  it("that are equal are refused, whatever the order of their keys", () => {
    expect(refused({ a: 1, b: 2 }, { b: 2, a: 1 })).toBe('partitions 0 and 1 are equal: {"b":2,"a":1}');
    expect(refused("x", "y", "x")).toBe('partitions 0 and 2 are equal: "x"');
  });

  it.each([
    ["ranges that touch", { from: 0, to: 10 }, { from: 10, to: 20 }],
    ["empty ranges", { from: 5, to: 5 }, { from: 0, to: 10 }],
    ["the same range of two tables", { table: "a", from: 0, to: 10 }, { table: "b", from: 0, to: 10 }],
    [
      "tiles",
      { minLat: 0, maxLat: 9, minLon: 0, maxLon: 9 },
      { minLat: 0, maxLat: 9, minLon: 9, maxLon: 18 },
    ],
    ["people, from and to whom", { from: "ann", to: "bob" }, { from: "ann", to: "cid" }],
    ["pairs", [0, 10], [5, 15]],
    ["nothing but numbers", 1, 2],
    ["shards", { shard: 0, of: 2 }, { shard: 1, of: 2 }],
  ])("are let through: %s", (_, a, b) => {
    expect(refused(a, b)).toBeUndefined();
  });
});
