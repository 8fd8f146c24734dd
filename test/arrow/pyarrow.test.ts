import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { encodeFile } from "../../shared/arrow/ipc-file.ts";
import { toRecordBatches } from "../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import type { Row } from "../../shared/contract/stream-reader.ts";
import { temporaryFolder } from "../support/folder.ts";
import { hasPython, runPython } from "../support/python.ts";

/**
 * Tests that pyarrow, an independent reader, can read a file that Millrace wrote. The file has
 * every type with its least and greatest values.
 */

const READ = `
import datetime, decimal, json, sys, pyarrow as pa
with pa.ipc.open_file(sys.argv[1]) as file:
    table = file.read_all()
table.validate(full=True)

def plain(value, type):
    if value is None: return None
    if pa.types.is_list(type): return [plain(item, type.value_type) for item in value]
    if pa.types.is_map(type): return [[plain(k, type.key_type), plain(v, type.item_type)] for k, v in value]
    if pa.types.is_struct(type): return {f.name: plain(value[f.name], f.type) for f in type}
    if isinstance(value, bytes): return value.hex()
    if isinstance(value, float): return repr(value)
    if isinstance(value, bool): return value
    return str(value)

def column(name):
    data, type = table[name], table.schema.field(name).type
    # Python's own times end with the year 9999.
    if pa.types.is_timestamp(type) or pa.types.is_duration(type): data, type = data.cast(pa.int64()), pa.int64()
    return [plain(value, type) for value in data.to_pylist()]

print(json.dumps({
  "types": {f.name: str(f.type) + ("" if f.nullable else " not null") for f in table.schema},
  "values": {f.name: column(f.name) for f in table.schema} }))
`;

interface Found {
  readonly types: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<string, readonly unknown[]>>;
}

async function readByPython(ddl: string, rows: readonly Row[]): Promise<Found> {
  const schema = parseDdl(ddl);
  const chunks = await Array.fromAsync(encodeFile(schema, toRecordBatches(schema, rows, {})));
  const path = join(temporaryFolder(), "rows.arrow");
  writeFileSync(path, Buffer.concat(chunks));
  return runPython<Found>(READ, [path]);
}

const MAX_INT64 = 2n ** 63n - 1n;
const NINES = "9".repeat(38);

/** DDL type, pyarrow's name of the type, values, and the values that pyarrow reads. */
const cases: readonly (readonly [string, string, readonly unknown[], readonly unknown[]])[] = [
  ["boolean", "bool", [true, false], [true, false]],
  ["tinyint", "int8", [-128, 127], ["-128", "127"]],
  ["smallint", "int16", [-32768, 32767], ["-32768", "32767"]],
  ["int", "int32", [-(2 ** 31), 2 ** 31 - 1], ["-2147483648", "2147483647"]],
  [
    "bigint",
    "int64",
    [-MAX_INT64 - 1n, MAX_INT64, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, 2 ** 32, -1],
    [
      "-9223372036854775808",
      "9223372036854775807",
      "-9007199254740991",
      "9007199254740991",
      "4294967296",
      "-1",
    ],
  ],
  [
    "float",
    "float",
    [3.4028234663852886e38, -1.401298464324817e-45, Number.NaN, Number.NEGATIVE_INFINITY],
    ["3.4028234663852886e+38", "-1.401298464324817e-45", "nan", "-inf"],
  ],
  [
    "double",
    "double",
    [Number.MAX_VALUE, -Number.MIN_VALUE, -0, Number.NaN, Number.POSITIVE_INFINITY],
    ["1.7976931348623157e+308", "-5e-324", "-0.0", "nan", "inf"],
  ],
  ["decimal(38,0)", "decimal128(38, 0)", [NINES, `-${NINES}`, 1n], [NINES, `-${NINES}`, "1"]],
  ["decimal(38,38)", "decimal128(38, 38)", [`0.${NINES}`, `-0.${NINES}`], [`0.${NINES}`, `-0.${NINES}`]],
  ["decimal(5,2)", "decimal128(5, 2)", ["999.99", -999.99, 0], ["999.99", "-999.99", "0.00"]],
  ["string", "string", ["", "aé€😀\u0000", "x".repeat(70_000)], ["", "aé€😀\u0000", "x".repeat(70_000)]],
  ["varchar(3)", "string", ["abc", "é😀"], ["abc", "é😀"]],
  ["binary", "binary", [new Uint8Array(), Uint8Array.of(0, 255)], ["", "00ff"]],
  [
    "date",
    "date32[day]",
    ["0001-01-01", "9999-12-31", "1969-12-31"],
    ["0001-01-01", "9999-12-31", "1969-12-31"],
  ],
  [
    "timestamp",
    "timestamp[us, tz=UTC]",
    ["0001-01-01T00:00:00.000001Z", "9999-12-31T23:59:59.999999Z", -MAX_INT64 - 1n, MAX_INT64, new Date(-1)],
    ["-62135596799999999", "253402300799999999", "-9223372036854775808", "9223372036854775807", "-1000"],
  ],
  [
    "timestamp_ntz",
    "timestamp[us]",
    ["1969-12-31T23:59:59.999999", -MAX_INT64 - 1n, MAX_INT64],
    ["-1", "-9223372036854775808", "9223372036854775807"],
  ],
  ["time", "time64[ns]", ["00:00:00", "23:59:59.999999"], ["00:00:00", "23:59:59.999999"]],
  [
    "interval day to second",
    "duration[us]",
    ["-PT0.000001S", -MAX_INT64 - 1n, MAX_INT64],
    ["-1", "-9223372036854775808", "9223372036854775807"],
  ],
  ["void", "null", [null, null], [null, null]],
  ["array<void>", "list<element: null>", [[], [null, null]], [[], [null, null]]],
  [
    "struct<v:void,t:time>",
    "struct<v: null, t: time64[ns]>",
    [[null, "00:00:01"]],
    [{ v: null, t: "00:00:01" }],
  ],
  ["array<int>", "list<element: int32>", [[], [1, null]], [[], ["1", null]]],
  [
    "map<string,array<boolean>>",
    "map<string, list<element: bool>>",
    [{}, new Map([["k", [true, null, false]]]), { a: null }],
    [[], [["k", [true, null, false]]], [["a", null]]],
  ],
  [
    "struct<x:int NOT NULL,y:struct<z:array<decimal(3,1)>,d:date>>",
    "struct<x: int32 not null, y: struct<z: list<element: decimal128(3, 1)>, d: date32[day]>>",
    [{ x: 1, y: null }, [2, [["1.5", null], "2026-11-21"]]],
    [
      { x: "1", y: null },
      { x: "2", y: { z: ["1.5", null], d: "2026-11-21" } },
    ],
  ],
];

