import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RecordBatch } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { openIpc } from "../../shared/arrow/ipc/read-ipc.ts";
import { encodeFile } from "../../shared/arrow/ipc-file.ts";
import { toRecordBatches } from "../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { temporaryFolder } from "../support/folder.ts";
import { hasPython, runPython } from "../support/python.ts";

/**
 * Columns of all types, which pyarrow writes, Millrace reads, cuts into pieces and writes, and
 * pyarrow compares with the same pieces of its own.
 */

const COLUMNS = `
import datetime as dt, decimal, json, random, sys, pyarrow as pa, pyarrow.ipc as ipc
N = 61
rnd = random.Random(7)
def some(make, nulls=True): return [None if nulls and rnd.random() < 0.25 else make(i) for i in range(N)]
word = lambda i: ["", "ü", "𝕩 and more than twelve bytes", "end", "x%d" % i][rnd.randrange(5)]
ints = {f"{s}int{b}": pa.array(some(lambda i: rnd.randrange(-(2**(b-1)) if s == "" else 0, 2**(b-1) if s == "" else 2**b)), getattr(pa, f"{s}int{b}")()) for s in ["", "u"] for b in [8, 16, 32, 64]}
units = ["s", "ms", "us", "ns"]
big = lambda i: rnd.randrange(-2**40, 2**40)
times = {f"ts_{u}_{z}": pa.array(some(big), pa.timestamp(u, z)) for u in units for z in [None, "UTC", "Europe/Berlin"]}
times |= {f"dur_{u}": pa.array(some(big), pa.duration(u)) for u in units}
times |= {"t32s": pa.array(some(lambda i: rnd.randrange(86400)), pa.time32("s")), "t32ms": pa.array(some(lambda i: rnd.randrange(86400000)), pa.time32("ms")),
  "t64us": pa.array(some(lambda i: rnd.randrange(86400 * 10**6)), pa.time64("us")), "t64ns": pa.array(some(lambda i: rnd.randrange(86400 * 10**9)), pa.time64("ns")),
  "d32": pa.array(some(lambda i: rnd.randrange(-10**5, 10**5)), pa.date32()), "d64": pa.array(some(lambda i: 86400000 * rnd.randrange(-10**4, 10**4)), pa.date64()),
  "mdn": pa.array(some(lambda i: pa.MonthDayNano([rnd.randrange(-99, 99), rnd.randrange(-99, 99), big(i)])))}
dec = lambda p, s: lambda i: decimal.Decimal(rnd.randrange(-10**p + 1, 10**p)).scaleb(-s, decimal.Context(prec=80))
decimals = {f"dec{b}": pa.array(some(dec(p, 3)), t(p, 3)) for b, p, t in [(32, 9, pa.decimal32), (64, 18, pa.decimal64), (128, 38, pa.decimal128), (256, 76, pa.decimal256)]}
texts = {t: pa.array(some(word), getattr(pa, t)()) for t in ["string", "large_string", "string_view"]}
texts |= {t: pa.array(some(lambda i: word(i).encode()), getattr(pa, t)()) for t in ["binary", "large_binary", "binary_view"]}
texts |= {"fixed": pa.array(some(lambda i: rnd.randbytes(5)), pa.binary(5)), "no_nulls": pa.array(some(word, False))}
floats = {t: pa.array(some(lambda i: rnd.choice([0.0, -0.0, 1.5, float("inf"), float("nan"), -0.1])), getattr(pa, t)()) for t in ["float16", "float32", "float64"]}
items = lambda make: lambda i: [None if rnd.random() < 0.2 else make(i) for _ in range(rnd.randrange(4))]
pair = pa.struct([("x", pa.int16()), ("y", pa.large_string())])
point = lambda i: {"x": rnd.randrange(99), "y": word(i)}
dict_type = pa.dictionary(pa.int8(), pa.string())
lists = {"list": pa.array(some(items(word)), pa.list_(pa.string())), "large_list": pa.array(some(items(point)), pa.large_list(pair)),
  "bools": pa.array(some(items(lambda i: rnd.random() < 0.5)), pa.list_(pa.bool_())), "bool": pa.array(some(lambda i: rnd.random() < 0.5)),
  "fsl": pa.array(some(lambda i: [point(i), None, point(i)]), pa.list_(pair, 3)), "struct": pa.array(some(point), pair),
  "fsl_bools": pa.array(some(lambda i: [True, None, False]), pa.list_(pa.bool_(), 3)),
  "map": pa.array(some(lambda i: [(f"k{j}", word(i)) for j in range(rnd.randrange(3))]), pa.map_(pa.string(), pa.large_string())),
  "int_map": pa.array(some(lambda i: [(j, big(i)) for j in range(rnd.randrange(3))]), pa.map_(pa.int32(), pa.int64())),
  "nothing": pa.nulls(N), "nothings": pa.array(some(lambda i: [None] * rnd.randrange(3)), pa.list_(pa.null())),
  "dicts": pa.array(some(items(word)), pa.list_(dict_type)), "dict_struct": pa.array(some(lambda i: {"d": word(i)}), pa.struct([("d", dict_type)])),
  "dict_large": pa.array(some(word), pa.large_string()).dictionary_encode(), "dict_int": pa.array(some(lambda i: rnd.randrange(5)), pa.int64()).dictionary_encode(),
  "dict_nulls": pa.DictionaryArray.from_arrays(pa.array([rnd.randrange(3) if rnd.random() < 0.8 else None for _ in range(N)], pa.int32()), pa.array(["a", None, "b"]))}
lists |= {f"dict_{s}{b}": pa.array(some(lambda i: "v%d" % rnd.randrange(9))).dictionary_encode().cast(pa.dictionary(getattr(pa, f"{s}int{b}")(), pa.string())) for s in ["", "u"] for b in [8, 16, 32, 64]}
ids = pa.array([rnd.choice([5, 7]) for _ in range(N)], pa.int8())
offsets, counts = [], {5: 0, 7: 0}
for v in ids.to_pylist():
  offsets.append(counts[v]); counts[v] += 1
unions = {"sparse": pa.UnionArray.from_sparse(ids, [pa.array(some(big)), pa.array(some(word))], ["a", "b"], [5, 7]),
  "dense": pa.UnionArray.from_dense(ids, pa.array(offsets, pa.int32()), [pa.array(some(big))[:counts[5]], pa.array(some(point), pair)[:counts[7]]], ["a", "b"], [5, 7])}
table = pa.table(ints | times | decimals | texts | floats | lists | unions)
CUTS = [(0, N), (3, 3), (1, 9), (5, 40), (13, 61), (60, 61)]
`;

