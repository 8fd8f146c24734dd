import { describe, expect, it } from "vitest";
import { firstStep, valueAt, wrapAt } from "../../../shared/connectors/kit/json-path.ts";

describe("a path into JSON", () => {
  const value = { data: { items: [{ id: 7 }], none: null }, "a.b": 1 };

  it.each([
    ["data.items.0.id", 7],
    ["data.none", null],
    ["data.none.more", undefined],
    ["data.items.1", undefined],
    ["data.items.0.id.more", undefined],
    ["data.toString", undefined],
    ["a.b", undefined],
    ["", undefined],
  ])("A path into JSON leads along %s to %o", (path, found) => {
    expect(valueAt(value, path)).toEqual(found);
  });

  it("A path into JSON can be extended to lead to a value", () => {
    const wrapped = wrapAt([1, 2], "data.items");
    expect(wrapped).toEqual({ data: { items: [1, 2] } });
    expect(valueAt(wrapped, "data.items")).toEqual([1, 2]);
  });

  it("A path into JSON begins with a step", () => {
    expect(["data.items.0", "id", ""].map(firstStep)).toEqual(["data", "id", ""]);
  });
});
