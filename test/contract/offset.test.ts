import { describe, expect, it } from "vitest";
import { checkOffset, sameOffset } from "../../shared/contract/offset.ts";

describe("sameOffset", () => {
  it("sameOffset compares positions whatever the order of their keys is", () => {
    expect(sameOffset({ page: 1, at: { x: 1, y: 2 } }, { at: { y: 2, x: 1 }, page: 1 })).toBe(true);
    expect(sameOffset({ page: 1 }, { page: 2 })).toBe(false);
    expect(sameOffset({ page: 1 }, { page: "1" })).toBe(false);
    expect(sameOffset({ page: null }, {})).toBe(false);
  });
});

describe("checkOffset", () => {
  it("checkOffset says what to do about a promise in an offset", () => {
    expect(() => checkOffset({ n: Promise.resolve(1) }, "latestOffset()")).toThrow(
      expect.objectContaining({
        message: "latestOffset() must give a JSON object, but gave $.n: an instance of Promise",
        hint: expect.stringContaining("Await it") as string,
      }),
    );
  });

  it("checkOffset returns an offset as it is", () => {
    const offset = { time: "2026-11-21T00:00:00Z", parts: [1, { n: null }] };
    expect(checkOffset(offset, "latestOffset()")).toBe(offset);
  });

  it.each<[unknown, string]>([
    [undefined, "$: undefined"],
    [null, "$: null"],
    [42, "$: an integer"],
    ["42", "$: a string of 2 characters"],
    [[1], "$: an array of 1"],
    [new Date(0), "$: an instance of Date"],
    [{ id: 1n }, "$.id: a bigint"],
    [{ at: { time: undefined } }, "$.at.time: undefined"],
  ])("checkOffset refuses %o and names the method and the place", (value, problem) => {
    expect(() => checkOffset(value, "latestOffset()")).toThrow(
      expect.objectContaining({
        code: "OFFSET_NOT_JSON",
        message: `latestOffset() must give a JSON object, but gave ${problem}`,
      }),
    );
  });
});
