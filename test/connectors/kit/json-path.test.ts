import { describe, expect, it } from "vitest";
import {
  firstNames,
  type JsonPath,
  jsonPath,
  pathSteps,
  valueAt,
  wrapAt,
} from "../../../shared/connectors/kit/json-path.ts";
import { failure } from "../../support/api-server.ts";

describe("a path into JSON", () => {
  const value = {
    data: { items: [{ id: 7 }], none: null, "odata.next": "n" },
    "a.b": 1,
    "": { "": 2 },
    'say "hi"': 3,
    "x[0]": 4,
    both: { same: 5, other: 6 },
    "both.same": 5,
    "both.other": null,
    toString: undefined,
  };

  it.each<[JsonPath, unknown]>([
    ["data.items.0.id", 7],
    ["data.none", null],
    ["data.none.more", undefined],
    ["data.items.1", undefined],
    ["data.items.0.id.more", undefined],
    ["data.hasOwnProperty", undefined],
    ["a.b", 1],
    ["a.c", undefined],
    ["data.odata.next", "n"],
    ['["a.b"]', 1],
    ['data["odata.next"]', "n"],
    ['data.["odata.next"]', "n"],
    ['["say \\"hi\\""]', 3],
    ['[""][""]', 2],
    ["x[0]", 4],
    ["both.same", 5],
    [["a.b"], 1],
    [["a", "b"], undefined],
    [["data", "items", "0", "id"], 7],
    [["data.items"], undefined],
    [["both", "other"], 6],
    [["both.other"], null],
    [["", ""], 2],
  ])("A path into JSON leads along %j to %o", (path, found) => {
    expect(valueAt(value, path)).toEqual(found);
  });

  it("A path whose dots both separate names and belong to a name is an error with both exact paths", async () => {
    const error = await failure(() => valueAt(value, "both.other"));
    expect(error).toMatchObject({
      code: "PATH_AMBIGUOUS",
      message: 'the path "both.other" leads to two values: at ["both","other"] and at ["both.other"]',
      hint: expect.stringContaining("as an array"),
    });
  });

  it.each(["", ".", "a.", ".a", "a..b", '["a"', '["a"]b', 'a.["b]', "$.a", '$["a"]'])(
    "The text %j is not a path in options",
    (text) => {
      expect(jsonPath.safeParse(text).success).toBe(false);
    },
  );

  it.each<[JsonPath, readonly string[]]>([
    ["a.b.0", ["a", "b", "0"]],
    ["_id.$oid", ["_id", "$oid"]],
    ["@odata.nextLink", ["@odata", "nextLink"]],
    ['["$"].a', ["$", "a"]],
    ['a["b.c"].d', ["a", "b.c", "d"]],
    [
      ["a.b", ""],
      ["a.b", ""],
    ],
  ])("The path %j in options has the names and indexes %j", (path, steps) => {
    expect(pathSteps(jsonPath.parse(path))).toEqual(steps);
  });

  it("An empty array is not a path in options", () => {
    expect(jsonPath.safeParse([]).success).toBe(false);
  });

  it("A path into JSON can be extended to lead to a value", () => {
    const wrapped = wrapAt([1, 2], "data.items");
    expect(wrapped).toEqual({ data: { items: [1, 2] } });
    expect(valueAt(wrapped, "data.items")).toEqual([1, 2]);
    expect(wrapAt(1, ["data.items"])).toEqual({ "data.items": 1 });
  });

  it("A path into JSON begins with one of several names", () => {
    const paths: JsonPath[] = ["data.items.0", "id", '["a.b"].c', ["a.b", "c"]];
    expect(paths.map(firstNames)).toEqual([["data", "data.items", "data.items.0"], ["id"], ["a.b"], ["a.b"]]);
  });
});
