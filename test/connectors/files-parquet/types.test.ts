import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { hasPython, runPython } from "../../support/python.ts";
import { exactRows } from "./exact-values.ts";
import { madeFile } from "./made-file.ts";
import { batchesOf, failure, type ParquetOptions } from "./source.ts";

async function rowsIn(options: ParquetOptions, ddl?: string): Promise<Record<string, unknown>[]> {
  const schema = ddl === undefined ? undefined : parseDdl(ddl);
  const rows: Record<string, unknown>[] = [];
  for await (const batch of batchesOf(options, schema)) rows.push(...rowsOf(batch));
  return rows;
}

const IMPORTS = `
import sys, datetime as dt, decimal, uuid
import pyarrow as pa, pyarrow.parquet as pq
folder = sys.argv[1]
D = decimal.Decimal
UTC = dt.timezone.utc
`;

/** pyarrow's array, a type of the schema, and the values that are read, or the error's code. */
type Case = readonly [array: string, type: string, expected: readonly unknown[] | string, where?: object];

const NS = 'pa.array([1_700_000_000_123_456_789], pa.timestamp("ns", "UTC"))';
const TIMESTAMP = 'pa.array([dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)], pa.timestamp("ms", "UTC"))';
const LOCAL = 'pa.array([dt.datetime(2026, 1, 2, 3, 4, 5)], pa.timestamp("us"))';

