import { describe, expect, it } from "vitest";
import { batchDigits, padded, partitionDigits } from "../../shared/contract/keys.ts";

describe("numbers in keys", () => {
  it("Numbers in keys are in the order of their text", () => {
    const numbers = [0, 9, 10, 99, 100, 123_456];
    const keys = numbers.map((number) => padded(number, 6));
    expect(keys[1]).toBe("000009");
    expect(keys.toSorted()).toEqual(keys);
  });

  it("Numbers in keys have 12 digits for a batch and 6 for a partition, as in existing stores", () => {
    expect([batchDigits(7), partitionDigits(7)]).toEqual(["000000000007", "000007"]);
  });

  it("Numbers in keys that are too large keep all of their digits", () => {
    expect(padded(1234, 3)).toBe("1234");
  });
});
