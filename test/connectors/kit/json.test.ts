import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { jsonRecord, jsonRow } from "../../../shared/connectors/kit/json.ts";
import { JsonFault, parseJson } from "../../../shared/connectors/kit/json-parser.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";

/** Returns the value of a column of this type, as a writer gets it, for the text of a JSON value. */
function column(type: string, text: string): unknown {
  const schema = parseDdl(`v ${type}`);
  const row = jsonRow(schema)(parseJson(`{"v":${text}}`) as Record<string, unknown>);
  return [...rowsOf(recordBatchOf(schema, [row]))][0]?.["v"];
}

describe("parseJson", () => {
  it.each([
    '{"a":[1,2.5,-3,true,false,null,"x\\u00e9\\n\\"",{}],"b":{"c":[]}}',
    ' [ 1 , "é 東京 😀" , "\\ud83d\\ude00" ] ',
    '"\\\\"',
    "-0",
    '{"__proto__":1,"constructor":2,"toString":{"__proto__":3}}',
    "[0.1,123456.5,0.05]",
    '"/\\/\\b\\f\\r\\t"',
  ])("It reads %s as JSON.parse does", (text) => {
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });

  it.each([
    "",
    " ",
    "{",
    "[1,]",
    '{"a":1,}',
    '{"a" 1}',
    "{a:1}",
    "01",
    "-",
    "1.",
    ".5",
    "1e",
    "+1",
    "1 2",
    "nul",
    "NaN",
    "Infinity",
    "'a'",
    '"a',
    '"\\x"',
    '"\\u12"',
    '"a\nb"',
    '"a\\',
    "[1}",
    "[1]]",
    "\u00a01",
    "1e5.5",
  ])("It refuses %j as JSON.parse does", (text) => {
    expect(() => JSON.parse(text)).toThrow();
    expect(() => parseJson(text)).toThrow(JsonFault);
  });

  it("It agrees with JSON.parse about texts made of random pieces", () => {
    const pieces = [
      ..."{}[],:1-0.eE+ ",
      '"a"',
      '"b"',
      "12",
      "null",
      "true",
      '"\\u00e9"',
      '"\\x"',
      "\\",
      '"',
      "\t",
    ];
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % below;
    };
    const readBy = (parse: (text: string) => unknown, text: string) => {
      try {
        return JSON.stringify(parse(text));
      } catch {
        return "refused";
      }
    };
    for (let i = 0; i < 20_000; i++) {
      const text = Array.from({ length: 1 + random(8) }, () => pieces[random(pieces.length)]).join("");
      const isDoubled = /"a".*"a"|"b".*"b"/.test(text) && readBy(parseJson, text) === "refused";
      if (!isDoubled)
        expect([text, readBy((own) => JSON.parse(JSON.stringify(parseJson(own))), text)]).toEqual([
          text,
          readBy(JSON.parse, text),
        ]);
    }
  });

  it.each([
    ['{"id":1,"id":2}', 'an object has the name "id" twice, at character 9'],
    ['[{"a":{"b":1,"c":2,"b":1}}]', 'an object has the name "b" twice, at character 20'],
    ['{"a":1,"\\u0061":2}', 'an object has the name "a" twice, at character 8'],
    ['{"__proto__":1,"__proto__":2}', 'an object has the name "__proto__" twice, at character 16'],
    ['{"a":null,"a":null}', 'an object has the name "a" twice, at character 11'],
  ])("A name that an object has twice is refused: %s", (text, message) => {
    expect(() => parseJson(text)).toThrow(message);
  });

  it("Nesting of 1,000 levels is read, and a deeper one is refused without a stack overflow", () => {
    expect(parseJson("[".repeat(1000) + "]".repeat(1000))).toBeDefined();
    expect(() => parseJson("[".repeat(1_000_000))).toThrow(
      "arrays and objects are nested more than 1000 levels deep",
    );
  });

  it("A byte order mark is ignored at the start, and refused elsewhere", () => {
    expect(parseJson('\ufeff{"a":1}')).toEqual({ a: 1 });
    expect(() => parseJson(' \ufeff{"a":1}')).toThrow(JsonFault);
  });

  it("Every number keeps its text when it is written as JSON again", () => {
    const texts = ["1.10", "1.0", "1e2", "1E+400", "9007199254740993.5", "0.0000001", "0.1", "-0.0", "-12.5"];
    expect(JSON.stringify(parseJson(`[${texts.join(",")}]`))).toBe(`[${texts.join(",")}]`);
  });
});

