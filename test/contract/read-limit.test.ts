import { describe, expect, it } from "vitest";
import {
  checkReadLimit,
  ReadAllAvailable,
  type ReadLimit,
  ReadMaxBytes,
  ReadMaxFiles,
  ReadMaxRows,
  ReadMinRows,
} from "../../shared/contract/read-limit.ts";

const LIMITS: readonly (readonly [string, ReadLimit])[] = [
  ["ReadAllAvailable()", new ReadAllAvailable()],
  ["ReadMinRows(min_rows=5)", new ReadMinRows(5)],
  ["ReadMinRows(min_rows=5, max_trigger_delay_ms=60000)", new ReadMinRows(5, 60_000)],
  ["ReadMaxRows(max_rows=8)", new ReadMaxRows(8)],
  ["ReadMaxFiles(max_files=3)", new ReadMaxFiles(3)],
  ["ReadMaxBytes(max_bytes=1024)", new ReadMaxBytes(1024)],
];

describe("a read limit", () => {
  it.each(LIMITS)("A read limit is printed as Spark prints it: %s", (text, limit) => {
    expect(String(limit)).toBe(text);
  });

  it.each(LIMITS)(
    "A read limit is known by its kind, whichever copy of the package made it: %s",
    (_, limit) => {
      expect(checkReadLimit(structuredClone(limit), "getDefaultReadLimit()")).toEqual({ ...limit });
    },
  );

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])("A read limit of %s is refused", (count) => {
    const refused = expect.objectContaining({ code: "READ_LIMIT_INVALID" });
    expect(() => new ReadMinRows(count)).toThrow(refused);
    expect(() => new ReadMinRows(1, count)).toThrow(refused);
    expect(() => new ReadMaxRows(count)).toThrow(refused);
    expect(() => new ReadMaxFiles(count)).toThrow(refused);
    expect(() => new ReadMaxBytes(count)).toThrow(refused);
  });

  it.each([
    ["undefined", undefined],
    ["an integer", 8],
    ["an object of another kind", { kind: "ReadSome" }],
  ])("A read limit cannot be %s", (found, value) => {
    expect(() => checkReadLimit(value, "getDefaultReadLimit()")).toThrow(
      expect.objectContaining({
        code: "READ_LIMIT_INVALID",
        message: `getDefaultReadLimit() must give a read limit, but gave ${found}`,
      }),
    );
  });
});
