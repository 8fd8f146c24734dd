import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { RecordBatchStreamWriter } from "apache-arrow";
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
    expect(await rowsIn(options, "id bigint, name string")).toEqual([
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
    expect(await failure(rowsIn(options, "id bigint, name int"))).toMatchObject({
      code: "ROW_MISMATCH",
      where: { row: 1, field: "name", path: join(options.path, "a.arrow") },
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

  it.skipIf(!hasPython)(
    "An Arrow file of pyarrow is read, also with zstd, dictionaries, views and other units",
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
      expect(await rowsIn({ ...options, pattern: "{a,b}.arrow" }, schema)).toEqual([row, empty, row, empty]);
      const error = await failure(rowsIn({ ...options, pattern: "c.arrow" }, schema));
      expect(error).toMatchObject({ code: "FILE_MALFORMED", message: expect.stringContaining("LZ4") });
    },
  );
});
