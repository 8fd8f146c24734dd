import { describe, expect, it } from "vitest";
import { SchemaInference } from "../../shared/arrow/infer-schema.ts";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { parseJson } from "../../shared/connectors/kit/json-parser.ts";
import { schemaToJson, toDdl } from "../../shared/contract/ddl/json.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";

function infer(...rows: readonly string[]) {
  const inference = new SchemaInference();
  for (const row of rows) inference.add(parseJson(row) as object);
  const { schema, notes } = inference.finish();
  return { ddl: toDdl(schemaToJson(schema)), notes };
}

describe("a schema that is inferred from JSON", () => {
  it.each([
    [["1", "-7"], "bigint"],
    [["9223372036854775807"], "bigint"],
    [["1", "2.5"], "double"],
    [["1e3"], "double"],
    [["0.1234567890123456789", "1"], "decimal(38,19)"],
    [["12345678901234567890123"], "decimal(38,0)"],
    [["true", "null"], "boolean"],
    [['"2026-11-01T00:00:00Z"', '"2026-11-01T00:00:00.5+02:00"'], "timestamp"],
    [['"2026-11-01T00:00:00"'], "timestamp_ntz"],
    [['"2026-11-01T00:00:00"', '"2026-11-01T00:00:00Z"'], "string"],
    [['"2026-11-01"'], "date"],
    [['"2026-11-01"', '"soon"'], "string"],
    [["[1, 2]", "[]"], "array<bigint>"],
    [['{"x": 1}', '{"y": [{"z": "a"}]}'], "struct<x:bigint,y:array<struct<z:string>>>"],
  ])("Values such as %j are %s", (values, type) => {
    const { ddl, notes } = infer(...values.map((value) => `{"v": ${value}}`));
    expect(ddl).toBe(`v ${type}`);
    expect(notes).toEqual([]);
    // The DDL can be parsed.
    expect(toDdl(schemaToJson(parseDdl(ddl)))).toBe(ddl);
  });

  it.each([
    [["1", '"a"'], "string", /several kinds \(number, text\)/],
    [["null"], "string", /null in all rows/],
    [["[]"], "array<string>", /"v\[\]" is null in all rows/],
    [["{}"], "map<string,string>", /no fields/],
    [["1e400"], "double", /more digits/],
  ])("Values such as %j are guessed as %s, and a note says why", (values, type, note) => {
    const { ddl, notes } = infer(...values.map((value) => `{"v": ${value}}`));
    expect(ddl).toBe(`v ${type}`);
    expect(notes).toEqual([expect.stringMatching(note)]);
  });

  it("An object with very many names is taken for a map", () => {
    const names = Array.from({ length: 101 }, (_, i) => `"u${i}": {"n": ${i}, "t": "x"}`);
    const { ddl, notes } = infer(`{"users": {${names.join(", ")}}}`);
    expect(ddl).toBe("users map<string,struct<n:bigint,t:string>>");
    expect(notes).toEqual([expect.stringContaining("taken for a map")]);
  });

  it("Columns that are missing in some rows are there, and names are quoted", () => {
    expect(infer('{"a": 1}', '{"b c": 2}').ddl).toBe("a bigint, `b c` bigint");
  });

  it("Objects of JavaScript have times and bytes", () => {
    const inference = new SchemaInference();
    const row = { t: new Date(0), b: new Uint8Array(1), n: 1n };
    inference.add(row);
    const { schema } = inference.finish();
    expect(toDdl(schemaToJson(schema))).toBe("t timestamp, b binary, n bigint");
    expect(recordBatchOf(schema, [row]).numRows).toBe(1);
  });
});
