import { describe, expect, it } from "vitest";
import { parseDuration } from "../../shared/contract/duration.ts";

describe("parseDuration", () => {
  it.each<[string, number]>([
    ["500ms", 500],
    ["1 millisecond", 1],
    ["10 seconds", 10_000],
    ["10s", 10_000],
    ["1.5 hours", 5_400_000],
    ["5 MIN", 300_000],
    ["  2 h ", 7_200_000],
    ["7d", 604_800_000],
    ["1 Day", 86_400_000],
    ["0s", 0],
    ["0.0004 s", 0],
  ])("parseDuration reads %o as %d milliseconds", (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each(["", "10", "s", "-1s", "1e3s", "1.s", ".5s", "10 fortnights", "10s 5m", "∞ s", "1 constructor"])(
    "parseDuration refuses the text %o",
    (text) => {
      expect(() => parseDuration(text)).toThrow(
        expect.objectContaining({ code: "DURATION_INVALID", message: `"${text}" is not a duration` }),
      );
    },
  );
});
