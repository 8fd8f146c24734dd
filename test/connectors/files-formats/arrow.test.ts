import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { constants, zstdCompressSync } from "node:zlib";
import {
  CompressionType,
  compressionRegistry,
  type Data,
  Field,
  Int32,
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  TimestampNanosecond,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { encodeFile } from "../../../shared/arrow/ipc-file.ts";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { schemaToJson } from "../../../shared/contract/ddl/json.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { hasPython, runPython } from "../../support/python.ts";
import { ALL_TYPES, ALL_VALUES, NULLS } from "./all-types.ts";
import { failure, folderOf, rowsIn, source } from "./folder-of-files.ts";

async function arrowFile(ddl: string, rows: readonly (readonly unknown[])[]): Promise<Uint8Array> {
  const schema = parseDdl(ddl);
  return Buffer.concat(await Array.fromAsync(encodeFile(schema, [recordBatchOf(schema, rows)])));
}

/** Writes a stream whose buffers are zstd frames with checksums, which are their last bytes. */
function zstdStream(batch: RecordBatch): { stream: Buffer; frameEnds: number[] } {
  const params = { [constants.ZSTD_c_checksumFlag]: 1 };
  const frames: { readonly frame: Buffer; readonly size: number }[] = [];
  compressionRegistry.set(CompressionType.ZSTD, {
    encode(bytes) {
      const frame = zstdCompressSync(bytes, { params });
      if (frame.length < bytes.length) frames.push({ frame, size: bytes.length });
      return frame;
    },
  });
  const writer = new RecordBatchStreamWriter({ compressionType: CompressionType.ZSTD });
  writer.write(batch);
  const stream = Buffer.from(writer.finish().toUint8Array(true));
  const frameEnds = frames.map(({ frame, size }) => {
    const at = stream.indexOf(frame);
    // Arrow's writer puts the size of the frame here, and the format wants that of its content.
    stream.writeBigInt64LE(BigInt(size), at - 8);
    return at + frame.length;
  });
  return { stream, frameEnds };
}

describe("an Arrow file", () => {
  const arrow = (files: Readonly<Record<string, string | Uint8Array>>) => ({
    path: folderOf(files),
    format: "arrow" as const,
  });

  it("An Arrow file has values of every type and its own schema", async () => {
    const body = await arrowFile(ALL_TYPES, [
      [
        9007199254740993n,
        true,
        -128,
        32767,
        -2147483648,
        0.5,
        1e-300,
        "1234567890123456.7891",
        ALL_VALUES.txt,
        Buffer.from("000102ff", "hex"),
        "1969-12-31",
        ALL_VALUES.ts,
        "2026-11-21T09:30:00.123",
        ALL_VALUES.t2,
        ALL_VALUES.span,
      ],
      [1, ...Array.from({ length: 14 }, () => null)],
    ]);
    const options = arrow({ "a.arrow": body });
    const schema = await (await source(options)).schema();
    expect(schemaToJson(schema)).toEqual(schemaToJson(parseDdl(ALL_TYPES)));
    expect(await rowsIn(options, schema)).toEqual([ALL_VALUES, { ...NULLS, id: 1 }]);
  });

  it("An Arrow file may have columns in another order, more or fewer of them, or other types that fit", async () => {
    const options = arrow({
      "a.arrow": await arrowFile("name string, extra int, id int", [["a", 1, 2]]),
      "b.arrow": await arrowFile("id bigint", [[9007199254740993n]]),
    });
    expect(await rowsIn({ ...options, missingColumns: "null" }, "id bigint, name string")).toEqual([
      { id: 2, name: "a" },
      { id: "9007199254740993", name: null },
    ]);
    expect(await failure(rowsIn(options, "other int"))).toMatchObject({
      code: "FILE_MALFORMED",
      message: expect.stringMatching(
        /its columns are "name", "extra", "id", and none of the schema's: "other"$/,
      ),
      hint: expect.stringContaining(".schema(…)"),
    });
    expect(await failure(rowsIn(options, "ID int, name string"))).toMatchObject({
      code: "COLUMN_MISNAMED",
      message: 'column "ID" is not there, but "id" is',
    });
    expect(await failure(rowsIn(options, "id bigint, name string"))).toMatchObject({
      code: "COLUMN_MISSING",
      message: 'the file has no column "name": it has "id"',
      hint: expect.stringContaining('`missingColumns: "null"`'),
      where: { field: "name", path: join(options.path, "b.arrow") },
    });
    expect(await failure(rowsIn(options, "id bigint, name int"))).toMatchObject({
      code: "COLUMN_TYPE_MISMATCH",
      message: 'column "name": the schema has int, the file has string',
      where: { field: "name", path: join(options.path, "a.arrow") },
    });
  });

  it("An Arrow file may be a stream and larger than one read", async () => {
    const schema = parseDdl("id int, noise string");
    const batch = (from: number) =>
      recordBatchOf(
        schema,
        Array.from({ length: 5000 }, (_, i) => [from + i, randomBytes(100).toString("hex")]),
      );
    const batches = Array.from({ length: 20 }, (_, i) => batch(i * 5000));
    const stream = RecordBatchStreamWriter.writeAll(batches).toUint8Array(true);
    const file = Buffer.concat(await Array.fromAsync(encodeFile(schema, batches)));
    expect(Math.min(stream.length, file.length)).toBeGreaterThan(16 * 1024 * 1024);
    const rows = await rowsIn(arrow({ "a.arrows": stream, "b.arrow": file }), schema);
    const ids = Array.from({ length: 100_000 }, (_, id) => id);
    expect(rows.map(({ id }) => id)).toEqual([...ids, ...ids]);
  });

  it.each(["", "ARROW1", "id,name\n1,a\n"])(
    "A file that is not an Arrow file is an error: %j",
    async (body) => {
      const options = arrow({ "a.arrow": body });
      expect(await failure(rowsIn(options, "id int"))).toMatchObject({ code: "FILE_MALFORMED" });
      expect(await failure((async () => (await source(options)).schema())())).toMatchObject({
        code: "FILE_MALFORMED",
      });
    },
  );

  it("An Arrow file that is cut off is an error", async () => {
    const body = await arrowFile("id int", [[1]]);
    const error = await failure(rowsIn(arrow({ "a.arrow": body.subarray(0, -20) }), "id int"));
    expect(error).toMatchObject({ code: "FILE_MALFORMED" });
  });

  it("An Arrow file with a buffer that is not that of its zstd checksum is an error", async () => {
    const text = "long ".repeat(1000);
    const { stream, frameEnds } = zstdStream(recordBatchOf(parseDdl("s string"), [[text]]));
    expect(await rowsIn(arrow({ "a.arrow": stream }), "s string")).toEqual([{ s: text }]);
    expect(frameEnds.length).toBeGreaterThan(0);
    for (const end of frameEnds) {
      const damaged = Buffer.from(stream);
      damaged[end - 1] = (damaged[end - 1] ?? 0) ^ 1;
      expect(await failure(rowsIn(arrow({ "a.arrow": damaged }), "s string"))).toMatchObject({
        code: "FILE_MALFORMED",
        message: expect.stringContaining("a compressed buffer is damaged"),
      });
    }
  });

  it.skipIf(!hasPython)(
    "An Arrow file of pyarrow is read, also with zstd, LZ4, dictionaries, views and other units",
    async () => {
      const folder = temporaryFolder();
      runPython(
        `
import sys, datetime as dt, pyarrow as pa, pyarrow.ipc as ipc
t = pa.table({"a": pa.array([1, None], pa.int64()), "d": pa.array(["x", None]).dictionary_encode(), "l": pa.array(["q", None], pa.large_string()),
  "v": pa.array(["view", None], pa.string_view()), "tod": pa.array([dt.time(1, 2, 3, 4), None], pa.time64("us")), "dur": pa.array([dt.timedelta(seconds=90), None], pa.duration("ms")), "ts": pa.array([1700000000123456789 // 1000 * 1000, None], pa.timestamp("ns", "UTC")), "bin": pa.array([b"ab", None], pa.large_binary()),
  "items": pa.array([["x", None], None], pa.list_(pa.large_string()))})
for name, compression in [("a", None), ("b", "zstd"), ("c", "lz4")]:
  with ipc.new_file(f"{sys.argv[1]}/{name}.arrow", t.schema, options=ipc.IpcWriteOptions(compression=compression)) as w: w.write_table(t)
print("null")`,
        [folder],
      );
      const options = { path: folder, format: "arrow" as const };
      const row = {
        a: 1,
        d: "x",
        l: "q",
        v: "view",
        tod: "01:02:03.000004",
        dur: "PT1M30S",
        ts: "2023-11-14T22:13:20.123456Z",
        bin: "YWI=",
        items: ["x", null],
      };
      const empty = Object.fromEntries(Object.keys(row).map((name) => [name, null]));
      const schema = await (await source(options)).schema();
      expect(await rowsIn(options, schema)).toEqual([row, empty, row, empty, row, empty]);
    },
  );

  it.each([
    ["timestamp", "timestamp_ntz", "2026-11-21T09:30:00Z"],
    ["timestamp_ntz", "timestamp", "2026-11-21T09:30:00"],
    ["bigint", "int", 1],
    ["bigint", "timestamp", 1],
    ["double", "float", 1.5],
    ["double", "bigint", 1],
    ["decimal(10,2)", "decimal(10,3)", "1.50"],
    ["decimal(10,2)", "decimal(9,2)", "1.50"],
    ["string", "date", "2026-11-21"],
    ["date", "timestamp", "2026-11-21"],
    ["binary", "string", Uint8Array.of(1)],
  ])("A column of the type %s is not read as %s, at any depth", async (found, wanted, value) => {
    const nested = (type: string) => `list array<struct<x:map<string,${type}>>>`;
    const plain = arrow({ "a.arrow": await arrowFile(`v ${found}`, [[value]]) });
    const deep = arrow({ "a.arrow": await arrowFile(nested(found), [[[{ x: { k: value } }]]]) });
    expect(await failure(rowsIn(plain, `v ${wanted}`))).toMatchObject({
      code: "COLUMN_TYPE_MISMATCH",
      message: `column "v": the schema has ${wanted}, the file has ${found}`,
      where: { path: join(plain.path, "a.arrow"), field: "v" },
    });
    expect(await failure(rowsIn(deep, nested(wanted)))).toMatchObject({
      code: "COLUMN_TYPE_MISMATCH",
      message: `column "list[].x.value": the schema has ${wanted}, the file has ${found}`,
    });
  });

  it("Each file's types are compared with the schema's, not only the first one's", async () => {
    const options = arrow({
      "a.arrow": await arrowFile("id bigint", [[1]]),
      "b.arrow": await arrowFile("id string", [["2"]]),
    });
    const error = await failure(rowsIn(options, await (await source(options)).schema()));
    expect(error).toMatchObject({
      code: "COLUMN_TYPE_MISMATCH",
      where: { path: join(options.path, "b.arrow") },
    });
  });

  it("Columns may be read as wider types, with the same values", async () => {
    const found = "i tinyint, f float, d decimal(4,1), s struct<x:smallint>, l array<float>";
    const wanted = "i bigint, f double, d decimal(30,1), s struct<x:int>, l array<double>";
    const row = [-128, 1.5, "-100.5", { x: -300 }, [0.5, null]];
    const options = arrow({ "a.arrow": await arrowFile(found, [row, [null, null, null, null, null]]) });
    expect(await rowsIn(options, wanted)).toEqual([
      { i: -128, f: 1.5, d: "-100.5", s: { x: -300 }, l: [0.5, null] },
      { i: null, f: null, d: null, s: null, l: null },
    ]);
  });

  it("A time with more digits than the schema's type is an error with its row", async () => {
    const nanos = new Schema([new Field("at", new TimestampNanosecond("UTC"), true)]);
    const child = makeData({
      type: new TimestampNanosecond("UTC"),
      length: 2,
      nullCount: 0,
      data: BigInt64Array.of(1000n, 1001n),
    });
    const rows = makeData({ type: new Struct(nanos.fields), length: 2, nullCount: 0, children: [child] });
    const body = Buffer.concat(await Array.fromAsync(encodeFile(nanos, [new RecordBatch(nanos, rows)])));
    const options = arrow({ "a.arrow": body });
    expect(await rowsIn(options, await (await source(options)).schema())).toEqual([
      { at: "1970-01-01T00:00:00.000001Z" },
      { at: "1970-01-01T00:00:00.000001001Z" },
    ]);
    expect(await failure(rowsIn(options, "at timestamp"))).toMatchObject({
      code: "ROW_MISMATCH",
      message: 'row 2, field "at": expected timestamp, found a time with more digits',
      where: { field: "at", path: join(options.path, "a.arrow") },
      hint: expect.stringContaining("Arrow Schema"),
    });
  });

  it("Names that are there twice are refused; names that are empty or have dots are names like others", async () => {
    const value = vectorFromArray([1], new Int32()).data[0] as Data;
    const fileOf = async (...names: string[]) => {
      const fields = names.map((name) => new Field(name, new Int32(), true));
      const stream = RecordBatchStreamWriter.writeAll([
        new RecordBatch(
          new Schema(fields),
          makeData({ type: new Struct(fields), length: 1, nullCount: 0, children: names.map(() => value) }),
        ),
      ]);
      return stream.toUint8Array(true);
    };
    const twice = arrow({ "a.arrow": await fileOf("a", "b", "a") });
    const ways = [() => rowsIn(twice, "b int"), async () => (await source(twice)).schema()];
    for (const read of ways) {
      expect(await failure(read())).toMatchObject({
        code: "COLUMN_DUPLICATE",
        message: 'the file has the column "a" twice',
        where: { path: join(twice.path, "a.arrow") },
      });
    }
    const odd = arrow({ "a.arrow": await fileOf("", "a.b") });
    expect(await rowsIn(odd, await (await source(odd)).schema())).toEqual([{ "": 1, "a.b": 1 }]);
  });
});
