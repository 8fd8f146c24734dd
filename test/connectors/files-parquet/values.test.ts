import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Schema } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { Files } from "../../../shared/connectors/files/index.ts";
import { schemaToJson } from "../../../shared/contract/ddl/json.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { hasPython, runPython } from "../../support/python.ts";
import { batchesOf, failure, type ParquetOptions, parquetSource, task } from "./source.ts";

/**
 * Python code with which pyarrow writes files and reads them. It prints values in the form in which
 * sinks of rows receive them.
 */
const PRELUDE = `
import sys, json, math, base64, random, datetime as dt, decimal, uuid
import pyarrow as pa, pyarrow.parquet as pq
folder = sys.argv[1]
UTC = dt.timezone.utc
def time(v, zone):
  t = v.isoformat(timespec="microseconds").replace("+00:00", "")
  if t.endswith("000"): t = t[:-3]
  return t + ("Z" if zone else "")
def plain(v, t):
  if v is None: return None
  if pa.types.is_list(t) or pa.types.is_large_list(t): return [plain(x, t.value_type) for x in v]
  if pa.types.is_struct(t): return {f.name: plain(v[f.name], f.type) for f in t}
  if pa.types.is_map(t): return {str(plain(k, t.key_type)): plain(x, t.item_type) for k, x in v}
  if pa.types.is_timestamp(t): return time(v, t.tz is not None)
  if pa.types.is_time(t): return time(v, False)
  if pa.types.is_date(t): return v.isoformat()
  if pa.types.is_decimal(t): return format(v, "f")
  if pa.types.is_binary(t) or pa.types.is_fixed_size_binary(t): return base64.b64encode(v).decode()
  if pa.types.is_integer(t) and abs(v) > 2**53 - 1: return str(v)
  if isinstance(v, float) and not math.isfinite(v): return str(v)
  return v
def rows(t):
  return [{f.name: plain(r[f.name], f.type) for f in t.schema} for r in t.to_pylist()]
`;

async function rowsIn(options: ParquetOptions, given?: string): Promise<unknown[]> {
  const schema = given === undefined ? undefined : parseDdl(given);
  const rows: unknown[] = [];
  for await (const batch of batchesOf(options, schema)) rows.push(...rowsOf(batch));
  // JSON has no NaN and no infinities, and NaN is not equal to itself, so these values become text.
  return JSON.parse(
    JSON.stringify(rows, (_key, value: unknown) =>
      typeof value === "number" && !Number.isFinite(value)
        ? ({ NaN: "nan", Infinity: "inf", "-Infinity": "-inf" }[String(value)] ?? value)
        : value,
    ),
  ) as unknown[];
}

