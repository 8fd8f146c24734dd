import {
  Field,
  Int32,
  Int64,
  List,
  Map_,
  Null,
  Schema,
  Struct,
  TimestampNanosecond,
  Uint16,
  Uint64,
  Utf8,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { planSchema, type SchemaPlan } from "../../../shared/connectors/iceberg/evolve/plan-schema.ts";
import { canonicalRows } from "../../../shared/connectors/iceberg/files/canonical.ts";
import { icebergSchemaOf } from "../../../shared/connectors/iceberg/format/schema.ts";
import type { IcebergSchema } from "../../../shared/connectors/iceberg/format/types.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { MillraceError } from "../../../shared/contract/errors.ts";
import type { NamedRow, Row } from "../../../shared/contract/stream-reader.ts";
import type { OnSchemaChange } from "../../../shared/contract/write/write-info.ts";

const CHOICES: readonly OnSchemaChange[] = ["fail", "evolve", "ignore"];

function tableOf(ddl: string): IcebergSchema {
  return icebergSchemaOf(parseDdl(ddl)).schema;
}

function plan(
  table: string | IcebergSchema,
  rows: string | Schema,
  mode: OnSchemaChange = "evolve",
): SchemaPlan {
  const current = typeof table === "string" ? tableOf(table) : table;
  return planSchema(current, 100, typeof rows === "string" ? parseDdl(rows) : rows, mode);
}

function refusal(
  table: string | IcebergSchema,
  rows: string | Schema,
  mode: OnSchemaChange = "evolve",
): { readonly message: string; readonly hint: string } {
  try {
    plan(table, rows, mode);
  } catch (error) {
    const { code, message, hint = "" } = error as MillraceError;
    expect(code, message).toBe("SCHEMA_CHANGED");
    return { message, hint };
  }
  throw new Error("nothing was refused");
}

describe("columns that the table has already", () => {
  it.each(CHOICES)("With %s, equal columns in another order and case leave the schema as it is", (mode) => {
    const current = tableOf("id bigint NOT NULL, Name string, place struct<x:double, y:double>");
    const result = plan(current, "NAME string, place struct<Y:double, x:double>, id bigint NOT NULL", mode);
    expect(result.schema).toBe(current);
    expect(result).toMatchObject({ lastColumnId: 100, changes: [], ignored: [] });
  });

  it.each(CHOICES)(
    "With %s, a narrower type, a missing column and an uncertain null need no change",
    (mode) => {
      const current = tableOf("id bigint, price decimal(12,2), ratio double, note string");
      expect(plan(current, "id int, price decimal(10,2), ratio float", mode).schema).toBe(current);
    },
  );

  it.each(["fail", "ignore"] as const)(
    "With %s, a wider whole column is left to the check of each value when it is written",
    (mode) => {
      const current = tableOf("id int, price decimal(10,2), ratio float, n int NOT NULL");
      const rows = "id bigint, price decimal(12,2), ratio double, n bigint";
      expect(plan(current, rows, mode).schema).toBe(current);
    },
  );

  it("Times of another unit, unsigned integers and columns of nulls are stored without a change", () => {
    const current = tableOf("at timestamp, small int, big decimal(20,0), gone string");
    const rows = new Schema([
      new Field("at", new TimestampNanosecond("UTC"), true),
      new Field("small", new Uint16(), true),
      new Field("big", new Uint64(), true),
      new Field("gone", new Null(), true),
    ]);
    expect(plan(current, rows).schema).toBe(current);
  });
});

describe("columns that are new", () => {
  it("New columns come last, are optional, and get new ids in the order of Java's library", () => {
    const current = tableOf("id bigint, place struct<x:double>, tags array<struct<a:int>>");
    const { schema, lastColumnId, changes } = plan(
      current,
      "extra struct<a:int NOT NULL, b:struct<c:int>> NOT NULL, ID bigint, place struct<x:double, z:map<string,int>>, tags array<struct<a:int, b:int>>",
    );
    expect(changes.map((change) => [change.kind, change.column, change.id])).toEqual([
      ["add", "place.z", 101],
      ["add", "tags.element.b", 104],
      ["add", "extra", 105],
    ]);
    expect(lastColumnId).toBe(108);
    expect(schema.fields.map(({ id, name, required }) => [id, name, required])).toEqual([
      [1, "id", false],
      [2, "place", false],
      [3, "tags", false],
      [105, "extra", false],
    ]);
    expect(schema.fields[3]?.type).toEqual({
      type: "struct",
      fields: [
        { id: 106, name: "a", required: true, type: "int" },
        {
          id: 107,
          name: "b",
          required: false,
          type: { type: "struct", fields: [{ id: 108, name: "c", required: false, type: "int" }] },
        },
      ],
    });
    expect(schema.fields[1]?.type).toMatchObject({
      fields: [
        { id: 4, name: "x" },
        { id: 101, name: "z", type: { "key-id": 102, "value-id": 103 } },
      ],
    });
  });

  it("A column that another engine dropped comes back with an id that was never used", () => {
    const current: IcebergSchema = { ...tableOf("id bigint, note string") };
    const dropped = { ...current, fields: current.fields.slice(0, 1) };
    const { schema, lastColumnId } = planSchema(dropped, 2, parseDdl("id bigint, note string"), "evolve");
    expect(schema.fields.map(({ id, name }) => [id, name])).toEqual([
      [1, "id"],
      [3, "note"],
    ]);
    expect(lastColumnId).toBe(3);
  });

  it("With ignore, new columns are listed by their full names, also those that Iceberg cannot store", () => {
    const result = plan(
      "id bigint, place struct<x:double>",
      "id bigint, extra interval day to second, place struct<x:double, z:int>",
      "ignore",
    );
    expect(result.ignored).toEqual(["place.z", "extra"]);
    expect(result.changes).toEqual([]);
  });

  it("With fail, each new column is named with its type and with the choices that help", () => {
    const { message, hint } = refusal(
      "id bigint",
      "id bigint, extra int, lasts interval day to second",
      "fail",
    );
    expect(message).toContain('"extra", which is int, is not in the table');
    expect(message).toContain('"lasts", which is interval day to second, is not in the table');
    expect(hint).toContain('`.onSchemaChange("evolve")` changes the table for "extra".');
    expect(hint).toContain('`.onSchemaChange("ignore")` leaves out "extra", "lasts".');
    expect(hint).toContain("The table has the columns (id bigint)");
  });

  it("With evolve, a new column that Iceberg cannot store is refused by its name", () => {
    const { message, hint } = refusal("id bigint", "id bigint, lasts interval day to second");
    expect(message).toContain('"lasts" is new, and Iceberg cannot store interval day to second');
    expect(hint).toContain('`.onSchemaChange("ignore")` leaves out "lasts".');
  });
});

describe("types that become wider", () => {
  it("With evolve, int becomes long, float double, and a decimal gets more digits, at any depth", () => {
    const table = "i int, f float, d decimal(10,2), s struct<i:int>, l array<int>, m map<string,float>";
    const rows =
      "i bigint, f double, d decimal(12,2), s struct<i:bigint>, l array<bigint>, m map<string,double>";
    const { schema, changes } = plan(table, rows);
    expect(
      changes.map((change) => (change.kind === "widen" ? [change.column, change.from, change.to] : change)),
    ).toEqual([
      ["i", "int", "long"],
      ["f", "float", "double"],
      ["d", "decimal(10, 2)", "decimal(12, 2)"],
      ["s.i", "int", "long"],
      ["l.element", "int", "long"],
      ["m.value", "float", "double"],
    ]);
    const again = tableOf(rows);
    expect(schema).toEqual(again);
  });

  it("No other type changes: what can be checked by value is stored, and the rest is refused", () => {
    const current = tableOf("a bigint, b decimal(10,2), c string");
    expect(plan(current, "a double, b decimal(12,4), c int").schema).toBe(current);
    for (const [table, rows] of [
      ["x int", "x string"],
      ["x date", "x timestamp"],
      ["x timestamp", "x timestamp_ntz"],
      ["x struct<a:int>", "x int"],
      ["x int", "x array<int>"],
      ["x array<int>", "x map<int,int>"],
      ["x string", "x struct<a:int>"],
    ] as const) {
      const { message, hint } = refusal(table, rows);
      expect(message).toMatch(
        /^the rows do not fit the table: "x" is .* in the rows, which is not safely stored as /,
      );
      expect(hint).toContain('No choice helps, so give the rows the column as the table has it: "x".');
    }
  });

  it.each(["fail", "ignore"] as const)(
    "With %s, a wider value inside another is refused, and evolve helps",
    (mode) => {
      const { message, hint } = refusal("l array<int>", "l array<bigint>", mode);
      expect(message).toContain('"l.element" is bigint in the rows, which is not safely stored as int');
      expect(hint).toContain('`.onSchemaChange("evolve")` changes the table for "l.element".');
    },
  );

  it("The key of a map never changes, not even to a wider type or by a field", () => {
    expect(refusal("m map<int,int>", "m map<bigint,int>").message).toContain('"m.key" is bigint in the rows');
    expect(refusal("m map<struct<a:int>,int>", "m map<struct<a:int,b:int>,int>").message).toContain(
      '"m.key.b" is not in the table, whose keys of maps cannot change',
    );
    expect(
      refusal("m map<struct<a:int NOT NULL>,int>", "m map<struct<b:int>,int>", "ignore").message,
    ).toContain('"m.key.a" is missing in the rows');
  });
});

describe("columns that may be null", () => {
  it("With evolve, a column that is missing or may be null becomes optional, at any depth", () => {
    const { schema, changes } = plan(
      "a int NOT NULL, b int NOT NULL, c int NOT NULL, s struct<x:int NOT NULL>",
      "b int, c int NOT NULL, s struct<x:int>",
    );
    expect(changes.map(({ kind, column }) => `${kind} ${column}`)).toEqual([
      "relax b",
      "relax s.x",
      "relax a",
    ]);
    expect(schema.fields.map(({ required }) => required)).toEqual([false, false, true, false]);
  });

  it.each(["fail", "ignore"] as const)("With %s, only a missing column is refused at planning", (mode) => {
    const { message, hint } = refusal("a int NOT NULL, b int NOT NULL", "b int", mode);
    expect(message).toBe(
      'the rows do not fit the table: "a" is missing in the rows, and is NOT NULL in the table',
    );
    expect(hint).toContain('`.onSchemaChange("evolve")` changes the table for "a".');
  });

  it("A list's elements and a map's values become optional, and a map's keys do not", () => {
    const field = (nullable: boolean) => new Field("element", new Int32(), nullable);
    const map = (nullable: boolean) =>
      new Map_(
        new Field(
          "entries",
          new Struct<{ key: Utf8; value: Int64 }>([
            new Field("key", new Utf8(), false),
            new Field("value", new Int64(), nullable),
          ]),
          false,
        ),
      );
    const rows = (nullable: boolean) =>
      new Schema([new Field("l", new List(field(nullable)), true), new Field("m", map(nullable), true)]);
    const { schema, changes } = plan(icebergSchemaOf(rows(false)).schema, rows(true));
    expect(changes.map(({ kind, column }) => `${kind} ${column}`)).toEqual([
      "relax l.element",
      "relax m.value",
    ]);
    expect(schema).toEqual(icebergSchemaOf(rows(true)).schema);
  });

  it("A column that identifies rows stays required, and so does the struct around it", () => {
    const current = {
      ...tableOf("id int NOT NULL, s struct<k:int NOT NULL> NOT NULL"),
      "identifier-field-ids": [1, 3],
    };
    const result = plan(current, "id bigint, s struct<k:int>, more int");
    expect(result.changes.map(({ kind, column }) => `${kind} ${column}`)).toEqual(["widen id", "add more"]);
    expect(result.schema["identifier-field-ids"]).toEqual([1, 3]);
    expect(result.schema.fields.map(({ required }) => required)).toEqual([true, true, false]);
    const { message } = refusal(current, "s struct<k:int>");
    expect(message).toContain(
      '"id" is missing in the rows, and is NOT NULL in the table, and identifies rows',
    );
  });
});

describe("names that do not tell columns apart", () => {
  it("An equal name is taken before one that differs in case", () => {
    const current = tableOf("a int, A bigint");
    const { schema } = plan(current, "a bigint");
    expect(schema.fields.map(({ name, type }) => [name, type])).toEqual([
      ["a", "long"],
      ["A", "long"],
    ]);
    expect(plan(current, "A bigint, a int").schema).toBe(current);
  });

  it.each([
    ["ab int, AB int", "Ab int", '"Ab" may be each of the table\'s columns "ab" and "AB"'],
    ["a int", "a int, A int", 'the rows have "a" and "A", which differ only in case'],
    ["a int", "x int, X int", 'the rows have "x" and "X", which differ only in case'],
    ["s struct<a:int>", "s struct<a:int,A:int>", 'the rows have "s.a" and "s.A", which differ only in case'],
    ["a struct<b:int>", "a struct<b:int>, `a.b` int", '"a.b" would name two fields of the table'],
  ])("A table with %s refuses rows with %s", (table, rows, problem) => {
    expect(refusal(table, rows).message).toBe(`the rows do not fit the table: ${problem}`);
  });
});

describe("rows that are written by a planned schema", () => {
  /** Returns the rows as the table's files have them. */
  function written(table: string, rows: string, values: readonly Row[], mode: OnSchemaChange): NamedRow[] {
    const source = parseDdl(rows);
    const { schema, ignored } = plan(table, source, mode);
    const { apply } = canonicalRows(source, schema, {}, ignored.length === 0 ? "refuse" : "leave-out");
    return [...rowsOf(apply(recordBatchOf(source, values), 0))];
  }

  it.each(CHOICES)(
    "With %s, names inside other values are those of the table, and no value is lost",
    (mode) => {
      const rows = "Place struct<X:int, y:int>, l array<struct<Q:int>>, m map<string,struct<V:int>>";
      const value = [{ X: 1, y: 2 }, [{ Q: 3 }], { k: { V: 4 } }];
      expect(
        written(
          "place struct<x:int, Y:int>, l array<struct<q:int>>, m map<string,struct<v:int>>",
          rows,
          [value],
          mode,
        ),
      ).toEqual([{ place: { x: 1, Y: 2 }, l: [{ q: 3 }], m: { k: { v: 4 } } }]);
    },
  );

  it("With ignore, fields that the table lacks are left out, and fields that the rows lack are null", () => {
    const rows = "s struct<b:int, extra:int>, other int, a int";
    expect(written("a int, s struct<A:int, B:int>", rows, [[{ b: 1, extra: 2 }, 3, 4]], "ignore")).toEqual([
      { a: 4, s: { A: null, B: 1 } },
    ]);
  });

  it("With evolve, new fields and wider values are in the rows", () => {
    const rows = "s struct<b:bigint, extra:int>, other int";
    expect(written("s struct<a:int, b:int>", rows, [[{ b: 2n ** 40n, extra: 2 }, 3]], "evolve")).toEqual([
      { s: { a: null, b: 2 ** 40, extra: 2 }, other: 3 },
    ]);
  });
});
