import { describe, expect, it } from "vitest";
import { compareSchemas, describeDifferences, remedyOf } from "../../shared/arrow/compare-schemas.ts";
import { schemaToJson, toDdl } from "../../shared/contract/ddl/json.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";

const compare = (table: string, rows: string, fixed?: readonly string[]) => {
  const { differences, merged } = compareSchemas(parseDdl(table), parseDdl(rows), fixed);
  return {
    text: describeDifferences(differences),
    evolves: differences.every(({ evolves }) => evolves),
    merged: toDdl(schemaToJson(merged)),
    remedy: remedyOf(differences),
  };
};

describe("the comparison of a table's columns with those of rows", () => {
  it.each([
    ["a bigint", "a bigint NOT NULL", "", "a bigint"],
    ["a bigint", "b string, a bigint", '"b" (string) is new', "a bigint, b string"],
    ["a bigint", "a bigint, b string NOT NULL", '"b" (string) is new', "a bigint, b string"],
    ["a bigint, b string", "a bigint", '"b" is gone: the rows do not have it', "a bigint, b string"],
    ["a bigint, b string NOT NULL", "a bigint", '"b" is gone: the rows do not have it', "a bigint, b string"],
    ["a int", "a bigint", '"a" was int and is bigint', "a bigint"],
    ["a bigint", "a int", '"a" was bigint and is int', "a bigint"],
    ["a float", "a double", '"a" was float and is double', "a double"],
    ["a decimal(9,2)", "a decimal(12,2)", '"a" was decimal(9,2) and is decimal(12,2)', "a decimal(12,2)"],
    [
      "a bigint NOT NULL",
      "a bigint",
      '"a" may be null in the rows, and is NOT NULL in the table',
      "a bigint",
    ],
    ["a int, b int", "b int, a int", "the columns of the rows are in another order", "a int, b int"],
    [
      "p struct<x: int>",
      "p struct<x:bigint,y:string>",
      '"p.x" was int and is bigint; "p.y" (string) is new',
      "p struct<x:bigint,y:string>",
    ],
    ["a array<int>", "a array<bigint>", '"a.element" was int and is bigint', "a array<bigint>"],
  ])("A table with (%s) can take rows with (%s)", (table, rows, text, merged) => {
    expect(compare(table, rows)).toMatchObject({ text, evolves: true, merged });
  });

  it.each([
    ["a bigint", "a string", '"a" was bigint and is string'],
    ["a bigint", "a double", '"a" was bigint and is double'],
    ["a decimal(9,2)", "a decimal(9,3)", '"a" was decimal(9,2) and is decimal(9,3)'],
    ["a date", "a timestamp", '"a" was date and is timestamp'],
    ["a timestamp", "a timestamp_ntz", '"a" was timestamp and is timestamp_ntz'],
    ["name string", "name string, Name string", '"Name" differs from "name" only in case'],
  ])("A table with (%s) cannot take rows with (%s)", (table, rows, text) => {
    const compared = compare(table, rows);
    expect(compared).toMatchObject({ text, evolves: false });
    expect(compared.remedy).not.toContain("onSchemaChange");
  });

  it("A column whose type must not change cannot be widened", () => {
    expect(compare("day int", "day bigint", ["day"]).evolves).toBe(false);
  });

  it("A rename is a column that is new and one that is gone, and the remedy names the choice", () => {
    const { text, remedy } = compare("a int, channel string", "a int, kanal string");
    expect(text).toBe('"channel" is gone: the rows do not have it; "kanal" (string) is new');
    expect(remedy).toContain('`.onSchemaChange("evolve")`');
  });

  it("At most ten differences are told one by one", () => {
    const rows = Array.from({ length: 13 }, (_, i) => `c${i} int`).join(", ");
    expect(compare("c0 int", rows).text).toMatch(/"c10" \(int\) is new; and 2 more$/);
  });
});
