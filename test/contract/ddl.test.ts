import { DateMillisecond, Decimal, Dictionary, Field, Int32, Schema, Uint8, Utf8 } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { schemaToJson } from "../../shared/contract/ddl/json.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { typeName } from "../../shared/contract/ddl/print.ts";
import { toSchema } from "../../shared/contract/ddl/to-schema.ts";
import { lengthLimit } from "../../shared/contract/ddl/types.ts";
import type { MillraceError } from "../../shared/contract/errors.ts";

/** Parses DDL and formats the fields again as DDL, in a form that is always the same. */
const read = (ddl: string): string =>
  schemaToJson(parseDdl(ddl))
    .fields.map((field) => `${field.name} ${field.type}${field.nullable ? "" : " NOT NULL"}`)
    .join(", ");

function problemOf(ddl: string): string {
  try {
    parseDdl(ddl);
  } catch (error) {
    const { code, message } = error as MillraceError;
    expect(code).toBe("SCHEMA_INVALID");
    expect(message.startsWith(`schema "${ddl}": `)).toBe(true);
    return message.slice(`schema "${ddl}": `.length);
  }
  throw new Error(`${ddl} was accepted`);
}

/** Returns the position of the character in the error, counted from 1. */
const positionOf = (ddl: string): number => Number(/at character (\d+)$/.exec(problemOf(ddl))?.[1]);

describe("parseDdl", () => {
  it.each([
    ["boolean", "Bool"],
    ["tinyint", "Int8"],
    ["byte", "Int8"],
    ["smallint", "Int16"],
    ["short", "Int16"],
    ["int", "Int32"],
    ["integer", "Int32"],
    ["bigint", "Int64"],
    ["long", "Int64"],
    ["float", "Float32"],
    ["real", "Float32"],
    ["double", "Float64"],
    ["string", "Utf8"],
    ["varchar(20)", "Utf8"],
    ["char(3)", "Utf8"],
    ["binary", "Binary"],
    ["date", "Date32<DAY>"],
    ["timestamp", "Timestamp<MICROSECOND, UTC>"],
    ["timestamp_ltz", "Timestamp<MICROSECOND, UTC>"],
    ["timestamp_ntz", "Timestamp<MICROSECOND>"],
    ["time", "Time64<NANOSECOND>"],
    ["time(6)", "Time64<NANOSECOND>"],
    ["interval day to second", "Duration<MICROSECOND>"],
    ["INTERVAL DAY TO SECOND", "Duration<MICROSECOND>"],
    ["void", "Null"],
  ])("parseDdl maps Spark's %s to Arrow's %s", (type, arrow) => {
    expect(String(parseDdl(`a ${type}`).fields[0]?.type)).toBe(arrow);
  });

  it.each([
    ["a INT, b String", "a int, b string"],
    ["a:int,b : string", "a int, b string"],
    ["  a\n\tint  ", "a int"],
    ["a int NOT NULL, b int not null", "a int NOT NULL, b int NOT NULL"],
    ["a int COMMENT 'it is, \\'so\\' NOT NULL', b int", "a int, b int"],
    ['a int NOT NULL COMMENT "x"', "a int NOT NULL"],
    ["`a b` int, `c``d` int, `e,f` int", "a b int, c`d int, e,f int"],
    ["größe double, a.b int, $x_1-y int", "größe double, a.b int, $x_1-y int"],
    ["A int, a int", "A int, a int"],
    ["a decimal, b dec(5), c numeric(38,38)", "a decimal(10,0), b decimal(5,0), c decimal(38,38)"],
    ["a array<array<int>>", "a array<array<int>>"],
    ["a map < string , array<double> >", "a map<string,array<double>>"],
    ["a struct<x:int,y struct<z: map<int,string> NOT NULL>>", "a struct<x:int,y:struct<z:map<int,string>>>"],
    ["not int, comment string, null int", "not int, comment string, null int"],
  ])("parseDdl reads %o as the fields that it names", (ddl, fields) => {
    expect(read(ddl)).toBe(fields);
  });

  it("parseDdl keeps the length of a varchar or char in the field's metadata, as Spark does, at any depth", () => {
    const fields = parseDdl(
      "a varchar(20) NOT NULL, b array<char(3)>, c map<varchar(1),varchar(2)>, d varchar",
    ).fields;
    const [b, c] = [
      fields[1]?.type.children[0] as Field,
      fields[2]?.type.children[0]?.type.children as Field[],
    ];
    expect([fields[0], b, ...c, fields[3]].map((field) => field && lengthLimit(field))).toEqual([
      { type: "varchar(20)", length: 20 },
      { type: "char(3)", length: 3 },
      { type: "varchar(1)", length: 1 },
      { type: "varchar(2)", length: 2 },
      undefined,
    ]);
    expect([...(fields[0]?.metadata ?? [])]).toEqual([["__CHAR_VARCHAR_TYPE_STRING", "varchar(20)"]]);
  });

  it("parseDdl keeps NOT NULL in a struct and makes elements and values of collections nullable", () => {
    const [struct, list, map] = parseDdl(
      "s struct<x:int NOT NULL,y:int>, l array<int>, m map<string,int>",
    ).fields;
    expect(struct?.type.children.map((field: Field) => field.nullable)).toEqual([false, true]);
    expect(list?.type.children.map((field: Field) => field.nullable)).toEqual([true]);
    const entries = map?.type.children[0];
    expect([entries?.nullable, ...(entries?.type.children ?? []).map((f: Field) => f.nullable)]).toEqual([
      false,
      false,
      true,
    ]);
  });

  it.each([
    ["", "expected a field name, at character 1"],
    ["a", "expected a type, at character 2"],
    ["a int,", "expected a field name, at character 7"],
    ["a int b int", 'expected "," or the end, at character 7'],
    ["a int NOT", "expected NULL after NOT, at character 10"],
    ["a int COMMENT x", "expected a quoted comment, at character 15"],
    ["a array", 'expected "<", at character 8'],
    ["a array<int", 'expected ">", at character 12'],
    ["a map<string>", 'expected ",", at character 13'],
    ["a struct<x int", 'expected ">", at character 15'],
    ["a decimal(x)", "expected a number, at character 11"],
    ["a varchar(5", 'expected ")", at character 12'],
    ["`a int", "expected a name, at character 1"],
    ["`` int", "expected a name, at character 1"],
    ["a int,\n  ;", "expected a field name, at character 10"],
  ])("parseDdl says what is wrong with %o, and at which place", (ddl, problem) => {
    expect(problemOf(ddl)).toBe(problem);
  });

  it.each([
    ["a foo", '"foo" is no type'],
    ["a int, a int", 'field "a" is there twice'],
    ["s struct<x:int,x:int>", 'field "x" is there twice'],
    ["a decimal(39,2)", "decimal(39,2) must have 1 to 38 digits"],
    ["a decimal(0)", "decimal(0,0) must have 1 to 38 digits"],
    ["a decimal(2,3)", "decimal(2,3) must have 1 to 38 digits"],
    ["a time(3)", "time(3) must be time(6), at character 3"],
    ["a interval year to month", "the only interval is INTERVAL DAY TO SECOND, at character 3"],
    ["a interval", "the only interval is INTERVAL DAY TO SECOND, at character 3"],
  ])("parseDdl refuses the schema %o", (ddl, problem) => {
    expect(problemOf(ddl)).toContain(problem);
  });

  it.each(["constructor", "__proto__"])(
    "parseDdl refuses the type %s, which every JavaScript object has",
    (type) => {
      expect(problemOf(`a ${type}`)).toContain(`"${type}" is no type`);
    },
  );

  it.each([
    ["a foo", 3],
    ["a int, a int", 8],
    ["a decimal(39,2)", 3],
  ])("parseDdl points at the beginning of the wrong word in %o", (ddl, position) => {
    expect(positionOf(ddl)).toBe(position);
  });
});

