import { describe, expect, it } from "vitest";
import { jsonRecord } from "../../../shared/connectors/kit/json.ts";
import { checkJsonColumns, type JsonColumns } from "../../../shared/connectors/kit/json-columns.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";

const SCHEMA = parseDdl("id bigint, name string, op string");
const COLUMNS: JsonColumns = { id: { firstOf: ["after.id", "before.id"] }, name: ["after", "name"] };

function rowOf(record: object, columns = COLUMNS): unknown {
  return jsonRecord(SCHEMA, columns)(JSON.stringify(record), "record 1");
}

describe("columns of a JSON record by their paths", () => {
  it("A column is at its path, at the first path with a value, or at its own name", () => {
    expect(rowOf({ op: "u", before: { id: 1 }, after: { id: 2, name: "b" } })).toEqual([2, "b", "u"]);
    expect(rowOf({ op: "d", before: { id: 1 }, after: null })).toEqual([1, null, "d"]);
    expect(rowOf({ op: "d", before: { id: 1 }, after: { id: null } })).toEqual([1, null, "d"]);
    expect(rowOf({})).toEqual([null, null, null]);
  });

  it("A column with a path is not read from its own name", () => {
    expect(rowOf({ id: 7, name: "x", op: "c" })).toEqual([null, null, "c"]);
  });

  it("A path that is probably misspelt is an error, unless it is a list of names", () => {
    const misnamed = { code: "COLUMN_MISNAMED", where: { field: "id" } };
    expect(() => rowOf({ after: { ID: 1 } }, { id: "after.id" })).toThrow(expect.objectContaining(misnamed));
    expect(rowOf({ after: { ID: 1 } }, { id: ["after", "id"] })).toEqual([null, null, null]);
  });

  it("A column that the schema lacks is refused, with the name that is probably meant", () => {
    expect(() => checkJsonColumns("Kinesis", SCHEMA, { names: "a.name" })).toThrow("did you mean name?");
  });
});