const CASES: readonly Case[] = [
  // Values that another type holds exactly.
  ["pa.array([1, -1], pa.int8())", "bigint", [1, -1]],
  ["pa.array([1, -1], pa.int64())", "tinyint", [1, -1]],
  ["pa.array([2**31], pa.int64())", "int", "ROW_MISMATCH", { row: 1, field: "c" }],
  ["pa.array([2**63], pa.uint64())", "bigint", "ROW_MISMATCH", { row: 1, field: "c" }],
  ["pa.array([2**32 - 1], pa.uint32())", "bigint", [4294967295]],
  ["pa.array([2**31 - 1], pa.int32())", "double", [2147483647]],
  ["pa.array([7, -7], pa.int32())", "decimal(12,2)", ["7.00", "-7.00"]],
  ["pa.array([0.1], pa.float32())", "double", [0.10000000149011612]],
  ["pa.array([0.5, -2.0], pa.float16())", "float", [0.5, -2]],
  ['pa.array([D("1.50")], pa.decimal128(9, 2))', "decimal(12,4)", ["1.5000"]],
  ['pa.array([D("123456.50")], pa.decimal128(9, 2))', "decimal(5,2)", "ROW_MISMATCH", { row: 1, field: "c" }],
  ["pa.array([D(7)], pa.decimal128(38, 0))", "bigint", [7]],
  ["pa.nulls(2)", "string", [null, null]],
  ["pa.nulls(2)", "array<int>", [null, null]],
  [TIMESTAMP, "timestamp", ["2026-01-02T03:04:05.000Z"]],
  [LOCAL, "timestamp_ntz", ["2026-01-02T03:04:05.000"]],
  // Types whose values would be rounded, or whose meaning is not that of the schema's type.
  ["pa.array([1], pa.int64())", "double", "COLUMN_TYPE_MISMATCH"],
  ["pa.array([1], pa.int32())", "float", "COLUMN_TYPE_MISMATCH"],
  ["pa.array([0.1], pa.float64())", "float", "COLUMN_TYPE_MISMATCH"],
  ["pa.array([1.0], pa.float64())", "bigint", "COLUMN_TYPE_MISMATCH"],
  ["pa.array([1.0], pa.float64())", "decimal(9,2)", "COLUMN_TYPE_MISMATCH"],
  ['pa.array([D("1.50")], pa.decimal128(9, 2))', "decimal(9,1)", "COLUMN_TYPE_MISMATCH"],
  ['pa.array([D("1.50")], pa.decimal128(9, 2))', "bigint", "COLUMN_TYPE_MISMATCH"],
  ['pa.array([D("1.50")], pa.decimal128(9, 2))', "double", "COLUMN_TYPE_MISMATCH"],
  ['pa.array([D("1.50")], pa.decimal128(9, 2))', "string", "COLUMN_TYPE_MISMATCH"],
  ['pa.array(["1"])', "int", "COLUMN_TYPE_MISMATCH"],
  ['pa.array(["1"])', "binary", "COLUMN_TYPE_MISMATCH"],
  ['pa.array(["2026-01-02"])', "date", "COLUMN_TYPE_MISMATCH"],
  ['pa.array([b"1"])', "string", "COLUMN_TYPE_MISMATCH"],
  ["pa.array([True])", "int", "COLUMN_TYPE_MISMATCH"],
  ["pa.array([1])", "boolean", "COLUMN_TYPE_MISMATCH"],
  ["pa.array([dt.date(2026, 1, 2)])", "timestamp", "COLUMN_TYPE_MISMATCH"],
  ["pa.array([dt.date(2026, 1, 2)])", "string", "COLUMN_TYPE_MISMATCH"],
  ["pa.array([20000], pa.int32())", "date", "COLUMN_TYPE_MISMATCH"],
  ["pa.array([1700000000123])", "timestamp", "COLUMN_TYPE_MISMATCH"],
  ["pa.array([1700000000123])", "timestamp_ntz", "COLUMN_TYPE_MISMATCH"],
  ["pa.array([1700000000123])", "time", "COLUMN_TYPE_MISMATCH"],
  ['pa.array([1], pa.duration("us"))', "interval day to second", "COLUMN_TYPE_MISMATCH"],
  ["pa.array([dt.time(1)])", "timestamp", "COLUMN_TYPE_MISMATCH"],
  ["pa.array([dt.time(1)])", "bigint", "COLUMN_TYPE_MISMATCH"],
  [TIMESTAMP, "timestamp_ntz", "COLUMN_TYPE_MISMATCH"],
  [LOCAL, "timestamp", "COLUMN_TYPE_MISMATCH"],
  [TIMESTAMP, "bigint", "COLUMN_TYPE_MISMATCH"],
  [TIMESTAMP, "date", "COLUMN_TYPE_MISMATCH"],
  [TIMESTAMP, "string", "COLUMN_TYPE_MISMATCH"],
  [NS, "timestamp", "FILE_MALFORMED", { row: 1 }],
  ["pa.array([1], pa.time64('ns'))", "time", "FILE_MALFORMED", { row: 1 }],
  // Nested types, each part of them.
  ["pa.array([[1, 2]])", "array<int>", [[1, 2]]],
  ["pa.array([[1700000000123]])", "array<timestamp>", "COLUMN_TYPE_MISMATCH", { field: "c.list.element" }],
  ["pa.array([[1]])", "int", "COLUMN_TYPE_MISMATCH"],
  ["pa.array([1])", "array<int>", "COLUMN_TYPE_MISMATCH"],
  ["pa.array([1])", "struct<a:int>", "COLUMN_TYPE_MISMATCH"],
  ['pa.array([{"a": 1}])', "map<string,int>", "COLUMN_TYPE_MISMATCH"],
  ['pa.array([{"a": 1, "b": "x"}])', "struct<b:string>", [{ b: "x" }]],
  ['pa.array([{"a": 1, "b": "x"}])', "struct<b:string,a:bigint>", [{ b: "x", a: 1 }]],
  ['pa.array([{"a": 1}])', "struct<a:string>", "COLUMN_TYPE_MISMATCH", { field: "c.a" }],
  ['pa.array([{"a": 1}])', "struct<a:int,z:int>", "COLUMN_MISSING", { field: "c.z" }],
  ['pa.array([{"a": 1}])', "struct<z:int>", "COLUMN_TYPE_MISMATCH"],
  ['pa.array([{"A": 1, "b": 2}])', "struct<a:int,b:int>", "COLUMN_MISNAMED"],
  ['pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))', "map<string,int>", [{ k: 1 }]],
  ['pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))', "struct<k:int>", "COLUMN_TYPE_MISMATCH"],
  ['pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))', "map<bigint,int>", "COLUMN_TYPE_MISMATCH"],
  [
    'pa.array([[("k", 1), ("k", 2)]], pa.map_(pa.string(), pa.int64()))',
    "map<string,int>",
    "FILE_MALFORMED",
    { row: 1 },
  ],
  // Types that are stored in another one.
  [
    "pa.array([uuid.UUID(int=2**127 + 10).bytes], pa.uuid())",
    "string",
    ["80000000-0000-0000-0000-00000000000a"],
  ],
  ["pa.array([uuid.UUID(int=1).bytes], pa.uuid())", "binary", "COLUMN_TYPE_MISMATCH"],
  ["pa.array(['{\"a\": 1}'], pa.json_())", "string", ['{"a": 1}']],
  [
    "pa.StringArray.from_buffers(1, pa.array([0, 1], pa.int32()).buffers()[1], pa.py_buffer(b'\\xff'))",
    "string",
    "FILE_MALFORMED",
    { row: 1 },
  ],
];