describe("a file of rows in pyarrow", () => {
  it.skipIf(!hasPython)(
    "The library pyarrow reads every type from a file of rows, with least and greatest values and nulls",
    async () => {
      const length = Math.max(...cases.map(([, , values]) => values.length)) + 1;
      const ddl = cases.map(([type], i) => `c${i} ${type}`).join(", ");
      const rows = Array.from({ length }, (_, row) => cases.map(([, , values]) => values[row] ?? null));
      const { types, values } = await readByPython(ddl, rows);
      for (const [i, [type, arrowType, given, expected]] of cases.entries()) {
        expect([type, types[`c${i}`]]).toEqual([type, arrowType]);
        const padding = Array.from({ length: length - given.length }, () => null);
        expect([type, values[`c${i}`]]).toEqual([type, [...expected, ...padding]]);
      }
    },
  );

  it.skipIf(!hasPython)(
    "The library pyarrow reads the same values from rows by name and by position, and NOT NULL from the schema",
    async () => {
      const ddl = cases.map(([type], i) => `c${i} ${type}${type === "void" ? "" : " NOT NULL"}`).join(", ");
      const values = cases.map(([, , [first]]) => first);
      const named = Object.fromEntries(values.map((value, i) => [`c${i}`, value]));
      const found = await readByPython(ddl, [values, named]);
      for (const [i, [type, arrowType, , [expected]]] of cases.entries()) {
        expect(found.types[`c${i}`]).toBe(type === "void" ? arrowType : `${arrowType} not null`);
        expect([type, found.values[`c${i}`]]).toEqual([type, [expected, expected]]);
      }
    },
  );

  it.skipIf(!hasPython)(
    "The library pyarrow reads nested nulls and empty collections in their places over several record batches",
    async () => {
      const value = (i: number) =>
        i % 7 === 0
          ? null
          : { t: Array.from({ length: i % 4 }, (_, j) => (j === 2 ? null : { k: `${i}.${j}é` })) };
      const rows = Array.from({ length: 20_001 }, (_, i) => [i, value(i)]);
      const { values } = await readByPython("i bigint NOT NULL, s struct<t:array<map<string,string>>>", rows);
      expect(values["i"]).toEqual(rows.map((_, i) => String(i)));
      const pairs = (map: object | null) => (map === null ? null : Object.entries(map));
      const expected = rows.map((_, i) => {
        const struct = value(i);
        return struct === null ? null : { t: struct.t.map(pairs) };
      });
      expect(values["s"]).toEqual(expected);
    },
  );
});
