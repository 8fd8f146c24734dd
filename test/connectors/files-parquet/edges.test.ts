import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../support/folder.ts";
import { hasPython, runPython } from "../../support/python.ts";
import { compare } from "./compare.ts";
import { type PythonFile, READ_WITH_PYARROW } from "./exact-values.ts";

/** Writes tables with what seldom occurs, in each codec and version, as a seed has it. */
const WRITE = `
import sys, random, decimal, datetime as dt
import pyarrow as pa, pyarrow.parquet as pq
folder, seed = sys.argv[1], int(sys.argv[2])
random.seed(seed)
D = decimal.Decimal
long = "x" * 100_000
tables = {
  "no-rows": pa.table({"a": pa.array([], pa.int64()), "l": pa.array([], pa.list_(pa.string())), "d": pa.array([], pa.string())}),
  "nulls": pa.table({"a": pa.nulls(50, pa.int64()), "s": pa.nulls(50, pa.string()), "l": pa.nulls(50, pa.list_(pa.int32())), "t": pa.nulls(50, pa.struct([("x", pa.int32())])), "b": pa.nulls(50, pa.bool_()), "n": pa.nulls(50)}),
  "empties": pa.table({"s": pa.array([""] * 50), "x": pa.array([b""] * 50), "l": pa.array([[]] * 50, pa.list_(pa.int8())), "m": pa.array([[]] * 50, pa.map_(pa.string(), pa.int8()))}),
  "one": pa.table({"s": ["only"], "b": [True], "f": [float("nan")], "d": [D("-0.01")]}),
  "one-value": pa.table({"s": ["same"] * 3000, "i": [7] * 3000, "b": [True] * 3000}),
  "long": pa.table({"s": [long, "", long, None] * 3, "x": [long.encode()] * 12}),
  "integers": pa.table({
    "i64": pa.array([random.choice([-2**63, 2**63 - 1, 0, random.getrandbits(63) - 2**62]) for _ in range(700)]),
    "i32": pa.array([random.choice([-2**31, 2**31 - 1, 0, random.getrandbits(31) - 2**30]) for _ in range(700)], pa.int32()),
    "step": pa.array([i * 1000 + random.randint(0, 3) for i in range(700)]),
    "down": pa.array([-i for i in range(700)], pa.int32()),
    "u64": pa.array([random.getrandbits(64) for _ in range(700)], pa.uint64()),
    "u8": pa.array([random.getrandbits(8) if i % 5 else None for i in range(700)], pa.uint8()),
  }),
  "texts": pa.table({
    "sorted": pa.array(sorted(f"prefix/{random.randint(0, 10**6)}/\u00e9" for _ in range(700))),
    "few": pa.array([random.choice(["a", "b", "U0001F600"]) if i % 9 else None for i in range(700)]),
    "many": pa.array([str(random.random()) for _ in range(700)]),
    "fixed": pa.array([random.randbytes(5) if i % 4 else None for i in range(700)], pa.binary(5)),
  }),
  "decimals": pa.table({f"d{p}": pa.array([D(random.randint(-10**p + 1, 10**p - 1)).scaleb(-s) for _ in range(100)], pa.decimal128(p, s)) for p, s in [(1, 0), (4, 2), (9, 9), (10, 0), (18, 4), (19, 1), (38, 38), (38, 0)]}),
  "deep": pa.table({"c": pa.array([[[[{"a": [i, None], "m": [("k", [[i]])]}], []], None] if i % 6 else None for i in range(300)], pa.list_(pa.list_(pa.list_(pa.struct([("a", pa.list_(pa.int64())), ("m", pa.map_(pa.string(), pa.list_(pa.list_(pa.int16()))))])))))}),
  "wide": pa.table({f"c{i}": pa.array([i, None, -i], pa.int32()) for i in range(400)}),
  "rows-of-lists": pa.table({"l": pa.array([list(range(random.choice([0, 1, 900]))) for _ in range(60)]), "t": pa.array([[{"a": j, "b": None} for j in range(random.choice([0, 700]))] for _ in range(60)], pa.list_(pa.struct([("a", pa.int32()), ("b", pa.string())])))}),
  "times": pa.table({"ms": pa.array([random.randint(-10**13, 10**13) for _ in range(90)], pa.timestamp("ms")), "ns": pa.array([random.randint(-10**14, 10**14) * 1000 for _ in range(90)], pa.timestamp("ns", "UTC")), "tz": pa.array([i for i in range(90)], pa.timestamp("us", "Asia/Tokyo")), "t": pa.array([i * 10**6 for i in range(90)], pa.time64("us")), "t32": pa.array([i for i in range(90)], pa.time32("ms"))}),
}
DELTA = {"int": "DELTA_BINARY_PACKED", "string": random.choice(["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"]), "fixed": random.choice(["DELTA_BYTE_ARRAY", "BYTE_STREAM_SPLIT"]), "float": "BYTE_STREAM_SPLIT", "bool": "RLE"}
def encoding(t):
  if pa.types.is_integer(t) or pa.types.is_temporal(t): return DELTA["int"]
  if pa.types.is_string(t) or pa.types.is_binary(t): return DELTA["string"]
  if pa.types.is_fixed_size_binary(t) and not pa.types.is_decimal(t): return DELTA["fixed"]
  return {pa.float64(): DELTA["float"], pa.bool_(): DELTA["bool"]}.get(t)
for name, table in tables.items():
  for version in ("1.0", "2.0"):
    columns = {f.name: encoding(f.type) for f in table.schema if encoding(f.type)} if random.random() < .5 else None
    pq.write_table(table, f"{folder}/{name}-{version}.parquet", compression=random.choice(["none", "snappy", "gzip", "brotli", "zstd", "lz4"]), data_page_version=version,
      use_dictionary=columns is None and random.random() < .7, column_encoding=columns, data_page_size=random.choice([1, 100, 10**6]), row_group_size=random.choice([7, 200, 10**6]),
      write_page_checksum=random.random() < .5, write_page_index=random.random() < .5, store_decimal_as_integer=random.random() < .5, dictionary_pagesize_limit=random.choice([50, 10**6]))
print("null")`;

describe.skipIf(!hasPython)("Parquet files with what seldom occurs", () => {
  it.each([1, 2])("Parquet files of all kinds have the same values as in pyarrow: seed %i", async (seed) => {
    const folder = temporaryFolder();
    runPython(WRITE, [folder, String(seed)]);
    const files = runPython<PythonFile[]>(READ_WITH_PYARROW, [folder]);
    expect(files.length).toBeGreaterThan(20);
    for (const file of files)
      expect(await compare(folder, file)).toMatchObject({ name: file.name, outcome: "same" });
  });
});
