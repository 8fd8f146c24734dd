import { describe, expect, it } from "vitest";
import { suggest } from "../../shared/contract/suggest.ts";

describe("a suggestion", () => {
  const names = ["pageSize", "path", "url", "q"];

  it.each([
    ["PAGE_SIZE", " (did you mean pageSize?)"],
    ["pagesise", " (did you mean pageSize?)"],
    ["pth", " (did you mean path?)"],
    ["uri", " (did you mean url?)"],
    ["x", " (there are pageSize, path, q, url)"],
    ["colour", " (there are pageSize, path, q, url)"],
  ])("A suggestion for the unknown name %s is%s", (name, suggestion) => {
    expect(suggest(name, names)).toBe(suggestion);
  });

  it("A suggestion is empty if there are no names", () => {
    expect(suggest("x", [])).toBe("");
  });
});
