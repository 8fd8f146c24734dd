import { describe, expect, it } from "vitest";
import { guessOverlap } from "../../../shared/testing/guesses/overlap.ts";

const refused = (...partitions: unknown[]) => guessOverlap(partitions)?.message;

describe("ranges that the kit guesses", () => {
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
    ["a running index", { index: 0, from: 0, to: 6 }, { index: 1, from: 5, to: 10 }],
    ["a running name", { id: "p0", from: 0, to: 6 }, { id: "p1", from: 5, to: 10 }],
    [
      "a running number, from 1 on, of a table",
      { seq: 1, table: "a", from: 0, to: 6 },
      { seq: 2, table: "a", from: 5, to: 10 },
    ],
    ["ends that are offsets", { start: { n: 0 }, end: { n: 6 } }, { start: { n: 5 }, end: { n: 10 } }],
    ["a range within", { range: { from: 0, to: 6 } }, { range: { from: 5, to: 10 } }],
    [
      "a range within, beside an index and a table",
      { i: 0, table: "a", range: { from: 0, to: 6 } },
      { i: 1, table: "a", range: { from: 5, to: 10 } },
    ],
    ["gte and lt", { gte: 0, lt: 6 }, { gte: 5, lt: 10 }],
    ["$gte and $lt of a field", { at: { $gte: 0, $lt: 6 } }, { at: { $gte: 5, $lt: 10 } }],
    ["after and upTo", { after: 0, upTo: 6 }, { after: 5, upTo: 10 }],
    ["offset and limit", { offset: 0, limit: 6 }, { offset: 5, limit: 5 }],
    ["start and length", { path: "a", start: 0, length: 6 }, { path: "a", start: 5, length: 5 }],
    ["start and count", { start: 0, count: 6 }, { start: 5, count: 5 }],
    ["start and size, all of one size", { start: 0, size: 6 }, { start: 10, size: 6 }, { start: 5, size: 6 }],
    ["a number and a number as text", { from: 0, to: "6" }, { from: "5", to: 10 }],
    [
      "ISO intervals",
      "2026-01-01T00:00:00.000Z/2026-01-03T00:00:00.000Z",
      "2026-01-02T00:00:00.000Z/2026-01-04T00:00:00.000Z",
    ],
    [
      "an ISO interval within",
      { id: "slice-1", interval: "2026-01-01/2026-01-03" },
      { id: "slice-2", interval: "2026-01-02/2026-01-04" },
    ],
    ["pairs of times", ["2026-01-01", "2026-01-03"], ["2026-01-02", "2026-01-04"]],
  ])("The kit refuses partitions whose ranges seem to overlap: %s", (_, ...partitions) => {
    expect(refused(...partitions)).toMatch(/^partitions \d and \d overlap: /);
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
    ["the same range of shards", { shard: 0, from: 0, to: 10 }, { shard: 1, from: 0, to: 10 }],
    ["nearly the same range of shards", { shard: 0, from: 0, to: 10 }, { shard: 1, from: 9, to: 12 }],
    ["the same range of workers", { index: 0, from: 0, to: 10 }, { index: 1, from: 0, to: 10 }],
    [
      "offsets of a log's partitions",
      { partition: 0, from: 90, to: 100 },
      { partition: 1, from: 99, to: 120 },
    ],
    ["a range of each customer", { id: 1, from: 0, to: 6 }, { id: 2, from: 5, to: 10 }],
    ["a range of each key", { id: "x7", from: 0, to: 6 }, { id: "x9", from: 5, to: 10 }],
    ["ranges of an index that is none", { index: 4, from: 0, to: 6 }, { index: 9, from: 5, to: 10 }],
    ["labelled ranges that touch", { index: 0, from: 0, to: 5 }, { index: 1, from: 5, to: 10 }],
    ["descending ranges", { from: 10, to: 4 }, { from: 5, to: 0 }],
    ["pairs of times that go back", ["2026-01-05", "2026-01-03"], ["2026-01-04", "2026-01-02"]],
    ["limits that are ends", { offset: 0, limit: 5 }, { offset: 5, limit: 10 }, { offset: 10, limit: 15 }],
    ["the size of the whole", { path: "a", start: 0, size: 90 }, { path: "a", start: 50, size: 90 }],
    ["the count of the whole", { start: 0, count: 2 }, { start: 1, count: 2 }],
    ["bytes of two files", { path: "a", offset: 0, length: 9 }, { path: "b", offset: 0, length: 9 }],
    [
      "digits in the order of text",
      { after: { code: "1" }, upTo: { code: "10" } },
      { after: { code: "10" }, upTo: { code: "2" } },
      { after: { code: "2" }, upTo: { code: "30" } },
    ],
    [
      "ends of several fields",
      { start: { at: 0, id: 5 }, end: { at: 6, id: 2 } },
      { start: { at: 6, id: 2 }, end: { at: 9, id: 1 } },
    ],
    [
      "tiles within",
      { lat: { from: 0, to: 9 }, lon: { from: 0, to: 9 } },
      { lat: { from: 0, to: 9 }, lon: { from: 9, to: 18 } },
    ],
    ["a time and a number", { from: 0, to: 6 }, { from: "2026-01-01", to: "2026-01-02" }],
    ["paths", "2026/01", "2026/02"],
  ])("The kit accepts partitions that are no overlapping ranges: %s", (_, ...partitions) => {
    expect(refused(...partitions)).toBeUndefined();
  });

  it("The error of partitions that only look like ranges suggests other names for their fields", () => {
    const routes = [
      { from: 1, to: 5, day: 0 },
      { from: 2, to: 7, day: 0 },
    ];
    expect(guessOverlap(routes)).toMatchObject({
      code: "PARTITIONS_OVERLAP",
      hint: expect.stringContaining("If these are no ranges, call the fields otherwise.") as string,
    });
  });
});
