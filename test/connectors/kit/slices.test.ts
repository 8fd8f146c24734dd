import { describe, expect, it } from "vitest";
import { groupsOf, slicesOf } from "../../../shared/connectors/kit/slices.ts";

describe("slices of numbers", () => {
  it.each([
    [{ from: 0, to: 10 }, 3, ["0-4", "4-8", "8-10"]],
    [{ from: 5, to: 7 }, 8, ["5-6", "6-7"]],
    [{ from: 5, to: 5 }, 8, []],
  ])("Slices cover the numbers of %o in at most %d pieces, none of them empty", (numbers, count, slices) => {
    expect(slicesOf(numbers, count).map(({ from, to }) => `${from}-${to}`)).toEqual(slices);
  });
});

describe("groups of files", () => {
  const groups = (sizes: readonly number[], limits: { maxBytes: number; maxFiles?: number }) =>
    groupsOf(
      sizes.map((bytes) => ({ bytes })),
      limits,
    ).map((group) => group.map(({ bytes }) => bytes));

  it.each([
    [[], []],
    [
      [4, 6, 1],
      [[4, 6], [1]],
    ],
    [
      [11, 1],
      [[11], [1]],
    ],
    [
      [1, 11, 1],
      [[1], [11], [1]],
    ],
    [
      [0, 0, 0, 0],
      [[0, 0, 0], [0]],
    ],
  ])("Files of the sizes %o in groups of at most 10 bytes and 3 files become %o", (sizes, expected) => {
    expect(groups(sizes, { maxBytes: 10, maxFiles: 3 })).toEqual(expected);
  });

  it("A group of files without a limit on their number may have any number of them", () => {
    expect(groups(new Array(50).fill(0), { maxBytes: 10 })).toHaveLength(1);
  });
});
