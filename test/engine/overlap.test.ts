import { describe, expect, it } from "vitest";
import { TimeRange } from "../../shared/contract/time-range.ts";
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
    ["numbers in another order", { from: 5, to: 15 }, { from: 0, to: 10 }],
    ["one within another", { from: 0, to: 100 }, { from: 10, to: 20 }],
    ["of one table", { from: 0, to: 10, table: "a" }, { table: "a", from: 9, to: 12 }],
    [
      "times of any precision",
      { from: "2026-01-01T00:00:00Z", to: "2026-01-01T01:00:00.000001Z" },
      { from: "2026-01-01T01:00:00Z", to: "2026-01-01T02:00:00Z" },
    ],
    [
      "times in other zones",
      { from: "2026-01-01T00:00+02:00", to: "2026-01-01T01:00Z" },
      { from: "2026-01-01T00:59Z", to: "2026-01-01T02:00Z" },
    ],
    [
      "ranges as TimeRange gives them",
      new TimeRange("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z").toJSON(),
      new TimeRange("2026-01-02T00:00:00Z", "2026-01-04T00:00:00Z").toJSON(),
    ],
  ])("Partitions whose ranges { from, to } overlap are refused: %s", (_, ...partitions) => {
    expect(refused(...partitions)).toMatch(/^partitions \d and \d overlap: /);
  });

  it("Partitions that are equal are refused, whatever the order of their keys is", () => {
    expect(refused({ a: 1, b: 2 }, { b: 2, a: 1 })).toBe('partitions 0 and 1 are equal: {"b":2,"a":1}');
    expect(refused("x", "y", "x")).toBe('partitions 0 and 2 are equal: "x"');
  });

  it.each([
    ["ranges that touch", { from: 0, to: 10 }, { from: 10, to: 20 }],
    ["empty ranges", { from: 5, to: 5 }, { from: 0, to: 10 }],
    ["descending ranges", { from: 10, to: 4 }, { from: 5, to: 0 }],
    ["the same range of two tables", { table: "a", from: 0, to: 10 }, { table: "b", from: 0, to: 10 }],
    ["a range of each customer", { id: 1, from: 0, to: 6 }, { id: 2, from: 5, to: 10 }],
    ["people, from and to whom", { from: "ann", to: "bob" }, { from: "ann", to: "cid" }],
    ["a time and a number", { from: 0, to: 6 }, { from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z" }],
    [
      "days, whose end may be meant to be in them",
      { from: "2026-01-01", to: "2026-01-03" },
      { from: "2026-01-02", to: "2026-01-04" },
    ],
    [
      "times without a zone",
      { from: "2026-01-01T00:00:00", to: "2026-01-01T02:00:00" },
      { from: "2026-01-01T01:00:00", to: "2026-01-01T03:00:00" },
    ],
    ["other names", { start: 0, end: 10 }, { start: 5, end: 15 }],
    ["lengths", { offset: 0, limit: 6 }, { offset: 5, limit: 5 }],
    ["a running index", { index: 0, from: 0, to: 6 }, { index: 1, from: 5, to: 10 }],
    ["digits", { from: "0", to: "6" }, { from: "5", to: "10" }],
    ["a range within", { range: { from: 0, to: 6 } }, { range: { from: 5, to: 10 } }],
    ["pairs", [0, 10], [5, 15]],
    ["nothing but numbers", 1, 2],
    ["paths", "2026/01", "2026/02"],
  ])("Partitions whose form only the testing kit guesses are accepted: %s", (_, ...partitions) => {
    expect(refused(...partitions)).toBeUndefined();
  });
});