describe.skipIf(!hasPython)("the types of a Parquet file", () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  beforeAll(() => {
    const writes = CASES.map(
      ([array], i) => `pq.write_table(pa.table({"c": ${array}}), f"{folder}/${i}.parquet")`,
    );
    runPython(`${IMPORTS}\n${writes.join("\n")}\nprint("null")`, [folder]);
  });

  it.each(CASES.map((one, i) => [i, ...one] as const))(
    "Case %i, %s under %s, is read as it is, or is an error that names the column",
    async (i, _array, type, expected, where) => {
      const options = { path: folder, pattern: `${i}.parquet` };
      if (typeof expected !== "string") {
        const rows = await rowsIn(options, `c ${type}`);
        expect(rows.map((row) => row["c"])).toEqual(expected);
        return;
      }
      const error = await failure(rowsIn(options, `c ${type}`));
      expect(error).toMatchObject({
        code: expected,
        where: { path: join(folder, `${i}.parquet`), ...where },
      });
      expect(`${error.message} ${error.where.field}`).toMatch(/\bc\b|nanoseconds/);
      if (expected === "COLUMN_TYPE_MISMATCH") {
        // The hint has the column as the schema should have it, and it can be pasted.
        const ddl = /Write `(.+)` in/.exec(error.hint ?? "")?.[1] ?? "";
        expect(await rowsIn(options, ddl)).toHaveLength(1);
      }
    },
  );

  it("The error of a Parquet column says which type was expected, and which was found", async () => {
    const messages = await Promise.all(
      [LOCAL, "pa.array([1700000000123])", "pa.array([dt.time(1)])", "pa.array([[1700000000123]])"].map(
        async (array) => {
          const i = CASES.findIndex(
            ([one, type, expected]) =>
              one === array && /\btimestamp>?$/.test(type) && expected === "COLUMN_TYPE_MISMATCH",
          );
          const [, type] = CASES[i] ?? [];
          return (await failure(rowsIn({ path: folder, pattern: `${i}.parquet` }, `c ${type}`))).message;
        },
      ),
    );
    expect(messages).toEqual([
      'column "c": the schema has timestamp, the file has TIMESTAMP(MICROS, isAdjustedToUTC=false)',
      'column "c": the schema has timestamp, the file has INT64 without a logical type, so its unit is not known',
      'column "c": the schema has timestamp, the file has TIME(MICROS, isAdjustedToUTC=false)',
      'column "c.list.element": the schema has timestamp, the file has INT64 without a logical type, so its unit is not known',
    ]);
  });

  it("The types of each Parquet file are compared, not only those of the first one", async () => {
    const each = temporaryFolder();
    runPython(
      `${IMPORTS}
pq.write_table(pa.table({"id": [1], "at": ${TIMESTAMP}}), f"{folder}/a.parquet")
pq.write_table(pa.table({"id": [1], "at": [1700000000123]}), f"{folder}/b.parquet")
print("null")`,
      [each],
    );
    expect(await failure(rowsIn({ path: each }))).toMatchObject({
      code: "COLUMN_TYPE_MISMATCH",
      where: { path: join(each, "b.parquet"), field: "at" },
    });
  });

  it("A text in a Parquet file keeps its byte order mark", async () => {
    const marked = temporaryFolder();
    runPython(
      `${IMPORTS}\npq.write_table(pa.table({"c": ["\\ufeffa"]}), f"{folder}/a.parquet")\nprint("null")`,
      [marked],
    );
    const [batch] = await Array.fromAsync(batchesOf({ path: marked }));
    expect(batch === undefined ? [] : exactRows(batch)).toEqual([["\uFEFFa"]]);
  });

  it("A struct of a Parquet file that has a field twice is an error, unless another field is read", async () => {
    const twice = temporaryFolder();
    runPython(
      `${IMPORTS}
arrays = [pa.array([1]), pa.array([2]), pa.array([3])]
pq.write_table(pa.table({"c": pa.StructArray.from_arrays(arrays, names=["a", "a", "b"])}), f"{folder}/a.parquet")
print("null")`,
      [twice],
    );
    for (const ddl of [undefined, "c struct<a:int>"])
      expect(await failure(rowsIn({ path: twice }, ddl))).toMatchObject({
        code: "FILE_MALFORMED",
        message: expect.stringContaining('it has the column "c.a" twice'),
      });
    expect(await rowsIn({ path: twice }, "c struct<b:int>")).toEqual([{ c: { b: 3 } }]);
  });

  it("An INT96 of Spark is an instant, whatever its dictionary, and no local time", async () => {
    const spark = temporaryFolder();
    runPython(
      `${IMPORTS}
t = pa.table({"at": pa.array([dt.datetime(1969, 12, 31, 23, 59, 59, 999999), dt.datetime(2026, 1, 2, 3, 4, 5, 6), None], pa.timestamp("us"))})
for d in (False, True): pq.write_table(t, f"{folder}/{d}.parquet", use_deprecated_int96_timestamps=True, use_dictionary=d)
print("null")`,
      [spark],
    );
    const rows = [{ at: "1969-12-31T23:59:59.999999Z" }, { at: "2026-01-02T03:04:05.000006Z" }, { at: null }];
    expect(await rowsIn({ path: spark })).toEqual([...rows, ...rows]);
    expect(await failure(rowsIn({ path: spark }, "at timestamp_ntz"))).toMatchObject({
      code: "COLUMN_TYPE_MISMATCH",
      message: expect.stringContaining("INT96"),
    });
  });

  it("A Parquet column of intervals, of variants or of nothing but a name is no obstacle if it is left out", async () => {
    const odd = temporaryFolder();
    const interval = { 1: 7, 2: 12, 6: 21 };
    writeFileSync(
      join(odd, "a.parquet"),
      madeFile([
        { name: "i", values: [1n], element: interval, meta: { 1: 7 } },
        { name: "id", values: [1n] },
      ]),
    );
    expect(await failure(rowsIn({ path: odd }))).toMatchObject({
      code: "TYPE_NOT_SUPPORTED",
      message: expect.stringContaining("INTERVAL"),
      where: { path: join(odd, "a.parquet"), field: "i" },
    });
    expect(await rowsIn({ path: odd }, "id bigint")).toEqual([{ id: 1 }]);
  });
});