const WRITE = `${COLUMNS}
with ipc.new_stream(sys.argv[1], table.schema) as out: out.write_table(table)
print(json.dumps(CUTS))`;

const COMPARE = `${COLUMNS}
with ipc.open_file(sys.argv[1]) as file: found = file.read_all()
found.validate(full=True)
expected = pa.concat_tables([table.slice(a, b - a) for a, b in CUTS])
def plain(column): return repr([str(v) for v in column.to_pylist()] if pa.types.is_interval(column.type) else column.to_pylist())
def raw(column):
  t = column.type
  return column.cast(pa.int64()) if pa.types.is_timestamp(t) or pa.types.is_duration(t) or pa.types.is_time64(t) else column
print(json.dumps({
  "schema": [[f"{a}", f"{b}"] for a, b in zip(found.schema, table.schema) if a.name != b.name or a.type != b.type],
  "values": [n for n in table.column_names if plain(raw(found[n])) != plain(raw(expected[n]))],
  "rows": found.num_rows, "columns": found.num_columns}))`;

async function batchesIn(path: string): Promise<RecordBatch[]> {
  const bytes = readFileSync(path);
  const reader = await openIpc({ size: bytes.length, range: async (from, to) => bytes.subarray(from, to) });
  return await Array.fromAsync(reader.batches());
}

describe.skipIf(!hasPython)("columns of all types", () => {
  it("The library pyarrow reads the same values of all types from pieces of record batches that Millrace wrote", async () => {
    const folder = temporaryFolder();
    const cuts = runPython<[number, number][]>(WRITE, [join(folder, "in.arrows")]);
    const [batch, ...others] = await batchesIn(join(folder, "in.arrows"));
    expect(others).toEqual([]);
    const { schema } = batch as RecordBatch;
    const pieces = cuts.map(([begin, end]) => (batch as RecordBatch).slice(begin, end));
    const path = join(folder, "out.arrow");
    const chunks = await Array.fromAsync(encodeFile(schema, toRecordBatches(schema, pieces, {})));
    writeFileSync(path, Buffer.concat(chunks));
    const rows = cuts.reduce((sum, [begin, end]) => sum + end - begin, 0);
    const columns = schema.fields.length;
    expect(runPython(COMPARE, [path])).toEqual({ schema: [], values: [], rows, columns });
    // Pieces have the same rows as the whole has.
    const all = [...rowsOf(batch as RecordBatch)];
    expect(pieces.flatMap((piece) => [...rowsOf(piece)])).toEqual(
      cuts.flatMap(([begin, end]) => all.slice(begin, end)),
    );
  });
});