describe("typeName", () => {
  it("typeName writes types as DDL that parses to the same types again", () => {
    const ddl =
      "a map<string,array<struct<x:decimal(5,2),y:timestamp_ntz>>>, b timestamp NOT NULL, c tinyint, " +
      "d struct<`a b`:int,`c``d`:time,`e,f`:interval day to second>, g void";
    expect(read(ddl)).toBe(ddl);
    expect(read(read(ddl))).toBe(ddl);
  });

  it("typeName returns Arrow's own name if DDL has none", () => {
    expect([new Uint8(), new DateMillisecond()].map((type) => typeName(type))).toEqual([
      "Uint8",
      "Date64<MILLISECOND>",
    ]);
    expect(typeName(new Decimal(2, 5, 256))).toBe("decimal256(5,2)");
    expect(typeName(new Dictionary(new Utf8(), new Int32()))).toBe("Dictionary<Int32, Utf8>");
  });
});

describe("toSchema", () => {
  it.each([undefined, null, 5, {}, [], new Schema([])])(
    "toSchema refuses %o, whose rows would lose their columns",
    (given) => {
      expect(() => toSchema(given)).toThrow(expect.objectContaining({ code: "SCHEMA_INVALID" }));
    },
  );

  it("toSchema takes a schema of another copy of Arrow", () => {
    const { fields } = parseDdl(
      "id bigint NOT NULL, `a b` decimal(5,2), l array<varchar(3)>, s struct<`c d`:int NOT NULL,t:time>, m map<string,date>",
    );
    const schema = toSchema({ fields });
    expect(schemaToJson(schema)).toEqual(schemaToJson(new Schema(fields)));
    expect(schema.fields[3]?.type.children.map((field: Field) => field.nullable)).toEqual([false, true]);
    expect(lengthLimit(schema.fields[2]?.type.children[0] as Field)).toEqual({
      type: "varchar(3)",
      length: 3,
    });
  });

  it("toSchema refuses a type of another copy of Arrow that it cannot make again", () => {
    const fields = [new Field("v", new Uint8(), true)];
    expect(() => toSchema({ fields })).toThrow(
      expect.objectContaining({
        code: "SCHEMA_INVALID",
        message:
          'field "v" has the Arrow type Uint8, of another copy of apache-arrow, for which there is no DDL',
      }),
    );
  });
});