describe.skipIf(!hasPython)("a Parquet file with changed bytes", () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-"));
  const files: string[] = [];
  afterAll(() => rmSync(folder, { recursive: true }));

  beforeAll(() => {
    files.push(
      ...runPython<string[]>(
        `${IMPORTS}
import json, random
random.seed(7)
n = 60
t = pa.table({
  "id": pa.array(range(n)), "n": pa.array([i if i % 3 else None for i in range(n)], pa.int32()), "b": pa.array([i % 2 == 0 for i in range(n)]),
  "s": pa.array([f"name {i % 5}" for i in range(n)]), "x": pa.array([random.randbytes(i % 9) for i in range(n)]), "f": pa.array([i / 7 for i in range(n)]),
  "l": pa.array([[j if j % 4 else None for j in range(i % 5)] if i % 7 else None for i in range(n)]),
  "m": pa.array([[(f"k{j}", j) for j in range(i % 3)] for i in range(n)], pa.map_(pa.string(), pa.int64())),
  "t": pa.array([{"a": i, "l": ["x"] * (i % 3)} if i % 5 else None for i in range(n)]),
})
names = []
for codec in ("none", "snappy", "gzip", "zstd", "brotli", "lz4"):
  for version, encoding in (("1.0", None), ("2.0", {"id": "DELTA_BINARY_PACKED", "n": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY", "x": "DELTA_LENGTH_BYTE_ARRAY", "f": "BYTE_STREAM_SPLIT", "b": "RLE"})):
    for crc in (True, False):
      name = f"{codec}-{version}-{crc}.parquet"
      pq.write_table(t, f"{folder}/{name}", compression=codec, data_page_version=version, column_encoding=encoding, use_dictionary=encoding is None, write_page_checksum=crc, data_page_size=200, row_group_size=40)
      names.append(name)
print(json.dumps(names))`,
        [folder],
      ),
    );
  });

  /** Reads a file with one bit changed. Returns its rows as text, or the error. */
  async function changed(name: string, bit: number): Promise<unknown> {
    const bytes = readFileSync(join(folder, name));
    const at = Math.floor(bit / 8) % bytes.length;
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit % 8));
    writeFileSync(join(folder, "changed"), bytes);
    return await rowsIn({ path: folder, pattern: "changed" }).then(textOf, (error: unknown) => error);
  }

  const textOf = (rows: unknown): string => JSON.stringify(rows);

  it("A bit that is changed in any page with a checksum is an error, or changes no value", async () => {
    for (const name of files.filter((one) => one.includes("True"))) {
      const bytes = readFileSync(join(folder, name));
      const footer = bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8);
      const rows = textOf(await rowsIn({ path: folder, pattern: name }));
      for (let at = 4; at < footer; at += 23) {
        const found = await changed(name, at * 8 + (at % 8));
        if (found !== rows) expect([name, at, found]).toEqual([name, at, expect.any(MillraceError)]);
      }
    }
  });

  it("A bit that is changed anywhere in a file is an error with a code, or other rows, but no crash", async () => {
    let seed = 20261128;
    for (const name of files) {
      for (let i = 0; i < 60; i++) {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        const found = await changed(name, seed);
        if (typeof found === "string") continue;
        expect([name, seed, found]).toEqual([name, seed, expect.any(MillraceError)]);
        const { cause } = found as MillraceError;
        expect([name, seed, cause]).not.toEqual([name, seed, expect.any(TypeError)]);
      }
    }
  });
});
