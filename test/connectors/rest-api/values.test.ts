import { describe, expect, it } from "vitest";
import type { RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import { failed, read } from "./one-answer.ts";

const column = async (type: string, record: string, path?: RestApiOptions["columns"]): Promise<unknown> => {
  const { rows } = await read(
    { text: `[${record}]` },
    { schema: `v ${type}`, ...(path === undefined ? {} : { columns: path }) },
  );
  return (await rows)[0]?.["v"];
};

describe("values", () => {
  it.each([
    ["bigint", "9007199254740993", "9007199254740993"],
    ["bigint", "-9223372036854775808", "-9223372036854775808"],
    ["bigint", "9007199254740991", 9007199254740991],
    ["decimal(38,0)", "99999999999999999999999999999999999999", "99999999999999999999999999999999999999"],
    ["double", "0.12345678901234566", 0.12345678901234566],
    ["double", "12345678901234567.5", 12345678901234568],
    ["double", "100000000000000000000", 1e20],
    ["double", "1e20", 1e20],
    ["string", '"9007199254740993"', "9007199254740993"],
    ["array<bigint>", "[1,18014398509481985]", [1, "18014398509481985"]],
  ])("A column of type %s takes %s from JSON without loss", async (type, text, expected) => {
    expect(await column(type, `{"v":${text}}`)).toEqual(expected);
  });

  it.each<[string, RestApiOptions["columns"], unknown]>([
    ["{}", undefined, null],
    ['{"v":null}', undefined, null],
    ['{"a":{"b":["x"]}}', { v: "a.b.0" }, "x"],
    ['{"a":{"b":["x"]}}', { v: "a.b.1" }, null],
    ['{"a":{"b":["x"]}}', { v: "a.c.d.e" }, null],
    ['{"a":"text"}', { v: "a.length" }, null],
    ['{"a":null}', { v: { path: "a.b" } }, null],
    ["{}", { v: "constructor.name" }, null],
  ])(
    "The values of %s at %o lie at the given path, and are null if the path leads nowhere",
    async (record, columns, expected) => {
      expect(await column("string", record, columns)).toBe(expected);
    },
  );

  it("A missing value is null even if every JavaScript object has a property of its name", async () => {
    const { rows } = await read({ text: '[{"id":1}]' }, { schema: "id bigint, constructor string" });
    expect(await rows).toEqual([{ id: 1, constructor: null }]);
  });

  it("A column under another name than the schema's is an error, not null, in a page's first record", async () => {
    const json = [{ id: 1, userName: "a" }];
    const error = await failed({ json }, { schema: "id bigint, user_name string" });
    expect(error).toMatchObject({
      code: "COLUMN_MISNAMED",
      message: 'column "user_name" is not there, but "userName" is',
      where: { url: error.api.url },
      hint: 'Call it "userName" in the schema, or set columns: { "user_name": "userName" }.',
    });
  });

  it.each<[string, RestApiOptions["columns"], object]>([
    ["columns", { user_name: "userName" }, { id: 1, user_name: "a" }],
    ["columns, where it is another one", { id: "userName" }, { id: "a", user_name: null }],
    ["columns, as nothing", { user_name: "user_name" }, { id: 1, user_name: null }],
  ])("A column may have another name than the schema if it is set by %s", async (_, columns, expected) => {
    const schema =
      columns?.["id"] === undefined ? "id bigint, user_name string" : "id string, user_name string";
    const { rows } = await read({ json: [{ id: 1, userName: "a" }] }, { schema, columns: columns ?? {} });
    expect(await rows).toEqual([expected]);
  });

  it("A column whose name has dots is found under that name, unless columns has a path for it", async () => {
    const { rows } = await read({ text: '[{"a.b":1,"a":{"b":2}}]' }, { schema: "`a.b` bigint" });
    expect(await rows).toEqual([{ "a.b": 1 }]);
  });

  it.each<["seconds" | "milliseconds" | "microseconds", string, string | null]>([
    ["seconds", "1767225600", "2026-01-01T00:00:00.000Z"],
    ["seconds", "1767225600.000001", "2026-01-01T00:00:00.000001Z"],
    ["seconds", "-0.5", "1969-12-31T23:59:59.500Z"],
    ["milliseconds", "1767225600123", "2026-01-01T00:00:00.123Z"],
    ["milliseconds", "1767225600123.25", "2026-01-01T00:00:00.123250Z"],
    ["microseconds", "1767225600123456", "2026-01-01T00:00:00.123456Z"],
    ["milliseconds", "null", null],
    ["milliseconds", '"2026-01-01T00:00:00Z"', "2026-01-01T00:00:00.000Z"],
  ])("A number that counts %s since 1970 becomes a time: %s", async (epoch, text, expected) => {
    expect(await column("timestamp", `{"at":${text}}`, { v: { path: "at", epoch } })).toBe(expected);
  });

  it.each<[unknown, string | undefined, string]>([
    [{ items: [] }, undefined, "the answer is an object, not an array of records"],
    [{ items: [] }, "data.items", '"data.items" in the answer is undefined, not an array of records'],
    [
      { data: { items: "x" } },
      "data.items",
      '"data.items" in the answer is a string of 1 character, not an array of records',
    ],
  ])(
    "A record list that is not at the path of the option rows is an error: %o, %s",
    async (body, rows, problem) => {
      const error = await failed({ json: body }, rows === undefined ? {} : { rows });
      expect(error).toMatchObject({
        code: "ROWS_NOT_FOUND",
        message: expect.stringContaining(`GET ${error.api.url}: ${problem}`),
        retryable: false,
      });
    },
  );
});