describe("values of JSON", () => {
  it.each([
    ["decimal(20,10)", "987654321.123456789", "987654321.1234567890"],
    ["decimal(38,18)", "12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"],
    ["decimal(10,2)", "1.10000000000000000000", "1.10"],
    ["decimal(10,2)", "1.5e3", "1500.00"],
    ["decimal(10,7)", "1.5e-6", "0.0000015"],
    ["decimal(10,2)", "-12.5E-1", "-1.25"],
    ["decimal(38,0)", "1e37", `1${"0".repeat(37)}`],
    ["decimal(38,0)", "1e23", `1${"0".repeat(23)}`],
    ["decimal(10,2)", "-0.0", "0.00"],
    ["bigint", "9007199254740993", "9007199254740993"],
    ["bigint", "9007199254740993.0", "9007199254740993"],
    ["bigint", "9.007199254740993e15", "9007199254740993"],
    ["bigint", "9e18", "9000000000000000000"],
    ["bigint", "1.0", 1],
    ["bigint", "1e2", 100],
    ["bigint", "-0", 0],
    ["bigint", '"9007199254740993"', "9007199254740993"],
    ["int", "10e-1", 1],
    ["tinyint", "-1.28e2", -128],
    ["double", "1e308", 1e308],
    ["double", "18446744073709551616", 2 ** 64],
    ["double", "0.1000000000000000055", 0.1],
    ["float", "3.4028234e38", 3.4028234663852886e38],
    ["array<decimal(20,10)>", "[987654321.123456789,null]", ["987654321.1234567890", null]],
    ["struct<a: decimal(20,10)>", '{"a":987654321.123456789}', { a: "987654321.1234567890" }],
    ["map<string,bigint>", '{"a":9007199254740993}', { a: "9007199254740993" }],
    [
      "map<bigint,decimal(20,10)>",
      '{"9007199254740993":1.1234567891}',
      { "9007199254740993": "1.1234567891" },
    ],
    [
      "array<struct<a: map<string,decimal(20,10)>>>",
      '[{"a":{"k":987654321.123456789}}]',
      [{ a: { k: "987654321.1234567890" } }],
    ],
    ["binary", '"AQID"', "AQID"],
    ["binary", '""', ""],
    ["binary", '"/+8="', "/+8="],
    ["string", '"\\u0000"', "\0"],
  ])("A column of type %s takes %s with all its digits", (type, text, expected) => {
    expect(column(type, text)).toEqual(expected);
  });

  it.each([
    ["double", "1e400", "a number beyond the range of a double"],
    ["double", "-1e400", "a number beyond the range of a double"],
    ["double", `1${"0".repeat(400)}`, "a bigint"],
    ["float", "1e39", "a number outside it"],
    ["float", "1e400", "a number beyond the range of a double"],
    ["array<double>", "[1,1e400]", "a number beyond the range of a double"],
    ["map<string,double>", '{"a":1e400}', "a number beyond the range of a double"],
    ["map<double,int>", '{"1e400":1}', "a string of 5 characters"],
    ["map<double,int>", '{"":1}', "a string of 0 characters"],
    ["map<double,int>", '{"1":1,"1.0":2}', "a string of 1 character"],
    ["map<int,int>", '{"1":1,"01":2}', "a string of 1 character"],
    ["struct<a: float>", '{"a":1e39}', "a number outside it"],
    ["bigint", "1.5", "a number with a fraction"],
    ["bigint", "9007199254740993.5", "a number of 18 characters"],
    ["bigint", "9223372036854775808", "a number outside it"],
    ["bigint", "1e19", "a number outside it"],
    ["bigint", "1e999999999", "a number beyond the range of a double"],
    ["int", "2147483648", "a number outside it"],
    ["int", "1e400", "a number outside it"],
    ["tinyint", "128", "a number outside it"],
    ["decimal(5,2)", "1000.00", "a number with too many digits"],
    ["decimal(5,2)", "1.005", "3 digits after the point"],
    ["decimal(5,2)", "1.00500000000000000001", "20 digits after the point"],
    ["decimal(38,0)", "1e38", "a number with too many digits"],
    ["decimal(38,37)", "1e-400", "400 digits after the point"],
    ["decimal(38,0)", "1e999999999", "a number beyond the range of a double"],
    ["string", "1", "an integer"],
    ["string", "1.10", "a number of 4 characters"],
    ["string", "9007199254740993", "a bigint"],
    ["boolean", "1", "an integer"],
    ["timestamp", "1700000000", "an integer"],
    ["timestamp", "1700000000123456789", "a number of 19 characters"],
    ["timestamp_ntz", "1700000000123456789", "a number of 19 characters"],
    ["timestamp", "1.7e18", "a number of 6 characters"],
    ["time", "9007199254740993", "a number of 16 characters"],
    ["interval day to second", "9007199254740993", "a number of 16 characters"],
    ["date", "9007199254740993", "a number of 16 characters"],
    ["array<timestamp>", "[1700000000123456789]", "a number of 19 characters"],
    ["binary", '"AQI"', "a string of 3 characters"],
    ["binary", '"AQ=="', undefined],
    ["binary", '"AR=="', "a string of 4 characters"],
    ["binary", '"_-8="', "a string of 4 characters"],
    ["binary", '"AQ ID"', "a string of 5 characters"],
    ["binary", '"AQID\\n"', "a string of 5 characters"],
    ["binary", '"AQ==AQ=="', "a string of 8 characters"],
    ["binary", '"not base64!"', "a string of 11 characters"],
    ["string", '"\\ud800"', "a string with a lone surrogate"],
    ["map<string,int>", '{"\\ud800":1}', "a string with a lone surrogate"],
  ])("A column of type %s refuses %s", (type, text, problem) => {
    if (problem === undefined) expect(column(type, text)).toBe(JSON.parse(text));
    else expect(() => column(type, text)).toThrow(`found ${problem}`);
  });

  it("A message that is not JSON, or not UTF-8, or in doubt, is an error that says why without its values", () => {
    const toRow = jsonRecord(parseDdl("id bigint"));
    const messageOf = (message: string | Uint8Array) => {
      try {
        toRow(message, "message 5");
      } catch (error) {
        return (error as Error).message;
      }
      return undefined;
    };
    expect(messageOf('{"id":"secret}')).toBe(
      "message 5 is not JSON: the text ends too early, at character 15",
    );
    expect(messageOf('{"id":1,"id":2}')).toBe(
      'message 5 is not JSON: an object has the name "id" twice, at character 9',
    );
    expect(messageOf(new Uint8Array([0x22, 0xff, 0x22]))).toBe("message 5 is not UTF-8");
    expect(messageOf("[1]")).toBe("message 5 is an array of 1, not an object");
    expect(messageOf("1.10")).toBe("message 5 is a number of 4 characters, not an object");
  });

  it("A message with a byte order mark is read, as text and as bytes", () => {
    const toRow = jsonRecord(parseDdl("id bigint"));
    expect(toRow('\ufeff{"id":1}', "message 5")).toEqual([1]);
    expect(toRow(Buffer.from('\ufeff{"id":1}'), "message 5")).toEqual([1]);
  });

  it("A name that every object inherits is null if the object does not have it", () => {
    expect(
      jsonRow(parseDdl("constructor string, `toString` string"))(parseJson("{}") as Record<string, unknown>),
    ).toEqual([null, null]);
  });
});