describe.skipIf(!hasPython)("a Parquet file of pyarrow", () => {
  it("A Parquet file has values of every type as pyarrow sees them, and its own schema", async () => {
    const folder = temporaryFolder();
    const expected = runPython<unknown[]>(
      `${PRELUDE}
D = decimal.Decimal
t = pa.table({
  "b": pa.array([True, False, None]),
  "i8": pa.array([-128, 127, None], pa.int8()), "i16": pa.array([-32768, 32767, None], pa.int16()), "i32": pa.array([-2**31, 2**31 - 1, None], pa.int32()),
  "i64": pa.array([-2**63, 2**63 - 1, None], pa.int64()),
  "u8": pa.array([0, 255, None], pa.uint8()), "u16": pa.array([0, 65535, None], pa.uint16()), "u32": pa.array([0, 2**32 - 1, None], pa.uint32()), "u64": pa.array([0, 2**64 - 1, None], pa.uint64()),
  "f32": pa.array([0.5, float("inf"), None], pa.float32()), "f64": pa.array([1e-300, float("nan"), None], pa.float64()), "f16": pa.array([0.5, -2.0, None], pa.float16()),
  "s": pa.array(["", "é\\U0001F600", None]), "bin": pa.array([b"", bytes(range(256)), None]), "fixed": pa.array([b"abcd", b"\\x00\\xff\\x00\\xff", None], pa.binary(4)),
  "day": pa.array([dt.date(1969, 12, 31), dt.date(9999, 12, 31), None]),
  "ms": pa.array([dt.datetime(1969, 12, 31, 23, 59, 59, 999000, UTC), dt.datetime(2026, 11, 21, 1, 2, 3, 4000, UTC), None], pa.timestamp("ms", "UTC")),
  "us": pa.array([dt.datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), dt.datetime(2026, 11, 21, 1, 2, 3, 4, UTC), None], pa.timestamp("us", "UTC")),
  "ns": pa.array([dt.datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), dt.datetime(2026, 11, 21, 1, 2, 3, 4, UTC), None], pa.timestamp("ns", "UTC")),
  "ntz": pa.array([dt.datetime(1, 1, 1), dt.datetime(2026, 11, 21, 1, 2, 3, 4), None], pa.timestamp("us")),
  "ntzms": pa.array([dt.datetime(1, 1, 1), dt.datetime(2026, 11, 21, 1, 2, 3), None], pa.timestamp("ms")),
  "tms": pa.array([dt.time(0), dt.time(23, 59, 59, 999000), None], pa.time32("ms")), "tus": pa.array([dt.time(0), dt.time(1, 2, 3, 4), None], pa.time64("us")), "tns": pa.array([dt.time(0), dt.time(1, 2, 3, 4), None], pa.time64("ns")),
  "d9": pa.array([D("-1234567.89"), D("0.01"), None], pa.decimal128(9, 2)), "d18": pa.array([D("-12345678901234.5678"), D("0"), None], pa.decimal128(18, 4)),
  "d38": pa.array([D("-12345678901234567890123456789012345678"), D(1), None], pa.decimal128(38, 0)), "d20": pa.array([D("1234567890123456.7891"), D("-0.0001"), None], pa.decimal128(20, 4)),
  "dict": pa.array(["x", "y", None]).dictionary_encode(),
})
pq.write_table(t, f"{folder}/a.parquet")
pq.write_table(t, f"{folder}/b.parquet", store_decimal_as_integer=True, version="1.0", coerce_timestamps="us", allow_truncated_timestamps=True)
wanted = t.set_column(t.schema.get_field_index("dict"), "dict", t["dict"].cast(pa.string()))
one = rows(wanted)
print(json.dumps(one + one))`,
      [folder],
    );
    expect(await rowsIn({ path: folder })).toEqual(expected);
    const { fields } = schemaToJson((await (await parquetSource({ path: folder })).schema()) as Schema);
    expect(
      fields
        .map(({ name, type }) => `${name} ${type}`)
        .join(", ")
        .toLowerCase(),
    ).toBe(
      "b boolean, i8 tinyint, i16 smallint, i32 int, i64 bigint, u8 uint8, u16 uint16, u32 uint32, u64 uint64, f32 float, f64 double, f16 float, " +
        "s string, bin binary, fixed binary, day date, ms timestamp, us timestamp, ns timestamp, ntz timestamp_ntz, ntzms timestamp_ntz, tms time, tus time, tns time, " +
        "d9 decimal(9,2), d18 decimal(18,4), d38 decimal(38,0), d20 decimal(20,4), dict string",
    );
  });

  it.each([1, 2, 3])(
    "A Parquet file has nested values as pyarrow sees them, with nulls and empty collections: seed %i",
    async (seed) => {
      const folder = temporaryFolder();
      const expected = runPython<unknown[]>(
        `${PRELUDE}
random.seed(int(sys.argv[2]))
def some_type(depth):
  kind = random.choice(["leaf", "list", "struct", "map"] if depth else ["leaf"])
  if kind == "list": return pa.list_(pa.field("element", some_type(depth - 1), random.random() < .7))
  if kind == "struct": return pa.struct([pa.field(n, some_type(depth - 1), random.random() < .7) for n in "pqr"[:random.randint(1, 3)]])
  if kind == "map": return pa.map_(random.choice([pa.string(), pa.int64()]), pa.field("value", some_type(depth - 1), random.random() < .7))
  return random.choice([pa.int64(), pa.string(), pa.decimal128(20, 3), pa.timestamp("us", "UTC"), pa.bool_(), pa.binary()])
def some(t, nullable):
  if nullable and random.random() < .25: return None
  if pa.types.is_list(t): return [some(t.value_type, t.value_field.nullable) for _ in range(random.choice([0, 0, 1, 2, 5]))]
  if pa.types.is_struct(t): return {f.name: some(f.type, f.nullable) for f in t}
  if pa.types.is_map(t):
    keys = random.sample(range(100), random.choice([0, 0, 1, 3]))
    return [(k if pa.types.is_integer(t.key_type) else str(k), some(t.item_type, t.item_field.nullable)) for k in keys]
  if pa.types.is_integer(t): return random.choice([0, 7, -2**63, 2**62 + 1])
  if pa.types.is_string(t): return random.choice(["", "a", "é" * 40])
  if pa.types.is_decimal(t): return decimal.Decimal(random.randint(-10**18, 10**18)).scaleb(-3)
  if pa.types.is_timestamp(t): return dt.datetime(2026, 1, 1, tzinfo=UTC) + dt.timedelta(microseconds=random.randint(-10**15, 10**15))
  if pa.types.is_boolean(t): return random.random() < .5
  return random.randbytes(random.choice([0, 3]))
fields = [pa.field(f"c{i}", some_type(3), random.random() < .7) for i in range(12)]
n = 2000
t = pa.table([pa.array([some(f.type, f.nullable) for _ in range(n)], f.type) for f in fields], schema=pa.schema(fields))
pq.write_table(t, f"{folder}/a.parquet", row_group_size=700, data_page_size=300, data_page_version=random.choice(["1.0", "2.0"]), use_dictionary=random.random() < .5, write_page_index=random.random() < .5)
print(json.dumps(rows(t)))`,
        [folder, String(seed)],
      );
      const rows = await rowsIn({ path: folder });
      expect(rows).toHaveLength(expected.length);
      rows.forEach((row, i) => {
        expect(row, `row ${i}`).toEqual(expected[i]);
      });
    },
  );

  it.each(["snappy", "gzip", "brotli", "zstd", "lz4", "none"])(
    "A Parquet file may be compressed with each common codec: %s",
    async (compression) => {
      const folder = temporaryFolder();
      const expected = runPython<unknown[]>(
        `${PRELUDE}
n = 20000
t = pa.table({"id": pa.array(range(n)), "name": pa.array([f"name {i % 100} " + "x" * (i % 37) for i in range(n)]), "v": pa.array([i / 7 if i % 3 else None for i in range(n)])})
for i, (encoding, version) in enumerate([(None, "1.0"), ({"id": "DELTA_BINARY_PACKED", "name": "DELTA_BYTE_ARRAY", "v": "BYTE_STREAM_SPLIT"}, "2.0")]):
  pq.write_table(t, f"{folder}/{i}.parquet", compression=sys.argv[2], row_group_size=6000, data_page_version=version, use_dictionary=encoding is None, column_encoding=encoding)
print(json.dumps(rows(t)))`,
        [folder, compression],
      );
      expect(await rowsIn({ path: folder })).toEqual([...expected, ...expected]);
    },
  );

  it("A large Parquet file is read by ranges, and only in the columns of the schema", async () => {
    const folder = temporaryFolder();
    runPython(
      `${PRELUDE}
n = 200000
t = pa.table({"noise": pa.array([random.randbytes(100) for i in range(n)]), "id": pa.array(range(n)), "group": pa.array([i % 3 for i in range(n)], pa.int8())})
pq.write_table(t, f"{folder}/a.parquet", row_group_size=50000, compression="none")
print("null")`,
      [folder],
    );
    const files = await parquetSource({ path: folder, missingColumns: "null" });
    let bytes = 0;
    const { openStore } = files.runtime;
    const runtime = Object.assign(Object.create(files.runtime) as typeof files.runtime, {
      openStore: (location: string) => {
        const store = openStore(location);
        const getRange = store.getRange.bind(store);
        store.getRange = async (...range) => {
          const read = await getRange(...range);
          bytes += read?.length ?? 0;
          return read;
        };
        return store;
      },
    });
    const reader = new Files(files.options, runtime).reader(
      parseDdl("group bigint, missing string, id bigint"),
    );
    let rows = 0;
    for (const partition of await reader.partitions()) {
      for await (const batch of (await reader.read(partition, task)) as AsyncIterable<never>) {
        for (const row of rowsOf(batch)) {
          expect(row["id"]).toBe(rows);
          expect(row["group"]).toBe(rows % 3);
          expect(row["missing"]).toBeNull();
          rows++;
        }
      }
    }
    expect(rows).toBe(200_000);
    expect(bytes).toBeLessThan(3 * 1024 * 1024);
  });

  it("A Parquet file with nanoseconds, or with types that rows do not have, is an error that says so", async () => {
    const folder = temporaryFolder();
    runPython(
      `${PRELUDE}
pq.write_table(pa.table({"ns": pa.array([1], pa.timestamp("ns", "UTC"))}), f"{folder}/ns.parquet")
pq.write_table(pa.table({"t": pa.array([decimal.Decimal(1)], pa.decimal256(60, 0)), "id": pa.array([1])}), f"{folder}/large.parquet")
print("null")`,
      [folder],
    );
    expect(await failure(rowsIn({ path: folder, pattern: "ns.*" }))).toMatchObject({
      code: "FILE_MALFORMED",
      message: expect.stringContaining("nanoseconds"),
      where: { path: join(folder, "ns.parquet"), row: 1 },
    });
    const large = { path: folder, pattern: "large.*" };
    expect(await failure(rowsIn(large))).toMatchObject({ code: "TYPE_NOT_SUPPORTED", where: { field: "t" } });
    expect(await rowsIn(large, "id bigint")).toEqual([{ id: 1 }]);
  });

  it("The error of a Parquet file whose values do not fit the schema has row and field", async () => {
    const folder = temporaryFolder();
    runPython(
      `${PRELUDE}
pq.write_table(pa.table({"id": pa.array([1, 2, 2**40])}), f"{folder}/a.parquet")
print("null")`,
      [folder],
    );
    expect(await failure(rowsIn({ path: folder }, "id int"))).toMatchObject({
      code: "ROW_MISMATCH",
      where: { path: join(folder, "a.parquet"), row: 3, field: "id" },
    });
  });
});

describe("a Parquet file", () => {
  it.each(["", "PAR1", "id,name\n1,a\n", `${"x".repeat(100)}PAR1`])(
    "A file that is not a Parquet file is an error: %j",
    async (body) => {
      const folder = temporaryFolder();
      writeFileSync(join(folder, "a.parquet"), body);
      expect(await failure(rowsIn({ path: folder }, "id int"))).toMatchObject({ code: "FILE_MALFORMED" });
    },
  );
});
