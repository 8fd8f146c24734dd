import { describe, expect, it } from "vitest";
import type { RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import { runtimeAt } from "../../support/api-server.ts";
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
    ["decimal(20,10)", "987654321.123456789", "987654321.1234567890"],
    ["array<decimal(20,10)>", "[1234567.1234567891]", ["1234567.1234567891"]],
    ["struct<a: decimal(20,10)>", '{"a":1234567.1234567891}', { a: "1234567.1234567891" }],
    ["map<string,decimal(20,10)>", '{"a":1234567.1234567891}', { a: "1234567.1234567891" }],
    ["bigint", "1.0", 1],
    ["binary", '"AQID"', "AQID"],
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

  it.each<[string, RestApiOptions["columns"], unknown]>([
    ['{"user.id":"u"}', { v: "user.id" }, "u"],
    ['{"user":{"id":"u"}}', { v: "user.id" }, "u"],
    ['{"a":{"user.id":"u"}}', { v: "a.user.id" }, "u"],
    ['{"user.id":"u","user":{"id":"w"}}', { v: ["user.id"] }, "u"],
    ['{"user.id":"u","user":{"id":"w"}}', { v: ["user", "id"] }, "w"],
    ['{"user.id":{"name":"u"}}', { v: '["user.id"].name' }, "u"],
    ['{"user.id":{"name":"u"}}', { v: { path: ["user.id", "name"] } }, "u"],
    ['{"":"u"}', { v: [""] }, "u"],
    ['{"user.id":null}', { v: "user.id" }, null],
  ])(
    "The value of %s at %j is found though its names have dots or are empty",
    async (record, columns, expected) => {
      expect(await column("string", record, columns)).toBe(expected);
    },
  );

  it("A path that leads to two values is an error that names the column, the page and both paths", async () => {
    const error = await failed(
      { json: [{ "user.id": "u", user: { id: "w" } }] },
      { schema: "uid string", columns: { uid: "user.id" } },
    );
    expect(error).toMatchObject({
      code: "PATH_AMBIGUOUS",
      message: 'the path "user.id" leads to two values: at ["user","id"] and at ["user.id"]',
      where: { url: error.api.url, field: "uid" },
    });
  });

  it.each<[string, object, readonly string[]]>([
    ["userName", { user_name: "a" }, ["user_name"]],
    ["user.Name", { user: { name: "a" } }, ["user", "name"]],
    ["user.name", { user_name: "a" }, ["user_name"]],
    ["user.name", { userName: "a" }, ["userName"]],
  ])(
    "A path %j that leads nowhere on a page of %j is an error that names the similar path",
    async (path, record, similar) => {
      const json = [{ id: 1 }, { id: 2, ...record }];
      const options = { schema: "id bigint, v string", columns: { v: path } };
      const error = await failed({ json }, options, runtimeAt(0), json.length);
      expect(error).toMatchObject({
        code: "COLUMN_MISNAMED",
        message: `column "v": the path "${path}" leads to no value on this page, but ${JSON.stringify(similar)} does`,
        where: { url: error.api.url, field: "v" },
        hint: expect.stringContaining(`columns: { "v": ${JSON.stringify(similar)} }`),
      });
    },
  );

  it.each<[string, RestApiOptions["columns"], object[]]>([
    [
      "it leads to a value elsewhere on the page",
      { v: "userName" },
      [{ user_name: "a" }, { userName: null }],
    ],
    ["it is exact", { v: ["userName"] }, [{ user_name: "a" }]],
    ["it is the column's own name", { v: "v" }, [{ V: "a" }]],
    ["the similar name is another column's", { v: "userName", w: "user_name" }, [{ user_name: "a" }]],
    ["no name is similar", { v: "userName" }, [{ user: "a" }]],
    ["the page is empty", { v: "userName" }, []],
  ])("A path that leads nowhere is null if %s", async (_why, columns, json) => {
    const schema = "v string, w string";
    const { rows } = await read({ json }, { schema, columns: columns ?? {} }, runtimeAt(0), json.length);
    expect((await rows).map((row) => row["v"])).toEqual(json.map(() => null));
  });

  it.each([
    ["double", "1e400", "expected double, found a number beyond the range of a double"],
    ["float", "1e39", "expected float, found a number outside it"],
    ["binary", '"AQI"', "found a string of 3 characters"],
    ["string", "[1]", "expected string, found an array of 1"],
  ])("A column of type %s refuses %s", async (type, text, problem) => {
    await expect(column(type, `{"v":${text}}`)).rejects.toMatchObject({
      code: "ROW_MISMATCH",
      message: expect.stringContaining(problem),
    });
  });

  it.each([
    ["1.10", "1.10"],
    ["9007199254740993", "9007199254740993"],
    ["1e2", "1e2"],
    ["0.0000001", "0.0000001"],
    ["-0", "-0"],
    ["7", "7"],
    ["12345678901234567.50", "12345678901234567.50"],
    ['"A7"', "A7"],
    ["null", null],
  ])('With as: "text" the number %s becomes the text %j', async (text, expected) => {
    expect(await column("string", `{"n":{"id":${text}}}`, { v: { path: "n.id", as: "text" } })).toBe(
      expected,
    );
  });

  it("A number for a string is an error that names the option that reads it", async () => {
    const error = await failed({ text: '[{"id":1.10}]' }, { schema: "id string" });
    expect(error).toMatchObject({
      code: "ROW_MISMATCH",
      message: 'row 1, field "id": expected string, found a number of 4 characters',
      where: { row: 1, field: "id", url: error.api.url },
      hint: 'To read numbers as text, digit for digit, set columns: { "id": { path: "id", `as: "text"` } }; or change its type in the schema.',
      found: "1.10",
    });
  });

  it("A name that an object of the answer has twice is an error that names it", async () => {
    const error = await failed({ text: '[{"id":1,"id":2}]' });
    expect(error).toMatchObject({
      code: "HTTP_NOT_JSON",
      message: `GET ${error.api.url} answered 200 with a body that is not JSON: an object has the name "id" twice, at character 10`,
      hint: "The meaning is in doubt. Ask who runs the API to correct it.",
    });
  });

  it.each<["seconds" | "milliseconds" | "microseconds" | "nanoseconds", string, string | null]>([
    ["seconds", "1700000000.123", "2023-11-14T22:13:20.123Z"],
    ["seconds", '"1700000000.123"', "2023-11-14T22:13:20.123Z"],
    ["seconds", "1700000000.123456", "2023-11-14T22:13:20.123456Z"],
    ["seconds", "1700000000.1234560000", "2023-11-14T22:13:20.123456Z"],
    ["seconds", "253402300799.999999", "9999-12-31T23:59:59.999999Z"],
    ["seconds", "1.7e9", "2023-11-14T22:13:20.000Z"],
    ["milliseconds", '"1700000000123"', "2023-11-14T22:13:20.123Z"],
    ["nanoseconds", "1700000000123456000", "2023-11-14T22:13:20.123456Z"],
    ["nanoseconds", '"1700000000123456000"', "2023-11-14T22:13:20.123456Z"],
    ["nanoseconds", "0", "1970-01-01T00:00:00.000Z"],
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

  it.each([
    ["nanoseconds", "1700000000123456789", "2023-11-14T22:13:20.123456Z"],
    ["nanoseconds", "-1", "1969-12-31T23:59:59.999999Z"],
    ["seconds", "1700000000.1234567", "2023-11-14T22:13:20.123456Z"],
    ["seconds", '"2023-11-14T22:13:20.123456789Z"', "2023-11-14T22:13:20.123456Z"],
  ] as const)(
    "Digits below the microsecond are an error that names subMicroseconds, which drops them: %s %s",
    async (epoch, text, expected) => {
      const record = `{"v":${text}}`;
      expect(await column("timestamp", record, { v: { path: "v", epoch, subMicroseconds: "drop" } })).toBe(
        expected,
      );
      await expect(column("timestamp", record, { v: { path: "v", epoch } })).rejects.toMatchObject({
        code: "ROW_MISMATCH",
        message:
          'row 1, field "v": expected timestamp (microseconds), found a time with digits below the microsecond',
        hint: expect.stringContaining('`subMicroseconds: "drop"`'),
      });
    },
  );

  it.each(["1700000000", "1700000000.5", "1700000000123456789", '"1700000000"'])(
    "A number without a unit is no time, and the error names epoch: %s",
    async (text) => {
      for (const type of ["timestamp", "timestamp_ntz"]) {
        await expect(column(type, `{"v":${text}}`)).rejects.toMatchObject({
          code: "ROW_MISMATCH",
          message: expect.stringMatching(/^row 1, field "v": expected timestamp, found .* without a unit$/),
          hint: expect.stringContaining('`epoch: "seconds"`'),
        });
      }
    },
  );

  it.each([
    ["seconds", "1700000000123", "milliseconds"],
    ["milliseconds", "1700000000123456", "microseconds"],
    ["microseconds", "1700000000123456789", "nanoseconds"],
    ["seconds", "-1e12", "milliseconds"],
    ["seconds", "1e999999999", "milliseconds"],
  ] as const)("A time of %s outside the years 0001 to 9999 is an error: %s", async (epoch, text, finer) => {
    await expect(column("timestamp", `{"v":${text}}`, { v: { path: "v", epoch } })).rejects.toMatchObject({
      code: "ROW_MISMATCH",
      message: expect.stringContaining("found a time outside the years 0001 to 9999"),
      hint: expect.stringContaining(`\`epoch: "${finer}"\``),
    });
  });

  it.each([
    ["bigint", { epoch: "seconds" }, "epoch"],
    ["string", { subMicroseconds: "drop" }, "subMicroseconds"],
    ["bigint", { as: "text" }, "as"],
  ] as const)(
    "A column of type %s with %o is refused, because %s is for another type",
    async (type, option, name) => {
      await expect(column(type, '{"v":1}', { v: { path: "v", ...option } })).rejects.toMatchObject({
        code: "OPTIONS_INVALID",
        message: expect.stringContaining(`has the option ${name}, but is not`),
      });
    },
  );

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
