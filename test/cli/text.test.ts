import { describe, expect, it } from "vitest";
import { formatError } from "../../cli/render/error.ts";
import { plainText, printable } from "../../cli/render/terminal.ts";
import { formatBytes, formatDuration, formatOffset, formatTable, plural } from "../../cli/render/text.ts";
import { MillraceError } from "../../shared/contract/errors.ts";

describe("text for a terminal", () => {
  it("Text for a terminal shows control characters of a feed instead of obeying them", () => {
    expect(printable("\u001b[31mred\nnext\ttab\u0007 é 🦊")).toBe("\\u001b[31mred\\nnext\\ttab\\u0007 é 🦊");
    expect(formatOffset({ cursor: "\u001b]0;title\u0007" })).toBe("\\u001b]0;title\\u0007");
  });

  it("A table aligns its columns, with numbers on the right", () => {
    expect(
      formatTable(
        ["name", "rows"],
        [
          ["a", "1,707"],
          ["long name", "3"],
        ],
      ),
    ).toBe(["name        rows", "---------  -----", "a          1,707", "long name      3"].join("\n"));
  });

  it.each<[string, string]>([
    [formatDuration(312.4), "312 ms"],
    [formatDuration(1300), "1.3 s"],
    [formatDuration(125_000), "2 m 05 s"],
    [formatBytes(1023), "1023 B"],
    [formatBytes(1536), "1.5 KiB"],
    [plural(1, "row"), "1 row"],
    [plural(1707, "row"), "1,707 rows"],
    [formatOffset(undefined), "-"],
    [formatOffset({ time: "2018-01-31" }), "2018-01-31"],
    [formatOffset({ page: 2, row: 5 }), '{"page":2,"row":5}'],
  ])("A number or a time is printed as a person would write it: %s", (text, expected) => {
    expect(text).toBe(expected);
  });
});

describe("an error for a terminal", () => {
  it("An error for a terminal prints all lines of its message before the place and the hint", () => {
    const error = new MillraceError("OPTIONS_INVALID", "Shelf cannot use its options:\n- a: one\n- b: two", {
      where: { pipeline: "orders" },
      hint: "Correct them.",
    });
    expect(plainText(formatError(error)).split("\n")).toEqual([
      "error OPTIONS_INVALID: Shelf cannot use its options:",
      "  - a: one",
      "  - b: two",
      "  where: pipeline orders",
      "  do:    Correct them.",
    ]);
  });
});
